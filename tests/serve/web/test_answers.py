"""A user sends an image and asks: the answer's shapes lie where the image shows them, in every frame."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.serve.web.conftest import HEIGHT, TARGET, WIDTH
from tests.serve.web.map_page import RED, TEAL, Box, MapPage, bright, coloured, extent_of, farthest_px
from tests.serve.web.told import ToldEngine

# Tiles are drawn in several threads at once, and Python's own way to silence a warning holds for one at a time.
pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
EDGE_PX = 4.0  # half a line's width, its round corners, and a pixel of the scene


def red(page: MapPage) -> np.ndarray:
    """Say where the first colour of regions is on the map."""
    return coloured(page.pixels(), RED)


def field_of(page: MapPage) -> Box:
    """Give the box of the white field on the screen."""
    box = extent_of(bright(page.pixels()))
    assert box is not None, "the map does not show the scene"
    return box


@pytest.mark.parametrize("name", ["before", "plain"])
def test_a_box_lies_around_what_it_names(page: MapPage, scenes: dict[str, Path], name: str) -> None:
    page.add(scenes[name])
    field = bright(page.pixels())
    turn = page.ask("Where is the field?")
    assert turn.locator(".words").inner_text() == "One field 1 and a road 2."
    assert farthest_px(field, red(page)) <= EDGE_PX
    assert coloured(page.pixels(), TEAL).sum() > 300, "the oriented box is drawn in the second colour"
    sizes = turn.locator(".size").all_inner_texts()
    assert ("2,699 m², 60.0 m long" if name == "before" else "10,800 px²") == sizes[0], sizes


def test_a_mask_fills_what_it_names(page: MapPage, scenes: dict[str, Path]) -> None:
    page.add(scenes["before"])
    field, (x1, y1, x2, y2) = bright(page.pixels()), field_of(page)
    page.ask("Segment the field.")
    assert farthest_px(field, red(page)) <= EDGE_PX
    inside = page.colour_at((x1 + x2) / 2, (y1 + y2) / 2)
    assert inside[0] - inside[1] > 25, "the inside of a mask is tinted"


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
    # The tint makes the field a little red: what is bright now is its inside, as far as the line.
    inside = (shown[..., 0] > 225) & (shown[..., 1] > 200) & ~coloured(shown, RED)
    assert farthest_px(inside, red(page)) <= EDGE_PX + 2


def test_text_and_shape_light_each_other_up(page: MapPage, scenes: dict[str, Path]) -> None:
    page.add(scenes["before"])
    x1, y1, x2, y2 = field_of(page)
    turn = page.ask("Where is the field?")
    plain = int(red(page).sum())
    turn.locator(".chip").first.hover()
    page.settle()
    assert int(red(page).sum()) > plain * 1.15, "the shape's line grows"
    page.page.mouse.move((x1 + x2) / 2, (y1 + y2) / 2)
    page.page.wait_for_selector(".region.lit[data-region='1']")
    assert page.page.locator(".region.lit").count() == 1
    page.page.mouse.click((x1 + x2) / 2, (y1 + y2) / 2)
    assert page.page.evaluate("document.activeElement.dataset.region") == "1"


@pytest.mark.parametrize("name", ["before", "plain"])
def test_a_drawn_box_is_the_region_that_the_model_is_asked_about(
    page: MapPage, scenes: dict[str, Path], engine: ToldEngine, name: str
) -> None:
    page.add(scenes[name])
    field, (x1, y1, x2, y2) = bright(page.pixels()), field_of(page)
    page.page.click("[data-tool=box]")
    page.page.mouse.click(x1, y1)
    page.page.mouse.move(x2 - 20, y2 - 20, steps=3)
    page.page.mouse.click(x2, y2)
    page.page.wait_for_selector("#asked .tag")
    turn = page.ask("What is in this region?")
    assert turn.locator(".question .tag").inner_text() == "Region 1"
    (region,) = engine.prompts[-1].request.regions
    if name == "before":
        # Drawn upright, it comes back in the image's grid, which lies aslant by a degree and a half.
        left, _, right, bottom = extent_of(red(page)) or (0, 0, 0, 0)
        assert max(abs(left - x1), abs(right - x2), abs(bottom - y2)) <= EDGE_PX + 5
        assert json.loads(str(region))["type"] == "Polygon"
    else:
        assert farthest_px(field, red(page)) <= EDGE_PX + 1
        drawn = [float(number) for number in str(region).removeprefix("box:").split(",")]
        np.testing.assert_allclose(drawn, TARGET, atol=2)


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
    (left_x, y), (right_x, _) = page.map_point(0.4, 0.62), page.map_point(0.85, 0.62)

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
    field = bright(page.pixels())
    page.page.mouse.move(*page.map_point(0.998, 0.3))
    page.page.mouse.down()
    page.page.mouse.move(*page.map_point(0.74, 0.3), steps=3)
    page.page.mouse.up()
    page.ask("What has changed?")
    assert blue() == [False, True]
    assert farthest_px(field, red(page)) <= EDGE_PX


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
    x, y = map(int, page.map_point(0, 0))
    seen, saved_box = extent_of(red(page)), extent_of(coloured(image, RED))
    assert seen is not None and saved_box == (seen[0] - x, seen[1] - y, seen[2] - x, seen[3] - y)


def test_a_conversation_comes_back_with_its_shapes(page: MapPage, scenes: dict[str, Path]) -> None:
    page.add(scenes["before"])
    page.ask("Where is the field?")
    before = extent_of(red(page))
    page.page.reload()
    page.page.wait_for_selector("body[aria-busy=false]")
    page.page.locator("#history .pick").first.click()
    page.page.wait_for_selector(".turn[data-state=done]")
    page.settle()
    assert before is not None and extent_of(red(page)) == before
    page.page.once("dialog", lambda dialog: dialog.accept())
    page.page.click("#forget-all")
    assert not page.page.locator("#history-part").is_visible()


def test_lengths_and_areas_are_those_of_the_ground(page: MapPage, scenes: dict[str, Path]) -> None:
    page.add(scenes["before"])
    x1, y1, x2, y2 = field_of(page)
    page.page.click("[data-tool=length]")
    page.page.mouse.click(x1, y1)
    page.page.mouse.dblclick(x2, y1)
    length = measured(page)
    assert length.endswith(" m") and abs(float(length[:-2]) - (TARGET[2] - TARGET[0]) * 0.5) < 1.5
    page.page.click("[data-tool=area]")
    for x, y in ((x1, y1), (x2, y1), (x2, y2)):
        page.page.mouse.click(x, y)
    page.page.mouse.dblclick(x1, y2)
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
