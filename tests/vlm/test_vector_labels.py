"""COCO, DOTA and YOLO text, read back by their own readers or by arithmetic."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vlm.errors import OutputError
from vlm.geometry import HBB, OBB, Mask, Polygon, to_shapely
from vlm.grid import Grid
from vlm.records import Answer, Image, Region
from vlm.regrid import move_to_grid
from vlm.vector import write_answers
from vlm.vector_labels import answers_to_coco, encode_rle
from vlm.vector_rows import properties, rows_of

GRID = Grid(200, 100)
BOXES = Answer("", (Region(HBB(20, 10, 60, 50), "small ship"), Region(HBB(190, 90, 230, 120), "car")), grids=(GRID,))
TURNED = Answer("", (Region(OBB(100, 50, 40, 20, 90), "ship"),), grids=(GRID,))


def named(answer: Answer, *paths: str) -> Answer:
    return replace(answer, images=tuple(Image(path=path) for path in paths))


def test_coco_boxes_polygons_and_classes() -> None:
    coco = answers_to_coco([named(BOXES, "a.tif"), named(TURNED, "a.tif")])
    assert coco["images"] == [{"id": 1, "file_name": "a.tif", "width": 200, "height": 100}]
    assert [category["name"] for category in coco["categories"]] == ["car", "ship", "small ship"]
    first, _, turned = coco["annotations"]
    assert first["bbox"] == [20, 10, 40, 40]
    assert first["area"] == 1600
    assert first["segmentation"] == [[20, 10, 60, 10, 60, 50, 20, 50]]
    assert turned["bbox"] == [90, 30, 20, 40]
    assert turned["area"] == 800


def test_coco_lists_images_without_regions() -> None:
    coco = answers_to_coco([Answer("no ships", grids=(GRID, Grid(5, 6)))])
    assert [(image["width"], image["height"]) for image in coco["images"]] == [(200, 100), (5, 6)]
    assert coco["annotations"] == []


def test_mask_with_a_hole_is_what_pycocotools_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    coco_api = pytest.importorskip("pycocotools.coco", reason="needs the extra 'eval'")
    bits = np.ones((4, 4), bool)
    bits[1:3, 1:3] = False
    answer = Answer("", (Region(Mask(bits, HBB(8, 4, 24, 20)), "ring"),), grids=(Grid(40, 30),))
    path = write_answers((answer,), tmp_path / "coco.json", format="coco")
    coco = coco_api.COCO(path)
    drawn = coco.annToMask(coco.loadAnns([1])[0])
    expected = np.zeros((30, 40), np.uint8)
    expected[4:20, 8:24] = np.kron(bits, np.ones((4, 4)))
    assert np.array_equal(drawn, expected)
    assert coco.loadAnns([1])[0]["area"] == expected.sum()


@pytest.mark.parametrize("seed", range(20))
def test_run_lengths_are_pycocotools_own(seed: int) -> None:
    coco_mask = pytest.importorskip("pycocotools.mask", reason="needs the extra 'eval'")
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 12, 2)
    left, top = rng.integers(0, width), rng.integers(0, height)
    bits = rng.random((rng.integers(1, height - top + 1), rng.integers(1, width - left + 1))) < rng.random()
    rows, cols = bits.shape
    whole = np.zeros((height, width), np.uint8)
    whole[top : top + rows, left : left + cols] = bits
    mask = Mask(bits, HBB(float(left), float(top), float(left + cols), float(top + rows)))
    run_lengths = encode_rle(mask, int(width), int(height))
    assert sum(run_lengths["counts"]) == width * height
    assert np.array_equal(coco_mask.decode(coco_mask.frPyObjects(run_lengths, height, width)), whole)


def test_dota_lines(tmp_path: Path) -> None:
    bent = Polygon(((0, 0), (30, 0), (30, 10), (15, 12), (0, 10)))
    answer = Answer("", (*BOXES.regions[:1], *TURNED.regions, Region(bent, "pier")), grids=(GRID,))
    lines = write_answers((answer,), tmp_path / "a.txt", format="dota").read_text().splitlines()
    assert lines[:3] == ["imagesource:unknown", "gsd:null", "20 10 60 10 60 50 20 50 small-ship 0"]
    assert lines[3] == "110 30 110 70 90 70 90 30 ship 0"
    assert len(lines[4].split()) == 10


def test_dota_folder_has_a_file_per_image(tmp_path: Path) -> None:
    answers = (named(BOXES, "d/a.tif"), named(TURNED, "b.tif"), named(Answer("none", grids=(GRID,)), "c.tif"))
    folder = write_answers(answers, tmp_path / "labelTxt", format="dota")
    assert sorted(file.name for file in folder.iterdir()) == ["a.txt", "b.txt", "c.txt"]
    assert len((folder / "c.txt").read_text().splitlines()) == 2
    with pytest.raises(OutputError, match="2 images: name a folder"):
        write_answers((BOXES, TURNED), tmp_path / "one.txt", format="dota")


def test_images_of_one_name_in_two_folders_stay_apart(tmp_path: Path) -> None:
    answers = (named(BOXES, "2019/a.tif"), named(TURNED, "2021/a.tif"))
    assert [image["file_name"] for image in answers_to_coco(answers)["images"]] == ["2019/a.tif", "2021/a.tif"]
    folder = write_answers(answers, tmp_path / "labels", format="yolo")
    assert sorted(file.name for file in folder.iterdir()) == ["2019-a.txt", "2021-a.txt", "classes.txt"]
    with pytest.raises(OutputError, match="would share one"):
        write_answers((named(BOXES, "d/a.tif"), named(TURNED, "d/a.png")), tmp_path / "labels", format="dota")


def test_yolo_boxes_are_normalised_and_clipped(tmp_path: Path) -> None:
    path = write_answers((BOXES,), tmp_path / "a.txt", format="yolo")
    assert path.read_text().splitlines() == ["1 0.2 0.3 0.2 0.4", "0 0.975 0.95 0.05 0.1"]
    assert (tmp_path / "a.classes.txt").read_text() == "car\nsmall ship\n"


def test_yolo_turns_to_corners_when_a_region_is_turned(tmp_path: Path) -> None:
    path = write_answers((TURNED,), tmp_path / "a.txt", format="yolo")
    number, *corners = path.read_text().split()
    assert number == "0"
    assert [float(value) for value in corners] == [0.55, 0.3, 0.55, 0.7, 0.45, 0.7, 0.45, 0.3]
    assert len(write_answers((BOXES,), path, format="yolo-obb").read_text().splitlines()[0].split()) == 9


def test_yolo_polygons(tmp_path: Path) -> None:
    mask = Answer("", (Region(Mask(np.array([[1, 1], [1, 0]], bool), HBB(0, 0, 100, 100))),), grids=(GRID,))
    folder = write_answers((mask,), tmp_path / "labels", format="yolo-seg")
    assert len((folder / "answer1-image1.txt").read_text().split()) == 1 + 2 * 6
    assert (folder / "classes.txt").read_text() == "object\n"


@pytest.mark.parametrize("format", ["coco", "yolo"])
def test_unknown_image_size_is_a_sentence(tmp_path: Path, format: str) -> None:
    with pytest.raises(OutputError, match="needs the size of answer1-image1"):
        write_answers((Answer("", BOXES.regions),), tmp_path / "a.txt", format=format)


def test_coco_file_is_json(tmp_path: Path) -> None:
    assert json.loads(write_answers((BOXES,), tmp_path / "a.json", format="coco").read_text())["annotations"]


FIRST = Grid(200, 100, "EPSG:32633", (10.0, 0.0, 390_000.0, 0.0, -10.0, 5_820_000.0))
# The second date's own file: twice as fine, and its first pixel lies 50 px right of and 20 px below the first date's.
OWN = Grid(300, 200, "EPSG:32633", (5.0, 0.0, 390_500.0, 0.0, -5.0, 5_819_800.0))
RING = np.ones((6, 6), bool)
RING[2:4, 2:4] = False


def warped(*regions: Region) -> Answer:
    answer = Answer("", regions, grids=(FIRST, FIRST), file_grids=(FIRST, OWN))
    return named(answer, "before.tif", "after.tif")


def test_labels_of_a_warped_date_are_in_the_pixels_of_its_own_file(tmp_path: Path) -> None:
    answer = warped(Region(HBB(60, 30, 80, 40), "old"), Region(HBB(60, 30, 80, 40), "new", image=1))
    coco = answers_to_coco([answer])
    assert [(image["file_name"], image["width"], image["height"]) for image in coco["images"]] == [
        ("before.tif", 200, 100), ("after.tif", 300, 200),
    ]  # fmt: skip
    old, new = coco["annotations"]
    assert old["bbox"] == [60, 30, 20, 10]
    assert new["bbox"] == pytest.approx([20, 20, 40, 20], abs=0.01)
    folder = write_answers((answer,), tmp_path / "yolo", format="yolo")
    numbers = [float(value) for value in (folder / "after.txt").read_text().split()[1:]]
    assert numbers == pytest.approx([40 / 300, 30 / 200, 40 / 300, 20 / 200], abs=1e-4)
    lines = (write_answers((answer,), tmp_path / "dota", format="dota") / "after.txt").read_text().splitlines()
    assert lines[1] == "gsd:5.0"
    assert [float(v) for v in lines[2].split()[:8]] == pytest.approx([20, 20, 60, 20, 60, 40, 20, 40], abs=0.01)


def test_images_of_a_pair_without_regions_keep_their_own_size() -> None:
    assert [image["width"] for image in answers_to_coco([warped()])["images"]] == [200, 300]


def test_every_shape_moves_into_the_pixels_of_its_own_file() -> None:
    turned = Grid(200, 300, "EPSG:32633", (0.0, 5.0, 390_500.0, -5.0, 0.0, 5_819_800.0))
    shapes = (
        HBB(60, 30, 80, 40), OBB(70, 35, 20, 8, 25), Polygon(((60, 30), (80, 30), (80, 45), (60, 40))),
        Mask(RING, HBB(60, 30, 78, 48)),
    )  # fmt: skip
    for own in (OWN, turned):
        for shape in shapes:
            moved = move_to_grid(shape, FIRST, own)
            assert moved is not None and type(moved) is type(shape)
            back = move_to_grid(moved, own, FIRST)
            assert back is not None
            off = to_shapely(back).symmetric_difference(to_shapely(shape)).area
            assert off < 0.01 * to_shapely(shape).area + 0.2
            assert to_shapely(moved).area == pytest.approx(4 * to_shapely(shape).area, rel=0.01)


def test_boxes_in_tables_are_in_the_pixels_of_the_image_they_name() -> None:
    answer = warped(Region(OBB(70, 35, 20, 10, 0), "new", image=1))
    (row,) = rows_of((answer,))
    values = properties(row)
    assert values["image_name"] == "after.tif"
    assert values["obb_px"] == pytest.approx([40, 30, 40, 20, 0], abs=0.01)
    assert values["box_px"] == pytest.approx([20, 20, 60, 40], abs=0.01)


def test_a_region_without_a_place_in_its_file_is_refused_in_words() -> None:
    far = Grid(10, 10, "EPSG:3035", (5e6, 0.0, 4321000 - 25e6, 0.0, -5e6, 3210000 + 25e6))
    answer = replace(warped(Region(HBB(1, 1, 2, 2), "x", image=1)), grids=(far, far), file_grids=(far, OWN))
    with pytest.raises(OutputError, match=r"has no place in the pixels of after\.tif"):
        answers_to_coco([answer])
