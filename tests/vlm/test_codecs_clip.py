"""What leaves the image is cut at its edge: the part inside stays where it is, on the way into text and out of it."""

from __future__ import annotations

import math

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm.codecs import parse_text, render_text
from vlm.codecs.clip import clip_polygon
from vlm.geometry import OBB, Polygon, to_shapely
from vlm.geometry.convert import polygon_area
from vlm.records import Region

SIZE = (200, 100)
FRAME = shapely.box(0, 0, *SIZE)
# An arch that leaves the image at the bottom: what is inside is two legs, the right one larger.
ARCH = Polygon(((10, 50), (30, 50), (30, 110), (60, 110), (60, 20), (90, 20), (90, 120), (10, 120)))


def inside(geometry: Polygon | OBB) -> shapely.Geometry:
    return to_shapely(geometry).intersection(FRAME)


@st.composite
def stars(draw: st.DrawFn) -> Polygon:
    count = draw(st.integers(3, 12))
    radii = draw(st.lists(st.floats(5, 200), min_size=count, max_size=count))
    cx, cy = draw(st.floats(-50, 250)), draw(st.floats(-50, 150))
    turn = 2 * math.pi / count
    return Polygon(tuple((cx + r * math.cos(i * turn), cy + r * math.sin(i * turn)) for i, r in enumerate(radii)))


def largest(shape: shapely.Geometry) -> shapely.Geometry:
    return max(getattr(shape, "geoms", [shape]), key=lambda part: part.area)


@settings(max_examples=150, deadline=None)
@given(stars())
def test_the_largest_part_inside_is_kept(polygon: Polygon) -> None:
    clipped, expected = clip_polygon(polygon, *SIZE), largest(inside(polygon))
    if clipped is None:
        assert expected.area < 1e-6
        return
    assert polygon_area(clipped) == pytest.approx(expected.area, abs=1e-6)
    assert to_shapely(clipped).difference(inside(polygon)).area < 1e-6
    again = clip_polygon(clipped, *SIZE)
    assert again is not None and polygon_area(again) == pytest.approx(polygon_area(clipped))


def test_parts_and_holes_are_cut_too() -> None:
    leg = clip_polygon(ARCH, *SIZE)
    assert leg is not None and to_shapely(leg).equals(shapely.box(60, 20, 90, 100))
    ring = Polygon(
        ((-20, 10), (60, 10), (60, 90), (-20, 90)),
        (((-10, 20), (30, 20), (30, 40)), ((-9, 50), (-2, 50), (-2, 60)), ((40, 70), (50, 70), (50, 80))),
    )
    kept = clip_polygon(ring, *SIZE)
    assert kept is not None and len(kept.holes) == 1
    assert to_shapely(kept).equals(inside(ring))


@settings(max_examples=60, deadline=None)
@given(stars())
def test_a_polygon_that_leaves_the_image_is_written_as_its_part_inside(polygon: Polygon) -> None:
    expected = largest(inside(polygon))
    if expected.area < 1 or expected.area < 0.999 * inside(polygon).area:
        return
    text = render_text("{poly:0}", [Region(polygon)], sizes=[SIZE])
    parsed = parse_text(text, sizes=[SIZE])
    quantum = math.hypot(SIZE[0] / 1000, SIZE[1] / 1000)
    written = to_shapely(parsed.regions[0].geometry)
    off = written.area + expected.area - 2 * written.intersection(expected, grid_size=1e-9).area
    assert off < quantum * (expected.length + 4)
    assert not parsed.issues


def test_a_polygon_outside_the_grid_is_cut_and_counted() -> None:
    parsed = parse_text("<poly>[[500,500,1500,500,1500,1500,500,2500]]</poly>", sizes=[(1000, 1000)])
    (region,) = parsed.regions
    assert [issue.kind for issue in parsed.issues] == ["clipped"]
    assert to_shapely(region.geometry).equals(shapely.box(500, 500, 1000, 1000))
    slanted = parse_text("<poly>[[900,0,1100,400,900,400]]</poly>", sizes=[(1000, 1000)])
    assert to_shapely(slanted.regions[0].geometry).area == pytest.approx(100 * 400 - 100 * 200 / 2)


def test_a_polygon_with_nothing_inside_is_moved_to_the_edge_as_boxes_are() -> None:
    parsed = parse_text("<poly>[[1200,100,1300,100,1300,200]]</poly>", sizes=[(1000, 1000)])
    assert parsed.regions[0].geometry == Polygon(((1000, 100), (1000, 100), (1000, 200)))
    assert [issue.kind for issue in parsed.issues] == ["clipped"]


def test_huge_numbers_are_cut() -> None:
    number = "9" * 30
    parsed = parse_text(f"<poly>[[0,0,{number},0,{number},{number},0,{number}]]</poly>", sizes=[(1000, 1000)])
    assert to_shapely(parsed.regions[0].geometry).area == pytest.approx(1e6)


def test_an_oriented_box_whose_centre_leaves_the_image_keeps_its_place() -> None:
    turned = OBB(210, 50, 60, 20, 20)
    (region,) = parse_text(render_text("{obb:0}", [Region(turned)], sizes=[SIZE]), sizes=[SIZE]).regions
    assert isinstance(region.geometry, OBB)
    covered = to_shapely(region.geometry).intersection(inside(turned)).area
    assert covered > 0.97 * inside(turned).area
    assert region.geometry.cx < 200
