"""Angle conventions against arithmetic that knows nothing of ours: cv2, shapely and plain rotation matrices."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import affinity

from vlm.errors import GeometryError
from vlm.geometry import CONVENTIONS, OBB, from_convention, to_convention, to_shapely
from vlm.geometry.angles import from_dota, opencv_convention, to_dota

law = settings(deadline=None, max_examples=50)

degrees = st.integers(-360_000, 360_000).map(lambda thousandths: thousandths / 1000)
obbs = st.builds(OBB, st.floats(-500, 500), st.floats(-500, 500), st.floats(1, 300), st.floats(1, 300), degrees)


def difference(a: OBB, b: OBB) -> float:
    """Bound what two boxes do not share, relative to their area."""
    return apart(to_shapely(a), to_shapely(b))


def apart(a: shapely.Polygon, b: shapely.Polygon) -> float:
    """Bound the area that two shapes do not share by the distance of their outlines, relative to their area.

    GEOS gives the whole area as the symmetric difference of some shapes that differ by 1e-15 px: distances do not.
    """
    return a.hausdorff_distance(b) * a.length / a.area


@pytest.mark.parametrize("name", CONVENTIONS)
@law
@given(obb=obbs)
def test_there_and_back_is_the_same_rectangle(name: str, obb: OBB) -> None:
    assert difference(obb, from_convention(to_convention(obb, name), name)) < 1e-6


@pytest.mark.parametrize("name", CONVENTIONS)
@law
@given(obb=obbs)
def test_angles_keep_their_range(name: str, obb: OBB) -> None:
    rule = CONVENTIONS[name]
    _, _, w, h, angle = to_convention(obb, name)
    degrees = math.degrees(angle) if rule.radians else angle
    assert rule.low_deg - 1e-9 <= degrees <= rule.low_deg + rule.period_deg + 1e-9
    if rule.period_deg == 180:
        assert w >= h


@law
@given(obbs)
def test_the_installed_opencv_follows_the_convention_named_for_its_version(obb: OBB) -> None:
    name = opencv_convention(cv2.__version__)
    (cx, cy), (w, h), angle = cv2.minAreaRect(np.array(obb.corners(), dtype=np.float32))
    assert difference(obb, from_convention((cx, cy, w, h, angle), name)) < 1e-2 + 0.2 / min(obb.w, obb.h)
    rule = CONVENTIONS[name]
    assert rule.low_deg <= angle <= rule.low_deg + 90
    written = to_convention(from_convention((cx, cy, w, h, angle), name), name)
    assert written == pytest.approx((cx, cy, w, h, angle), abs=1e-6)


@law
@given(obbs)
def test_opencv_old_is_opencv_new_turned_by_a_quarter(obb: OBB) -> None:
    cx, cy, w, h, angle = to_convention(obb, "opencv_new")
    expected = (cx, cy, w, h, -90.0) if angle == 90 else (cx, cy, h, w, angle - 90)
    assert to_convention(obb, "opencv_old") == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ("3.4.12", "opencv_old"),
        ("3.4.13", "opencv_new"),
        ("4.5.0", "opencv_old"),
        ("4.5.1", "opencv_new"),
        ("4.12.0", "opencv_new"),
        ("4.13.0", "opencv_old"),
        ("5.0.0", "opencv_old"),
    ],
)
def test_versions_of_opencv(version: str, name: str) -> None:
    assert opencv_convention(version) == name


@law
@given(obbs)
def test_geochat_turns_as_get_rotation_matrix_2d(obb: OBB) -> None:
    cx, cy, w, h, angle = to_convention(obb, "geochat")
    upright = np.array(OBB(cx, cy, w, h, 0).corners())[None]
    turned = cv2.transform(upright, cv2.getRotationMatrix2D((cx, cy), angle, 1))[0]
    polygon = shapely.Polygon(turned)
    assert polygon.hausdorff_distance(to_shapely(obb)) < 1e-4  # px: the matrix takes a float32 centre


@law
@given(obbs)
def test_le90_turns_clockwise_as_shapely_with_y_down(obb: OBB) -> None:
    cx, cy, w, h, angle = to_convention(obb, "le90")
    turned = affinity.rotate(shapely.box(cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2), angle, origin=(cx, cy))
    assert apart(turned, to_shapely(obb)) < 1e-6


@law
@given(obbs)
def test_hit_uav_is_in_radians_along_the_long_side(obb: OBB) -> None:
    cx, cy, w, h, theta = to_convention(obb, "hit_uav")
    assert 0 <= theta < math.pi + 1e-12
    assert w >= h
    along = np.array([math.cos(theta), math.sin(theta)]) * w / 2
    across = np.array([-math.sin(theta), math.cos(theta)]) * h / 2
    centre = np.array([cx, cy])
    polygon = shapely.Polygon(
        [centre + along + across, centre + along - across, centre - along - across, centre - along + across]
    )
    assert apart(polygon, to_shapely(obb)) < 1e-6


@law
@given(obb=obbs, start=st.integers(0, 3), reverse=st.booleans())
def test_dota_corners_in_any_order(obb: OBB, start: int, reverse: bool) -> None:
    corners = np.array(to_dota(obb)).reshape(4, 2)
    corners = np.roll(corners[::-1] if reverse else corners, start, axis=0)
    assert difference(obb, from_dota(corners.ravel().tolist())) < 1e-6


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("le90", (50, 40, 30, 10, -60)),
        ("opencv_old", (50, 40, 30, 10, -60)),
        ("opencv_new", (50, 40, 10, 30, 30)),
        ("geochat", (50, 40, 30, 10, 60)),
        ("hit_uav", (50, 40, 30, 10, math.radians(120))),
    ],
)
def test_one_box_in_every_convention(name: str, written: tuple[float, ...]) -> None:
    assert to_convention(OBB(50, 40, 30, 10, -60), name) == pytest.approx(written)


def test_refusals_list_what_is_known() -> None:
    with pytest.raises(GeometryError, match="le90, opencv_old"):
        to_convention(OBB(0, 0, 1, 1, 0), "le135")
    with pytest.raises(GeometryError, match="8 numbers"):
        from_dota([1, 2, 3])
