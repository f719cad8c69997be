"""A report opens offline, shows every region once and says nothing that the answer does not hold."""

from __future__ import annotations

import html
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PILImage

from tests.vlm.fake_nadir import answer_about
from tests.vlm.made_rasters import UTM, checker, write_raster
from vlm.errors import RasterError
from vlm.geometry.shapes import HBB, Mask, Window
from vlm.overlay import draw_marks, encode_png, load_answer_pictures, load_pictures, marks_of, render_overlay, view_of
from vlm.records import Answer, Region
from vlm.report import Entry, render_answer, render_report
from vlm.summary import (
    answer_to_dict,
    render_area,
    render_box,
    render_cost,
    render_length,
    render_lonlat,
    render_text,
    render_words,
    summarise_regions,
)


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return write_raster(tmp_path / "scene.tif", checker(3, 120, 160), **UTM)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return write_raster(tmp_path / "plain.tif", checker(3, 120, 160))


def _outside(page: str) -> list[str]:
    return re.findall(r"(?:src|href|url\()\s*=?\s*[\"']?(?!data:)(?:https?:)?//[^\"')]*", page)


def test_a_page_is_whole_and_asks_nobody(scene: Path) -> None:
    answer = answer_about((scene,), "Where are the ships?")
    page = render_report([Entry(answer, (scene,), "Ships")], title="A <title>", model="A model.", note="A note.")
    assert page.strip().startswith("<!doctype html>")
    assert page.strip().endswith("</html>")
    assert not _outside(page)
    assert "A &lt;title&gt;" in page
    assert page.count("data:image/jpeg;base64,") == 1
    for text in ("Where are the ships?", "Ships", "A model.", "A note.", "a list broke off", "scene.tif", "812 MB"):
        assert text in page


def test_every_region_is_drawn_once_and_listed_once(scene: Path) -> None:
    page = render_answer(answer_about((scene,), "Where?"), [scene])
    assert len(re.findall(r'<path class="shape', page)) == 3
    assert len(re.findall(r'<tr class="r\d+"', page)) == 3
    assert "wake &amp; foam" in page
    assert page.count("<rect x=") >= 5, "the tiles that were read"


def test_a_users_words_are_text_and_never_markup(scene: Path) -> None:
    answer = replace(answer_about((scene,), "<script>alert(1)</script>"), text="</pre><img src=x>")
    page = render_answer(answer, [scene])
    assert "<script>" not in page
    assert "<img" not in page
    assert html.escape("<script>alert(1)</script>") in page


def test_two_dates_stand_side_by_side_with_the_regions_on_both(scene: Path, tmp_path: Path) -> None:
    later = write_raster(tmp_path / "later.tif", checker(3, 120, 160, seed=1), **UTM)
    page = render_answer(answer_about((scene, later), "What changed?"), [scene, later])
    assert page.count("<figure>") == 2
    assert "first date" in page
    assert "second date" in page
    assert len(re.findall(r'<path class="shape', page)) == 6
    assert len(re.findall(r'<g class="m\d+ other"', page)) == 3


def test_an_answer_without_picture_cost_and_trace_is_shown_too() -> None:
    page = render_answer(Answer("a harbour"))
    assert "a harbour" in page
    assert "<figure>" not in page


def test_the_picture_shows_the_window_that_was_read(scene: Path) -> None:
    (whole,) = load_pictures([scene])
    (part,) = load_pictures([scene], view=Window(40, 20, 64, 32))
    assert np.array_equal(part.rgb, whole.rgb[20:52, 40:104])
    answer = answer_about((scene,), "Where?")
    inside = replace(answer, trace=tuple(s for s in answer.trace if s.tile.level == 1)[:1])
    (picture,) = load_answer_pictures(inside, [scene])
    assert picture.view == view_of(inside.trace, 160, 120) == Window(0, 0, 80, 80)


