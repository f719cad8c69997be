"""A user sends an image and asks: the answer's shapes lie where the image shows them, in every frame."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.serve.web.conftest import HEIGHT, TARGET, WIDTH
from tests.serve.web.map_page import RED, TEAL, Box, MapPage, bright_field, frame_of
from tests.serve.web.told import ToldEngine

EDGE_PX = 3  # half a line's width and a pixel of the screen
LEAST_PX = 80  # longer than a label


def near(found: Box | None, expected: Box | None, *, by: int = EDGE_PX) -> None:
    assert found is not None and expected is not None, (found, expected)
    assert max(abs(a - b) for a, b in zip(found, expected, strict=True)) <= by, (found, expected)


@pytest.mark.parametrize("name", ["before", "plain"])
def test_a_box_lies_around_what_it_names(page: MapPage, scenes: dict[str, Path], name: str) -> None:
    page.add(scenes[name])
    field = bright_field(page.pixels())
    turn = page.ask("Where is the field?")
    assert turn.locator(".words").inner_text() == "One field 1 and a road 2."
    near(frame_of(page.pixels(), RED, least=LEAST_PX), field)
    assert frame_of(page.pixels(), TEAL) is not None, "the oriented box is drawn in the second colour"
    sizes = turn.locator(".size").all_inner_texts()
    assert ("2,700 m², 60.0 m long" if name == "before" else "10,800 px²") == sizes[0], sizes


def test_a_mask_fills_what_it_names(page: MapPage, scenes: dict[str, Path]) -> None:
    page.add(scenes["before"])
    field = bright_field(page.pixels())
    page.ask("Segment the field.")
    near(frame_of(page.pixels(), RED, least=LEAST_PX), field)
    assert field is not None
    x, y = (field[0] + field[2]) / 2, (field[1] + field[3]) / 2
    red, green, _ = page.colour_at(x, y)
    assert red - green > 25, "the inside of a mask is tinted"


def test_the_shape_stays_on_the_ground_when_the_map_moves(page: MapPage, scenes: dict[str, Path]) -> None:
    page.add(scenes["before"])
    page.ask("Where is the field?")
    page.page.mouse.move(*page.map_point(0.5, 0.5))
    page.page.mouse.wheel(0, 300)
    page.settle()
    page.page.mouse.down()
    page.page.mouse.move(*page.map_point(0.4, 0.6), steps=4)
    page.page.mouse.up()
    page.page.mouse.move(*page.map_point(0.02, 0.98))
    page.settle()
    shown = page.pixels()
    frame = frame_of(shown, RED, least=40)
    assert frame is not None
    inside = shown[frame[1] + 6 : frame[3] - 6, frame[0] + 6 : frame[2] - 6]
    outside = shown[frame[3] + 5, frame[0] : frame[2]]
    assert inside.mean() > 200 and outside.mean() < 110


def test_text_and_shape_light_each_other_up(page: MapPage, scenes: dict[str, Path]) -> None:
    page.add(scenes["before"])
    turn = page.ask("Where is the field?")
    plain = int((page.pixels() == RED).all(axis=2).sum())
    turn.locator(".chip").first.hover()
    page.settle()
    assert int((page.pixels() == RED).all(axis=2).sum()) > plain * 1.2, "the shape's line grows"
    frame = frame_of(page.pixels(), RED, least=LEAST_PX)
    assert frame is not None
    page.page.mouse.move((frame[0] + frame[2]) / 2, (frame[1] + frame[3]) / 2)
    page.page.wait_for_selector(".region.lit[data-region='1']")
    assert page.page.locator(".region.lit").count() == 1
    page.page.mouse.click((frame[0] + frame[2]) / 2, (frame[1] + frame[3]) / 2)
    assert page.page.evaluate("document.activeElement.dataset.region") == "1"


@pytest.mark.parametrize("name", ["before", "plain"])
def test_a_drawn_box_is_the_region_that_the_model_is_asked_about(
    page: MapPage, scenes: dict[str, Path], engine: ToldEngine, name: str
) -> None:
    page.add(scenes[name])
    field = bright_field(page.pixels())
    assert field is not None
    page.page.click("[data-tool=box]")
    page.page.mouse.click(field[0], field[1])
    page.page.mouse.move(field[2] - 20, field[3] - 20, steps=3)
    page.page.mouse.click(field[2], field[3])
    page.page.wait_for_selector("#asked .tag")
    turn = page.ask("What is in this region?")
    assert turn.locator(".question .tag").inner_text() == "Region 1"
    (region,) = engine.prompts[-1].request.regions
    near(frame_of(page.pixels(), RED, least=LEAST_PX), field, by=4)
    if name == "plain":
        drawn = [float(number) for number in str(region).removeprefix("box:").split(",")]
        np.testing.assert_allclose(drawn, TARGET, atol=2)
    else:
        assert json.loads(str(region))["type"] == "Polygon"


def test_a_point_and_a_polygon_can_be_asked_about(page: MapPage, scenes: dict[str, Path], engine: ToldEngine) -> None:
    page.add(scenes["plain"])
    page.page.click("[data-tool=point]")
    page.page.mouse.click(*page.map_point(0.5, 0.5))
    page.page.wait_for_selector("#asked .tag")
    page.page.click("[data-tool=polygon]")
    for x, y in ((0.35, 0.45), (0.6, 0.45), (0.6, 0.6)):
        page.page.mouse.click(*page.map_point(x, y))
    page.page.mouse.dblclick(*page.map_point(0.4, 0.6))
    page.page.wait_for_selector("#asked .tag >> nth=1")
    page.ask("What is in each region?")
    point, polygon = map(str, engine.prompts[-1].request.regions)
    assert point.startswith("box:") and polygon.startswith("polygon:"), (point, polygon)
    assert len(polygon.split(",")) == 8


def test_two_dates_are_swiped_with_the_change_on_top(page: MapPage, scenes: dict[str, Path]) -> None:
    page.add(scenes["before"], scenes["after"])
    assert page.page.locator("#date-second").inner_text() == "later.tif"
    (left_x, y), (right_x, _) = page.map_point(0.4, 0.62), page.map_point(0.6, 0.62)

    def blue() -> list[bool]:
        shown = page.pixels().astype(int)
        patches = [shown[int(y) - 4 : int(y) + 4, int(x) - 4 : int(x) + 4] for x in (left_x, right_x)]
        return [bool(patch[..., 2].mean() - patch[..., 0].mean() > 30) for patch in patches]

    assert blue() == [False, True], "the second date, which is bluer, is right of the bar"
    page.page.focus("#swipe")
    page.page.keyboard.press("Home")
    page.settle()
    assert blue() == [True, True]
    page.page.keyboard.press("End")
    page.settle()
    assert blue() == [False, False]
    field = bright_field(page.pixels())
    page.page.mouse.move(*page.map_point(0.998, 0.3))
    page.page.mouse.down()
    page.page.mouse.move(*page.map_point(0.5, 0.3), steps=3)
    page.page.mouse.up()
    page.ask("What has changed?")
    assert blue() == [False, True]
    near(frame_of(page.pixels(), RED, least=LEAST_PX), field)


def test_regions_and_pictures_can_be_taken_home(page: MapPage, scenes: dict[str, Path], tmp_path: Path) -> None:
    page.add(scenes["before"])
    turn = page.ask("Where is the field?")
    files = {}
    for words in ("GeoJSON", "GeoPackage", "PNG"):
        with page.page.expect_download() as saved:
            turn.get_by_role("button", name=words).click()
        files[words] = tmp_path / saved.value.suggested_filename
        saved.value.save_as(files[words])
    assert [file.name for file in files.values()] == ["before-regions.geojson", "before-regions.gpkg", "before-map.png"]
    features = json.loads(files["GeoJSON"].read_text())["features"]
    assert [feature["properties"]["phrase"] for feature in features] == ["field", "road"]
    with sqlite3.connect(files["GeoPackage"]) as table:
        assert table.execute("select phrase from regions").fetchall() == [("field",), ("road",)]
    image = np.array(Image.open(files["PNG"]).convert("RGB"))
    near(frame_of(image, RED, least=LEAST_PX), shifted(frame_of(page.pixels(), RED, least=LEAST_PX), page))


def shifted(box: Box | None, page: MapPage) -> Box:
    """Give a box of the window in the map's own pixels."""
    assert box is not None
    x, y = map(int, page.map_point(0, 0))
    return box[0] - x, box[1] - y, box[2] - x, box[3] - y


