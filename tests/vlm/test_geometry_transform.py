"""Flips and quarter turns there and back are exact; masks move as arrays do."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm.errors import GeometryError
from vlm.geometry import (
    HBB,
    OBB,
    Geometry,
    Mask,
    Polygon,
    canonical,
    flip,
    rotate90,
    scale,
    shift,
    to_polygon,
    to_shapely,
    transform,
)

law = settings(deadline=None, max_examples=50)

# Coordinates on a fine binary grid, so that W - (W - x) is x: what an image's own coordinates are up to 2^-20 px.
number = st.integers(0, 300 << 10).map(lambda n: n / 1024)
boxes = st.tuples(number, number, number, number).map(
    lambda v: HBB(min(v[0], v[2]), min(v[1], v[3]), max(v[0], v[2]), max(v[1], v[3]))
)
angle = st.integers(-90 << 10, (90 << 10) - 1).map(lambda n: n / 1024)
obbs = st.builds(OBB, number, number, number, number, angle).map(canonical)
polygons = st.lists(st.tuples(number, number), min_size=3, max_size=6).map(lambda p: Polygon(tuple(p)))


@st.composite
def masks(draw: st.DrawFn) -> Mask:
    rows, cols = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    bits = draw(st.lists(st.booleans(), min_size=rows * cols, max_size=rows * cols))
    return Mask(np.array(bits, dtype=bool).reshape(rows, cols), draw(boxes))


shapes = st.one_of(boxes, obbs, polygons, masks())


@law
@given(shapes, st.sampled_from(["x", "y"]))
def test_two_flips_are_none(shape: Geometry, axis: str) -> None:
    once = flip(shape, width=300, height=200, axis=axis)
    assert flip(once, width=300, height=200, axis=axis) == shape


@law
@given(shapes, st.integers(1, 3))
def test_turning_back_is_exact(shape: Geometry, turns: int) -> None:
    width, height = (200, 300) if turns % 2 else (300, 200)
    turned = rotate90(shape, width=300, height=200, turns=turns)
    assert rotate90(turned, width=width, height=height, turns=-turns) == shape


@law
@given(shapes)
def test_four_quarter_turns_are_none(shape: Geometry) -> None:
    turned = shape
    for width, height in ((300, 200), (200, 300)) * 2:
        turned = rotate90(turned, width=width, height=height)
    assert turned == shape


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 4, -1])
def test_a_mask_turns_as_the_image_does(turns: int) -> None:
    image = np.random.default_rng(0).random((4, 6)) > 0.5
    mask = rotate90(Mask(image, HBB(0, 0, 6, 4)), width=6, height=4, turns=turns)
    assert isinstance(mask, Mask)
    assert np.array_equal(mask.bits, np.rot90(image, -turns))
    mirrored = flip(Mask(image, HBB(0, 0, 6, 4)), width=6, height=4, axis="x")
    assert isinstance(mirrored, Mask)
    assert np.array_equal(mirrored.bits, image[:, ::-1])


@law
@given(shapes, st.floats(0.25, 4), st.floats(0.25, 4))
def test_scaling_scales_the_area(shape: Geometry, sx: float, sy: float) -> None:
    if isinstance(shape, OBB):
        sy = sx
    before, after = to_shapely(shape).area, to_shapely(scale(shape, sx, sy)).area
    assert after == pytest.approx(before * sx * sy, rel=1e-6, abs=1e-6)


@law
@given(obbs, st.floats(-180, 180))
def test_a_turn_by_any_angle_turns_the_corners(obb: OBB, degrees: float) -> None:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    affine = ((cos, -sin, 5.0), (sin, cos, -7.0))
    turned, corners = transform(obb, affine), transform(to_polygon(obb), affine)
    assert isinstance(turned, OBB) and isinstance(corners, Polygon)
    apart = shapely.MultiPoint(turned.corners()).hausdorff_distance(shapely.MultiPoint(corners.exterior))
    assert apart < 1e-9 * (1 + obb.w)


def test_a_sheared_obb_keeps_around_its_corners() -> None:
    sheared = transform(OBB(50, 50, 40, 10, 30), ((1, 0.5, 0), (0, 1, 0)))
    corners = to_shapely(transform(to_polygon(OBB(50, 50, 40, 10, 30)), ((1, 0.5, 0), (0, 1, 0))))
    assert isinstance(sheared, OBB)
    assert to_shapely(sheared).buffer(1e-6).covers(corners)


def test_a_turned_box_is_a_polygon_and_a_turned_mask_is_refused() -> None:
    turn = ((0.8, -0.6, 0.0), (0.6, 0.8, 0.0))
    assert isinstance(transform(HBB(0, 0, 2, 1), turn), Polygon)
    assert isinstance(shift(HBB(0, 0, 2, 1), 3, 4), HBB)
    with pytest.raises(GeometryError, match="to_polygons"):
        transform(Mask(np.ones((2, 2), dtype=bool), HBB(0, 0, 2, 2)), turn)
    with pytest.raises(GeometryError, match="axis"):
        flip(HBB(0, 0, 1, 1), width=2, height=2, axis="z")