@pytest.mark.parametrize("window", [Window(40, 20, 90, 30), Window(10, 5, 20, 100), Window(150, 110, 10, 10)])
def test_the_picture_is_the_window_that_was_asked_about_and_no_more(scene: Path, window: Window) -> None:
    answer = answer_about((scene,), "Where?", window)
    (picture,) = load_answer_pictures(answer, [scene])
    assert picture.view == window
    assert picture.rgb.shape == (window.h, window.w, 3)
    for page in (answer._repr_html_(), render_report([Entry(answer, (scene,))], title="", model="")):
        assert f'viewBox="0 0 {window.w} {window.h}"' in page
    assert answer_to_dict(answer)["window_px"] == [window.x, window.y, window.w, window.h]


def test_the_picture_shows_the_bands_that_were_asked_for(scene: Path) -> None:
    answer = replace(answer_about((scene,), "Where?"), bands="3,2,1")
    (usual,), (asked,) = load_pictures([scene]), load_answer_pictures(answer, [scene])
    assert np.array_equal(asked.rgb, usual.rgb[..., ::-1])
    assert answer._repr_html_() == render_answer(answer, [scene]) != replace(answer, bands=None)._repr_html_()
    assert asked.sentence in html.unescape(answer._repr_html_())
    assert answer_to_dict(answer)["bands"] == "3,2,1"


def test_a_large_image_is_read_small(tmp_path: Path) -> None:
    big = write_raster(tmp_path / "big.tif", checker(1, 600, 3000))
    (picture,) = load_pictures([big], size_px=300)
    assert picture.rgb.shape == (60, 300, 3)


def test_marks_lie_where_the_regions_are(scene: Path) -> None:
    black = write_raster(scene.with_name("black.tif"), np.zeros((3, 100, 200), np.uint8))
    (picture,) = load_pictures([black])
    box = Answer("{box:0}", (Region(HBB(50, 30, 150, 80), "field"),))
    drawn = np.asarray(draw_marks(picture, marks_of(box))).astype(int)
    scale = drawn.shape[1] / 200
    coloured = drawn.sum(axis=2) > 150
    rows, cols = np.flatnonzero(coloured.any(axis=1)), np.flatnonzero(coloured.any(axis=0))
    assert cols[0] == pytest.approx(50 * scale, abs=4)
    assert cols[-1] == pytest.approx(150 * scale, abs=4)
    assert rows[-1] == pytest.approx(80 * scale, abs=4)
    assert not coloured[round(55 * scale), round(100 * scale)], "a box has no fill"


def test_holes_are_left_open_and_no_fill_hides_another_outline(tmp_path: Path) -> None:
    black = write_raster(tmp_path / "black.tif", np.zeros((3, 100, 200), np.uint8))
    (picture,) = load_pictures([black])
    bits = np.ones((5, 5), bool)
    bits[1:4, 1:4] = False
    bits[2, 2] = True
    ring = Region(Mask(bits, HBB(20, 0, 120, 100)), "ring")
    regions = (Region(HBB(60, 10, 80, 90), "under"), ring)
    drawn = np.asarray(draw_marks(picture, marks_of(Answer("{box:0}{seg:1}", regions)))).astype(int).sum(axis=2)
    scale = drawn.shape[1] / 200

    def shown(x: float, y: float) -> bool:
        return bool(drawn[round(y * scale), round(x * scale)] > 30)

    assert shown(30, 50) and shown(110, 50), "the ring"
    assert shown(75, 45), "the part in its hole"
    assert not shown(50, 50) and not shown(90, 50), "the hole"
    assert drawn[round(15 * scale), round(60 * scale)] > 250, "the outline under the fill"


def test_an_overlay_is_a_png_of_both_dates(scene: Path) -> None:
    answer = answer_about((scene, scene), "What changed?")
    data = encode_png(render_overlay(answer, load_answer_pictures(answer, [scene, scene])))
    with PILImage.open(io.BytesIO(data)) as image:
        assert image.format == "PNG"
        assert image.width > 2 * 160