def test_a_conversation_comes_back_with_its_shapes(page: MapPage, scenes: dict[str, Path]) -> None:
    page.add(scenes["before"])
    page.ask("Where is the field?")
    frame = frame_of(page.pixels(), RED, least=LEAST_PX)
    page.page.reload()
    page.page.wait_for_selector("body[aria-busy=false]")
    page.page.locator("#history .pick").first.click()
    page.page.wait_for_selector(".turn[data-state=done]")
    page.settle()
    near(frame_of(page.pixels(), RED, least=LEAST_PX), frame)
    page.page.once("dialog", lambda dialog: dialog.accept())
    page.page.click("#forget-all")
    assert not page.page.locator("#history-part").is_visible()


def test_lengths_and_areas_are_those_of_the_ground(page: MapPage, scenes: dict[str, Path]) -> None:
    page.add(scenes["before"])
    field = bright_field(page.pixels())
    assert field is not None
    page.page.click("[data-tool=length]")
    page.page.mouse.click(field[0], field[1])
    page.page.mouse.dblclick(field[2], field[1])
    length = measured(page)
    assert length.endswith(" m") and abs(float(length[:-2]) - (TARGET[2] - TARGET[0]) * 0.5) < 1.5
    page.page.click("[data-tool=area]")
    for x, y in ((field[0], field[1]), (field[2], field[1]), (field[2], field[3])):
        page.page.mouse.click(x, y)
    page.page.mouse.dblclick(field[0], field[3])
    area = measured(page, other_than=length)
    assert area.endswith(" m²") and abs(float(area[:-3].replace(",", "")) - 2700) < 120


