"""The one path: a question about files becomes an answer whose regions are in the original image's pixels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from PIL import Image as PILImage

from tests.vlm.made_rasters import write_raster
from vlm.answer import Nadir, Request, View
from vlm.errors import InstructionError, RasterError, WindowError
from vlm.geometry.shapes import HBB, OBB, Geometry, Mask, Polygon, Window
from vlm.records import Cost, Region

COST = Cost(1, 5, 9, 3, {"read": 1.0}, 100.0)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    rgb = np.random.default_rng(1).integers(0, 256, (60, 100, 3), dtype=np.uint8)
    PILImage.fromarray(rgb).save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


def test_ask_gives_text_cost_trace_and_grids(tiny: Nadir, picture: Path) -> None:
    answer = tiny.ask(picture, "How many ships are there?", max_new_tokens=4)
    assert answer.cost is not None
    assert answer.cost.tiles == len(answer.trace) == 5
    assert answer.cost.visual_tokens == 5 * 14
    assert answer.cost.new_tokens <= 4
    assert set(answer.cost.stage_ms) == {"read", "generate"}
    assert [(grid.width, grid.height) for grid in answer.grids] == [(100, 60)]
    assert answer.images[0].path == str(picture)


def test_an_answer_does_not_depend_on_its_batch(tiny: Nadir, picture: Path) -> None:
    requests = [
        Request("How many ships are there?", (picture,), max_new_tokens=8),
        Request("What has changed?", (picture, picture), max_new_tokens=8),
        Request("Where is the red car? " * 3, (), max_new_tokens=8),
    ]
    together = [answer.text for answer in tiny.ask_batch(requests)]
    assert together == [tiny.ask_batch([request])[0].text for request in requests]


def test_regions_of_a_window_are_in_the_pixels_of_the_image(tiny: Nadir, picture: Path) -> None:
    request = Request("Where is the ship?", (picture,), window=Window(40, 20, 50, 30))
    view = tiny.look(request)
    answer = tiny.prompter.place(request, view, "<box>[[0,0,1000,500]]</box>", COST)
    assert answer.regions[0].geometry == HBB(40, 20, 90, 35)
    assert answer.window == Window(40, 20, 50, 30)


def test_regions_that_a_user_points_at_are_said_in_the_windows_frame(tiny: Nadir, picture: Path) -> None:
    region = Region(HBB(40, 20, 90, 35))
    request = Request("What is in this region?", (picture,), window=Window(40, 20, 50, 30), regions=(region,))
    assert tiny.words(request, tiny.look(request)) == "What is in this region? <box>[[0,0,1000,500]]</box>"


@pytest.mark.parametrize(
    ("geometry", "said"),
    [
        (OBB(50, 30, 20, 12, 0), "<obb>[[500,500,200,120,0]]</obb>"),
        (Polygon(((10, 6), (90, 6), (90, 54))), "<poly>[[100,100,900,100,900,900]]</poly>"),
        (Mask(np.ones((1, 1), bool), HBB(10, 6, 90, 54)), "<seg>100,100,900,900|1|0,1</seg>"),
        (Polygon(tuple((x, y) for x, y in [(10, 6), (90, 6)] + [(90 - k, 54) for k in range(40)])), "<seg>100,100,"),
    ],
)
def test_a_region_is_said_as_what_it_is(tiny: Nadir, picture: Path, geometry: Geometry, said: str) -> None:
    request = Request("What is here?", (picture,), task="region", regions=(Region(geometry),))
    words = tiny.words(request, tiny.look(request))
    assert words.startswith(f"What is here? {said}") and words.endswith("> Describe the region.")


def test_regions_and_windows_may_be_given_as_a_user_writes_them(tiny: Nadir, picture: Path, tmp_path: Path) -> None:
    place = {"crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 390_000, 0, -10, 5_820_000)}
    path = write_raster(tmp_path / "map.tif", np.full((3, 60, 100), 9, np.uint8), **place)
    request = Request("What is here?", (path,), regions=["box:390100,5819400,390900,5819940@EPSG:32633", "1,1,9,9"])
    words = tiny.words(request, tiny.look(request))
    assert words == "What is here? <box>[[100,100,900,1000]]</box> <box>[[10,17,90,150]]</box>"
    assert tiny.look(Request("What?", (picture,), window=(40, 20, 50, 30))).window == Window(40, 20, 50, 30)
    for window, says in (((1, 2, 3), "four whole numbers"), ((0, 0, 200, 200), "leaves the image")):
        with pytest.raises(WindowError, match=says):
            tiny.look(Request("What?", (picture,), window=window))  # type: ignore[arg-type]
    with pytest.raises(InstructionError, match="give an image too"):
        tiny.ask_text("What is here?", regions=["1,1,9,9"])


def test_a_region_of_the_second_date_names_its_image(tiny: Nadir, picture: Path) -> None:
    region = Region(HBB(0, 0, 100, 30), image=1)
    request = Request("What is here?", (picture, picture), regions=(region,))
    view = tiny.look(request)
    assert tiny.words(request, view) == "What is here? <box image=2>[[0,0,1000,500]]</box>"
    assert tiny.prompter.place(request, view, "", COST).file_grids == view.grids
    with pytest.raises(InstructionError, match="lies in image 2"):
        tiny.ask(picture, "What is here?", regions=(region,))


def test_a_region_that_the_model_would_not_see_is_refused(tiny: Nadir, picture: Path) -> None:
    with pytest.raises(WindowError, match="outside the part that is looked at"):
        tiny.ask(picture, "What?", window=Window(40, 20, 50, 30), regions=(Region(HBB(0, 0, 40, 20)),))


def test_nothing_outside_a_window_is_seen(tiny: Nadir, tmp_path: Path) -> None:
    pixels = np.full((60, 100, 3), 255, np.uint8)
    pixels[20:30, 40:90] = 0
    PILImage.fromarray(pixels).save(tmp_path / "dark.png")
    view = tiny.look(Request("What?", (tmp_path / "dark.png",), window=Window(40, 20, 50, 10), budget=1))
    mean = np.round(np.asarray(tiny.processor.image_mean) * 255).astype(np.uint8)
    seen = view.images[0].pixels[0].reshape(-1, 3)
    assert ((seen == 0).all(axis=1) | (seen == mean).all(axis=1)).all()
    assert (seen == 0).all(axis=1).any()


def test_a_window_of_nodata_beside_data_is_refused(tiny: Nadir, tmp_path: Path) -> None:
    values = np.full((3, 32, 32), 9, np.uint8)
    values[:, :8] = 0
    path = write_raster(tmp_path / "half.tif", values, nodata=0)
    with pytest.raises(RasterError, match="no valid pixel"):
        tiny.ask(path, "What is it?", window=Window(0, 0, 32, 8))


def test_a_very_long_image_is_read(tiny: Nadir, tmp_path: Path) -> None:
    path = write_raster(tmp_path / "strip.tif", np.full((3, 4, 900), 9, np.uint8), nodata=0)
    assert tiny.look(Request("What?", (path,))).sizes == [(900, 4)]


def test_braces_and_control_tokens_in_an_instruction_are_text(tiny: Nadir) -> None:
    words = tiny.words(Request("a {box:0} and <image>"), View())
    assert words.startswith("a {box:0} and <")
    assert "<image>" not in words


def test_control_tokens_in_the_name_of_a_band_are_text(tiny: Nadir, tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(1, 255, (1, 40, 40)).astype(np.uint8)
    path = write_raster(tmp_path / "odd.tif", values, names=("a <image> b",))
    assert "<image>" not in tiny.look(Request("What?", (path,), bands="1")).notes[0]


def test_a_batch_keeps_each_requests_own_limit(tiny: Nadir, picture: Path) -> None:
    question = "How many ships are there?"
    requests = [Request(question, (picture,), max_new_tokens=limit) for limit in (2, 8)]
    assert [answer.text for answer in tiny.ask_batch(requests)] == [tiny.ask_batch([each])[0].text for each in requests]
    assert tiny.ask_batch([]) == []


def test_a_chat_keeps_images_and_turns(tiny: Nadir, picture: Path) -> None:
    chat = tiny.chat(picture, max_new_tokens=6)
    first = chat.ask("How many ships are there?")
    chat.ask("Where is the red car?")
    assert first.text == tiny.ask(picture, "How many ships are there?", max_new_tokens=6).text
    assert [message["role"] for message in chat._messages] == ["user", "assistant"] * 2
    with pytest.raises(InstructionError, match="got bands"):
        chat.ask("How many ships are there?", bands="1")
    assert chat.answers[1].cost is not None and first.cost is not None
    assert chat.answers[1].cost.prompt_tokens > first.cost.prompt_tokens + first.cost.new_tokens


def test_two_renderings_are_two_images_of_one_date(tiny: Nadir, tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(1, 3000, (4, 40, 40)).astype(np.uint16)
    path = write_raster(tmp_path / "ms.tif", values, names=("blue", "green", "red", "nir"))
    view = tiny.look(Request("What is it?", (path,), bands="true+ndvi"))
    assert [image.rendering for image in view.images] == [0, 1]
    assert [image.partner for image in view.images] == [None, None]
    assert all(view.notes) and view.sizes == [(40, 40)]
    assert tiny.prompter.place(Request("What?", (path,), bands="true+ndvi"), view, "", COST).bands == "true+ndvi"
    parts = tiny.message(Request("What is it?"), view)["content"]
    assert [part["text"].split(" (")[0] for part in parts if "(" in part.get("text", "")] == ["Image", "Image"]


def test_three_dates_are_compared_one_by_one(tiny: Nadir, picture: Path) -> None:
    request = Request("What has changed?", (picture,) * 3)
    view = tiny.look(request)
    assert [(image.date, image.partner) for image in view.images] == [(0, 1), (1, 0), (2, 1)]
    parts = [part.get("text", "") for part in tiny.message(request, view)["content"]]
    assert [part for part in parts if part.startswith("Image")] == ["Image 1: ", "Image 2: ", "Image 3: "]
    answer = tiny.prompter.place(request, view, "<box image=3>[[0,0,1000,500]]</box>", COST)
    assert [(region.image, region.geometry) for region in answer.regions] == [(2, HBB(0, 0, 100, 30))]
    assert tiny.ask(*[picture] * 3, "What has changed?", max_new_tokens=2).cost is not None
    assert "date 3" in answer._repr_html_()


def test_the_renderings_of_a_date_share_its_number(tiny: Nadir, tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(1, 3000, (4, 40, 40)).astype(np.uint16)
    path = write_raster(tmp_path / "ms.tif", values, names=("blue", "green", "red", "nir"))
    request = Request("What has changed?", (path, path), bands="true+ndvi")
    view = tiny.look(request)
    parts = tiny.message(request, view)["content"]
    names = [part["text"].split(" (")[0] for part in parts if part.get("text", "").startswith("Image")]
    assert names == ["Image 1", "Image 1", "Image 2", "Image 2"]
    assert [image.partner for image in view.images] == [2, 3, 0, 1]
    with pytest.raises(InstructionError, match="takes"):
        tiny.look(Request("What?", (path,), bands="+".join(["true"] * 20)))


def test_questions_that_cannot_be_asked_are_refused(tiny: Nadir, picture: Path, tmp_path: Path) -> None:
    with pytest.raises(InstructionError, match="got 9 images: this model takes 8 dates"):
        tiny.ask(*[picture] * 9, "What has changed?")
    with pytest.raises(InstructionError, match="instruction is empty"):
        tiny.ask(picture, " ")
    with pytest.raises(InstructionError, match="ask_text"):
        tiny.ask("Where are the ships?")
    with pytest.raises(WindowError, match="give one of them"):
        tiny.ask(picture, "Where?", window=Window(0, 0, 9, 9), bbox=(1, 2, 3, 4))
    empty = write_raster(tmp_path / "empty.tif", np.zeros((3, 32, 32), np.uint8), nodata=0)
    with pytest.raises(RasterError, match="no valid pixel"):
        tiny.ask(empty, "What is it?")


def test_what_the_language_model_cannot_hold_is_refused(tiny: Nadir, picture: Path) -> None:
    most = tiny.model.config.text_config.max_position_embeddings
    with pytest.raises(InstructionError, match=rf"tokens \(70 of them visual\) .* this model reads {most} in all"):
        tiny.ask(picture, "many planes in an airport " * most)
    with pytest.raises(InstructionError, match="the answer may have"):
        tiny.ask(picture, "How many ships are there?", max_new_tokens=most)


def test_an_answer_writes_itself_as_geojson(tiny: Nadir, picture: Path, tmp_path: Path) -> None:
    request = Request("Where is the ship?", (picture,))
    answer = tiny.prompter.place(request, tiny.look(request), "<box>[[100,100,200,200]]</box>", COST)
    written = json.loads(answer.to_geojson(tmp_path / "ships.geojson").read_text())
    assert len(written["features"]) == 1
    assert "<svg" in answer._repr_html_()


def test_sdpa_and_eager_attention_agree(tiny: Nadir, tiny_model_dir: Path, picture: Path) -> None:
    eager = Nadir.from_pretrained(tiny_model_dir, attn_implementation="eager")
    assert eager.model.language_model.config._attn_implementation == "eager"
    question = "Describe the image in one sentence."
    assert eager.ask(picture, question, max_new_tokens=6).text == tiny.ask(picture, question, max_new_tokens=6).text
    assert eager.model.dtype == torch.float32
