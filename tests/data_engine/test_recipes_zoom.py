"""Recipe zoom: each look is a sample of its own, whose image is what is seen and whose question is true of it."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from data_engine.annotations import scene_to_sample
from data_engine.objects import Scene
from data_engine.recipes import RECIPES
from data_engine.recipes.zoom import WINDOW_PX, find_window
from tests.data_engine.makers import write_image
from vlm.errors import RasterError
from vlm.geometry.shapes import HBB, OBB, Window
from vlm.records import Image, Region, Sample

SIZE = (1600, 1200)
SHIPS = (HBB(100, 200, 130, 210), HBB(900, 700, 930, 710), HBB(1500, 1100, 1530, 1110))


@pytest.fixture
def picture(tmp_path: Path) -> Image:
    write_image(tmp_path / "a.png", SIZE)
    return Image(path=str(tmp_path / "a.png"), width=SIZE[0], height=SIZE[1], gsd_m=0.3)


def harbour(image: Image, *boxes: HBB, colours: tuple[str, ...] = ()) -> Sample:
    regions = tuple(Region(box, "ship") for box in boxes)
    return scene_to_sample(Scene("s/1", image, regions, (), ("ship", "car"), "s", "train", "l", (), colours))


def made_by(sample: Sample) -> dict[str, Sample]:
    return {made.id.removeprefix(f"{sample.id}/"): made for made in RECIPES["zoom"](sample, 0)}


def test_the_first_look_answers_with_a_window_and_the_second_one_in_it(picture):
    made = made_by(harbour(picture, *SHIPS))
    look, answer = (made[f"zoom-ground/left-most-ship/{part}"] for part in ("look", "answer"))
    assert [len(sample.turns) for sample in (look, answer)] == [1, 1]
    assert look.images == (picture,)
    assert look.turns[0].answer.template == answer.turns[0].answer.template == "{box:0}"
    assert look.turns[0].instruction.startswith(answer.turns[0].instruction)
    assert "left-most ship" in answer.turns[0].instruction
    window, target = look.turns[0].answer.regions[0].geometry, answer.turns[0].answer.regions[0].geometry
    assert HBB(target.x1 + window.x1, target.y1 + window.y1, target.x2 + window.x1, target.y2 + window.y1) == SHIPS[0]


def test_the_second_look_shows_the_pixels_of_the_window(picture):
    made = made_by(harbour(picture, *SHIPS))
    box = made["zoom-ground/right-most-ship/look"].turns[0].answer.regions[0].geometry
    (image,) = made["zoom-ground/right-most-ship/answer"].images
    assert (image.path, image.width, image.height, image.gsd_m) == (None, WINDOW_PX, WINDOW_PX, 0.3)
    with Picture.open(picture.path) as whole, Picture.open(io.BytesIO(image.data)) as seen:
        part = np.asarray(whole)[int(box.y1) : int(box.y2), int(box.x1) : int(box.x2)]
        assert np.array_equal(np.asarray(seen), part)


def test_an_embedded_image_is_cut_as_well(picture):
    embedded = replace(picture, path=None, data=Path(picture.path).read_bytes())
    seen, expected = (
        {key: sample.images[0].data for key, sample in made_by(harbour(image, *SHIPS)).items() if "/answer" in key}
        for image in (embedded, picture)
    )
    assert seen == expected != {}


def test_colours_are_asked_for_in_the_window(picture):
    made = made_by(harbour(picture, *SHIPS, colours=("white", "white", "red")))
    assert made["zoom-colour/left-most-ship/answer"].turns[0].answer.template == "white"
    assert made["zoom-colour/left-most-ship/look"].turns[0].answer.regions[0].phrase == "region of interest"
    assert not any(key.startswith("zoom-colour/red-ship") for key in made)


def test_the_smallest_one_is_not_asked_for_beside_one_that_the_window_cuts(picture):
    """A ship of which the window shows the tip looks smaller than the smallest."""
    small, long = HBB(800, 600, 810, 610), HBB(1050, 600, 1150, 620)
    assert "zoom-ground/smallest-ship/look" not in made_by(harbour(picture, small, long))
    assert any("left-most" in key for key in made_by(harbour(picture, small, long)))


def test_only_small_objects_of_large_images_are_zoomed_to(picture):
    turned = Region(OBB(500, 500, 900, 400, 0), "ship")
    scene = Scene("s/1", picture, (turned,), (turned,), ("ship", "car"), "s", "train", "l")
    assert made_by(scene_to_sample(scene)) == {}
    assert made_by(harbour(replace(picture, width=900, height=900), *SHIPS[:1])) == {}


def test_a_missing_image_is_said(picture):
    Path(picture.path).unlink()
    with pytest.raises(RasterError, match=r"a\.png"):
        made_by(harbour(picture, *SHIPS))


@pytest.mark.parametrize("box", [HBB(0, 0, 10, 10), HBB(1990, 1490, 2000, 1500), HBB(700, 700, 1100, 720)])
def test_windows_lie_in_the_image_around_their_object(box):
    window = find_window(box, width=2000, height=1500).box
    assert 0 <= window.x1 <= box.x1 and box.x2 <= window.x2 <= 2000
    assert 0 <= window.y1 <= box.y1 and box.y2 <= window.y2 <= 1500
    assert min(window.w, window.h) >= WINDOW_PX
    assert find_window(HBB(0, 0, 5, 5), width=300, height=200) == Window(0, 0, 300, 200)