def measured(page: MapPage, *, other_than: str = "-") -> str:
    """Give the measure that the page says."""
    page.page.wait_for_function(
        "other => /^Measured: /.test(spoken.textContent) && !spoken.textContent.includes(other)", arg=other_than
    )
    return page.page.locator("#spoken").inner_text().removeprefix("Measured: ").removesuffix(".")


def test_options_say_how_to_look(page: MapPage, scenes: dict[str, Path], engine: ToldEngine) -> None:
    page.add(scenes["before"])
    page.page.select_option("#bands", "own")
    page.page.locator("#own-bands select").nth(0).select_option("3")
    page.page.click("#options summary")
    page.page.select_option("[name=task]", "detect")
    page.page.select_option("[name=part]", "view")
    page.page.select_option("[name=budget]", "5")
    page.page.select_option("[name=model]", "nadir-told-ships")
    page.page.check("[name=follow]")
    page.ask("Where is the field?")
    request = engine.prompts[-1].request
    assert engine.prompts[-1].adapter == "nadir-told-ships"
    assert (request.bands, request.task, request.budget, request.bbox) == ("3,2,3", "detect", 5, None)
    page.page.click("#zoom-in")
    page.page.click("#zoom-in")
    page.settle()
    page.ask("And here?")
    prompt = engine.prompts[-1]
    assert prompt.request.bbox is not None and prompt.request.bbox[2] - prompt.request.bbox[0] < 0.002
    assert [said.role for said in prompt.before] == ["user", "assistant"]


def test_the_cost_card_opens_on_demand(page: MapPage, scenes: dict[str, Path]) -> None:
    page.add(scenes["plain"])
    turn = page.ask("Describe this image.")
    card = turn.locator(".card")
    assert not card.locator("dl").is_visible()
    card.locator("summary").click()
    facts = card.locator("dl").inner_text()
    assert "Tiles read" in facts and "450 ms" in facts and "1,140 MB" in facts, facts
    assert f"{WIDTH} × {WIDTH} px at 0, 0" in card.inner_text() or f"{WIDTH} × {HEIGHT}" in card.inner_text()
