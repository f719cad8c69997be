"""Conversions, measured against shapely and OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import affinity

from vlm.errors import GeometryError
from vlm.geometry import (
    HBB,
    OBB,
    Mask,
    Polygon,
    canonical,
    from_shapely,
    iou,
    polygons_from_shapely,
    to_hbb,
    to_mask,
    to_obb,
    to_polygon,
    to_polygons,
    to_quad,
    to_shapely,
)
from vlm.geometry.convert import polygon_area

law = settings(deadline=None, max_examples=50)

coordinate = st.floats(-500, 500, allow_nan=False)
side = st.floats(0.5, 400)
obbs = st.builds(OBB, coordinate, coordinate, side, side, st.floats(-720, 720))
L_SHAPE = Polygon(((0, 0), (40, 0), (40, 10), (10, 10), (10, 30), (0, 30)))
DONUT = Polygon(((0, 0), (30, 0), (30, 30), (0, 30)), (((10, 10), (20, 10), (20, 20), (10, 20)),))


def corner_distance(a: OBB, b: OBB) -> float:
    """Give the largest distance between corners under the best cyclic match."""
    first, second = np.array(a.corners()), np.array(b.corners())
    return min(np.abs(first - np.roll(second, k, axis=0)).max() for k in range(4))


@law
@given(obbs)
def test_canonical_keeps_the_rectangle_and_obeys_le90(obb: OBB) -> None:
    same = canonical(obb)
    assert same.w >= same.h
    assert -90 <= same.angle_deg < 90
    assert corner_distance(obb, same) < 1e-9 * 1000


@law
@given(obbs)
def test_corners_are_what_shapely_gives(obb: OBB) -> None:
    upright = shapely.box(obb.cx - obb.w / 2, obb.cy - obb.h / 2, obb.cx + obb.w / 2, obb.cy + obb.h / 2)
    turned = affinity.rotate(upright, obb.angle_deg, origin=(obb.cx, obb.cy))  # y down: shapely's sense is the screen's
    assert turned.hausdorff_distance(to_shapely(obb)) < 1e-9 * (1 + obb.w + obb.h)


@law
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=3, max_size=12, unique=True))
def test_smallest_rectangle_agrees_with_opencv(points: list[tuple[int, int]]) -> None:
    polygon = Polygon(tuple((float(x), float(y)) for x, y in points))
    ours = to_obb(polygon)
    (_, (w, h), _) = cv2.minAreaRect(np.array(points, dtype=np.float32))
    assert ours.area <= w * h + 1e-2 * (1 + w * h)
    hull = shapely.convex_hull(shapely.MultiPoint(points))
    assert shapely.Polygon(ours.corners()).convex_hull.buffer(1e-6).covers(hull)


@law
@given(obbs)
def test_an_obb_survives_its_own_polygon(obb: OBB) -> None:
    assert corner_distance(to_obb(to_polygon(obb)), obb) < 1e-6


def test_mask_to_polygons_keeps_area_parts_and_holes() -> None:
    bits = np.zeros((6, 8), dtype=bool)
    bits[1:5, 1:5] = True
    bits[2:4, 2:4] = False
    bits[5, 7] = True
    mask = Mask(bits, HBB(10, 20, 26, 32))
    parts = to_polygons(mask)
    assert len(parts) == 2
    assert sum(map(polygon_area, parts)) == pytest.approx(mask.area)
    assert sorted(len(part.holes) for part in parts) == [0, 1]
    assert to_hbb(mask) == HBB(12, 22, 26, 32)
    assert polygon_area(to_polygon(mask)) == pytest.approx(12 * 4)


def test_empty_mask_has_a_box_and_no_polygons() -> None:
    empty = Mask(np.zeros((4, 4), dtype=bool), HBB(1, 2, 5, 6))
    assert to_polygons(empty) == ()
    assert to_hbb(empty) == empty.box
    assert to_obb(empty).area == pytest.approx(16)
    assert to_shapely(empty).is_empty


@pytest.mark.parametrize("shape", [L_SHAPE, DONUT, OBB(20, 20, 30, 10, 30), HBB(3.25, 4, 20.5, 18)])
def test_mask_at_pixels_has_the_area(shape: Polygon | OBB | HBB) -> None:
    mask = to_mask(shape, box=HBB(0, 0, 60, 60), rows=240, cols=240)
    assert iou(mask, shape) > 0.95
    assert mask.bits[0, 0] == (shape in (L_SHAPE, DONUT))


def test_mask_to_mask_keeps_cells_of_the_same_grid() -> None:
    bits = np.random.default_rng(0).random((7, 9)) > 0.5
    mask = Mask(bits, HBB(1.5, 2.5, 19.5, 20))
    assert to_mask(mask, box=mask.box, rows=7, cols=9) == mask
    finer = to_mask(mask, box=mask.box, rows=21, cols=18)
    assert np.array_equal(finer.bits, np.kron(bits, np.ones((3, 2))) > 0)


def test_a_grid_needs_an_area() -> None:
    with pytest.raises(GeometryError, match="area"):
        to_mask(L_SHAPE, box=HBB(1, 1, 1, 5), rows=4, cols=4)


def test_shapely_there_and_back() -> None:
    assert from_shapely(to_shapely(DONUT)).holes
    assert polygon_area(from_shapely(to_shapely(DONUT))) == pytest.approx(800)
    two = shapely.MultiPolygon([shapely.box(0, 0, 1, 1), shapely.box(2, 2, 3, 3)])
    assert len(polygons_from_shapely(two)) == 2
    with pytest.raises(GeometryError, match="polygons_from_shapely"):
        from_shapely(two)
    assert polygons_from_shapely(shapely.Point(1, 1)) == ()


def test_bow_tie_is_repaired() -> None:
    bow_tie = Polygon(((0, 0), (10, 10), (10, 0), (0, 10)))
    assert to_shapely(bow_tie).is_valid
    assert to_shapely(bow_tie).area == pytest.approx(50)


def test_quad_of_each_shape() -> None:
    assert to_quad(HBB(1, 2, 3, 4)) == ((1, 2), (3, 2), (3, 4), (1, 4))
    kite = Polygon(((0, 0), (5, 1), (6, 8), (1, 5)))
    assert to_quad(kite) == kite.exterior
    assert len(to_quad(L_SHAPE)) == 4