def test_regions_with_one_phrase_share_a_colour() -> None:
    boxes = tuple(Region(HBB(n, n, n + 5, n + 5), phrase) for n, phrase in enumerate(("ship", "dock", "ship")))
    colours = [mark.colour for mark in marks_of(Answer("{box:0,1,2}", boxes))]
    assert colours[0] == colours[2] != colours[1]


def test_a_missing_image_is_refused_in_words() -> None:
    with pytest.raises(RasterError, match="does not exist"):
        render_answer(Answer("a harbour"), ["nowhere.tif"])


@pytest.mark.parametrize(
    ("template", "regions", "words"),
    [
        ("a harbour", 0, "a harbour"),
        ("two {{ships}}: {box:0,1}.", 2, "two {ships}: [1] [2]."),
        ("{ref box:0} and {ref box:1}", 2, "ship [1] and ship [2]"),
        ("{box:0}", 1, "1 × ship: [1]"),
        ("{box:0,1}", 2, "2 × ship: [1] [2]"),
        ("{box:" + ",".join(map(str, range(20))) + "}", 20, "20 × ship: [1] … [20]"),
        ("", 0, "nothing"),
        ("?!", 0, "?!"),
        ("7", 0, "7"),
    ],
)
def test_an_answer_reads_as_words(template: str, regions: int, words: str) -> None:
    ships = tuple(Region(HBB(0, 0, 5, 5), "ship") for _ in range(regions))
    assert render_words(Answer(template, ships)) == words


def test_the_text_names_place_and_size_on_a_map(scene: Path) -> None:
    text = render_text(answer_about((scene,), "Where?"))
    assert "There are two {ships}: [1] [2], and wake & foam [3]." in text
    assert re.search(
        r"\[1\] ship: box, x 10 to 50, y 20 to 40 px; 33\.\d{5}° N 84\.\d{5}° W; 200 m², 20\.0 m long", text
    )
    assert "note: truncated: a list broke off" in text
    assert "cost: 5 tiles, 90 visual tokens" in text


def test_without_a_map_the_text_keeps_to_pixels(plain: Path) -> None:
    text = render_text(answer_about((plain,), "Where?"))
    assert "x 10 to 50, y 20 to 40 px\n" in text
    assert "°" not in text


def test_the_dictionary_is_json_and_its_runs_are_the_mask(scene: Path) -> None:
    answer = answer_about((scene,), "Where?")
    values = json.loads(json.dumps(answer_to_dict(answer), allow_nan=False))
    assert [region["number"] for region in values["regions"]] == [1, 2, 3]
    mask = values["regions"][2]["geometry_px"]
    bits = np.repeat(np.arange(len(mask["runs"])) % 2 == 1, mask["runs"]).reshape(mask["rows"], mask["cols"])
    assert np.array_equal(bits, np.eye(8, dtype=bool))
    assert values["cost"]["tiles"] == 5
    assert len(values["trace"]) == len(answer.trace)


def test_sizes_and_places_are_written_as_a_reader_expects() -> None:
    assert render_area(12.34) == "12.3 m²"
    assert render_area(2500) == "2,500 m²"
    assert render_area(25_000) == "2.50 ha"
    assert render_area(2.5e6) == "2.50 km²"
    assert render_length(12.34) == "12.3 m"
    assert render_length(25_000) == "25.0 km"
    assert render_box((0.1, 3, 90.4, 13.6)) == ("0", "3", "90", "14")
    assert render_box((0.1, 0.125, 0.5, 200)) == ("0.10", "0.12", "0.50", "200.00")
    assert render_lonlat((-2.5, -48.25)) == "48.25000° S 2.50000° W"
    assert render_cost(answer_about((), "?").cost or pytest.fail("no cost")).startswith("5 tiles, 90 visual tokens")


def test_areas_come_from_the_ellipsoid(scene: Path) -> None:
    first = summarise_regions(answer_about((scene,), "Where?"))[0]
    assert first.area_px == pytest.approx(800)
    assert first.area_m2 == pytest.approx(200, rel=2e-3)
    assert first.length_m == pytest.approx(20, rel=2e-3)
