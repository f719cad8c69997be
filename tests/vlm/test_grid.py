from __future__ import annotations

import pickle
import re
from pathlib import Path

import numpy as np
import pyproj
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.vlm.made_rasters import with_gcps, with_rpc, write_raster
from vlm.dataset import grid_of, open_dataset
from vlm.errors import RasterError
from vlm.gcps import GroundPoint, fit_gcps
from vlm.grid import Affine6, Grid, metres_per_degree

# EPSG code, map coordinates inside its area of use, and the CRS's unit in metres (0 for degrees).
PLACES = [
    ("EPSG:32616", 733_601.0, 3_725_139.0, 1.0),
    ("EPSG:32750", 297_000.0, 9_050_000.0, 1.0),
    ("EPSG:4326", 4.35, 51.87, 0.0),
    ("EPSG:4269", -99.18, 47.03, 0.0),
    ("EPSG:3857", 14_320_000.0, 4_530_000.0, 1.0),
    ("EPSG:2154", 652_000.0, 6_862_000.0, 1.0),
    ("EPSG:27700", 530_000.0, 180_000.0, 1.0),
    ("EPSG:3031", 500_000.0, 1_200_000.0, 1.0),
    ("EPSG:2263", 980_000.0, 200_000.0, 0.3048006096012192),
    ("EPSG:2193", 1_750_000.0, 5_920_000.0, 1.0),
]


@st.composite
def affine_grids(draw: st.DrawFn) -> Grid:
    crs, x, y, unit = draw(st.sampled_from(PLACES))
    gsd_m = draw(st.floats(0.05, 60))
    pixel = gsd_m / (unit or 111_320)
    turn = np.radians(draw(st.floats(-180, 180)))
    flip = draw(st.sampled_from([-1, 1]))
    stretch = draw(st.floats(0.5, 2))
    a, b = pixel * np.cos(turn), -flip * pixel * stretch * np.sin(turn)
    d, e = pixel * np.sin(turn), flip * pixel * stretch * np.cos(turn)
    size = draw(st.integers(1, 400)), draw(st.integers(1, 400))
    return Grid(*size, crs, tuple(float(v) for v in (a, b, x, d, e, y)))


@settings(max_examples=150, deadline=None)
@given(affine_grids(), st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=8))
def test_pixels_go_to_wgs84_and_back_within_a_tenth_of_a_pixel(grid: Grid, spots: list[tuple[float, float]]) -> None:
    x, y = np.array(spots).T * [[grid.width], [grid.height]]
    back_x, back_y = grid.from_wgs84(*grid.to_wgs84(x, y))
    assert np.abs(back_x - x).max() < 0.1
    assert np.abs(back_y - y).max() < 0.1


@pytest.mark.parametrize(("crs", "x", "y", "unit"), PLACES)
def test_wgs84_agrees_with_pyproj(crs: str, x: float, y: float, unit: float) -> None:
    grid = Grid(10, 10, crs, (1.0 if unit else 1e-5, 0.0, x, 0.0, -1.0 if unit else -1e-5, y))
    expected = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(*grid.to_map(3.0, 4.0))
    assert grid.to_wgs84(3.0, 4.0) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("grid", "gsd_m"),
    [
        (Grid(100, 100, "EPSG:32616", (0.5, 0, 733_601, 0, -0.5, 3_725_139)), 0.5),
        (Grid(100, 100, "EPSG:32616", (0.3, 0.4, 733_601, 0.4, -0.3, 3_725_139)), 0.5),
        (Grid(100, 100, "EPSG:2263", (1.0, 0, 980_000, 0, -1.0, 200_000)), 0.3048006),
        (Grid(100, 100, "EPSG:3857", (1.0, 0, 0, 0, -1.0, 0)), 1.0),
        (Grid(100, 100, "EPSG:3857", (1.0, 0, 0, 0, -1.0, 8_399_738)), 0.5),
    ],
    ids=["utm", "turned", "feet", "mercator at the equator", "mercator at 60 degrees"],
)
def test_gsd_is_metres_on_the_ground(grid: Grid, gsd_m: float) -> None:
    assert grid.gsd_m == pytest.approx(gsd_m, rel=0.011)


@pytest.mark.parametrize("lat", [-80.0, -33.0, 0.0, 10.0, 51.87, 85.0])
def test_geographic_gsd_equals_the_geodesic(lat: float) -> None:
    step = 1e-5
    grid = Grid(2, 2, "EPSG:4326", (step, 0, 7.0 - step, 0, -step, lat + step))
    geod = pyproj.Geod(ellps="WGS84")
    east = geod.inv(7.0 - step / 2, lat, 7.0 + step / 2, lat)[2]
    north = geod.inv(7.0, lat - step / 2, 7.0, lat + step / 2)[2]
    assert grid.gsd_m == pytest.approx((east * north) ** 0.5, rel=1e-6)
    assert metres_per_degree(lat) == pytest.approx((east / step, north / step), rel=1e-6)


def test_longitudes_stay_within_180_degrees_and_come_back_across_the_antimeridian() -> None:
    grid = Grid(100, 100, "EPSG:4326", (0.01, 0, 179.5, 0, -0.01, 10.0))
    lon, lat = grid.to_wgs84(np.array([0.0, 50.0, 100.0]), np.full(3, 50.0))
    assert lon == pytest.approx([179.5, 180.0, -179.5])
    x, _ = grid.from_wgs84(lon, lat)
    assert x == pytest.approx([0, 50, 100])
    world = Grid(360, 180, "EPSG:4326", (1, 0, -180, 0, -1, 90))
    assert world.to_wgs84(360.0, 180.0) == (180.0, -90.0)


@pytest.mark.parametrize("bend", [0.0, 0.5])
def test_control_points_place_pixels_and_return(tmp_path: Path, bend: float) -> None:
    grid = grid_of(open_dataset(str(with_gcps(tmp_path / "gcps.tif", bend=bend))))
    assert grid.georeferenced
    assert grid.transform is None
    assert len(grid.gcps) == 25
    assert fit_gcps(grid.gcps).order == (1 if bend == 0 else 2)
    assert grid.gcp_rms_px == pytest.approx(0, abs=1e-6)
    x, y = np.meshgrid(np.linspace(0, 60, 7), np.linspace(0, 40, 5))
    back_x, back_y = grid.from_wgs84(*grid.to_wgs84(x, y))
    assert np.abs(back_x - x).max() < 1e-6
    assert np.abs(back_y - y).max() < 1e-6
    assert grid.gsd_m == pytest.approx((7.47 * 11.12) ** 0.5, rel=0.02)


@settings(max_examples=60, deadline=None)
@given(st.floats(-180, 180), st.floats(0.1, 30), st.floats(-0.1, 0.1), st.floats(-0.1, 0.1), st.integers(0, 2**31))
def test_bent_control_points_invert(turn_deg: float, gsd_m: float, bend: float, shear: float, seed: int) -> None:
    noise = np.random.default_rng(seed).normal(0, 0.3, (49, 2))
    u, v = (axis.ravel() for axis in np.meshgrid(np.linspace(-1, 1, 7), np.linspace(-1, 1, 7)))
    cos, sin = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
    s, t = u + bend * u * u + shear * v, v + bend * u * v
    x_map, y_map = 4e5 + 200 * gsd_m * (s * cos - t * sin), 5e6 + 200 * gsd_m * (s * sin + t * cos)
    points = np.stack([200 + 200 * u, 200 + 200 * v, x_map + gsd_m * noise[:, 0], y_map + gsd_m * noise[:, 1]], axis=1)
    grid = Grid(400, 400, "EPSG:32633", None, tuple(map(tuple, points.tolist())))
    x, y = np.meshgrid(np.linspace(0, 400, 9), np.linspace(0, 400, 9))
    back_x, back_y = grid.from_wgs84(*grid.to_wgs84(x, y))
    assert np.abs(back_x - x).max() < 0.1
    assert np.abs(back_y - y).max() < 0.1
    assert grid.gcp_rms_px is not None
    assert grid.gcp_rms_px < 1.5


def test_rational_polynomials_become_control_points(tmp_path: Path) -> None:
    grid = grid_of(open_dataset(str(with_rpc(tmp_path / "rpc.tif"))))
    assert grid.crs == "EPSG:4326"
    assert grid.to_wgs84(50.5, 40.5) == pytest.approx((12.0, 48.0), abs=1e-4)
    assert grid.to_wgs84(100.5, 0.5) == pytest.approx((12.005, 48.004), abs=1e-4)


def test_a_grid_is_a_picklable_value() -> None:
    grid = Grid(10, 20, "EPSG:32616", (0.5, 0, 1, 0, -0.5, 2))
    assert pickle.loads(pickle.dumps(grid)) == grid
    assert hash(grid) == hash(pickle.loads(pickle.dumps(grid)))


@pytest.mark.parametrize(
    ("grid", "says"),
    [
        (Grid(10, 20), "10 x 20 pixels has no georeference"),
        (Grid(10, 20, None, (1, 0, 0, 0, 1, 5)), "has no georeference"),
        (Grid(10, 20, "EPSG:4326", None, ((0, 0, 1, 1), (5, 5, 2, 2))), "has no georeference"),
        (Grid(10, 20, "EPSG:4326", None, ((0, 0, 1, 1), (5, 5, 2, 2), (9, 9, 3, 3))), "lie on a line"),
        (Grid(10, 20, "EPSG:999999", (1, 0, 0, 0, 1, 5)), "'EPSG:999999' is not known to PROJ"),
    ],
)
def test_a_grid_without_a_place_says_so(grid: Grid, says: str) -> None:
    with pytest.raises(RasterError, match=says):
        grid.to_wgs84(1, 1)


LINE = tuple((10.0 * k, 7.0 * k, 12.0 + 1e-4 * k, 48.0 - 1e-4 * k) for k in range(6))


@pytest.mark.parametrize(
    ("gcps", "says"),
    [
        (LINE, "its 6 ground control points lie on a line"),
        (LINE[:2], "it has 2 ground control points and no transform"),
        (LINE[:1], "it has 1 ground control point and"),
        ((LINE[0],) * 4, "its 4 ground control points lie on a line"),
        ((*LINE, (10.0, 8.0, 12.0, 48.0)), "its 7 ground control points lie on a line"),
        (((0, 0, 1, 1), (90, 0, 2, 2), (0, 60, 3, 3)), "its 3 ground control points lie on a line"),
        (((0, 0, 1, 1), (90, 0, float("nan"), 2), (0, 60, 3, 3)), "values that are no numbers"),
    ],
)
def test_control_points_that_place_nothing_leave_pixels_and_a_reason(gcps: tuple[GroundPoint, ...], says: str) -> None:
    grid = Grid(100, 70, "EPSG:4326", None, gcps)
    assert not grid.georeferenced
    assert grid.gsd_m is None and grid.gcp_rms_px is None
    assert says in (grid.flaw or "")
    with pytest.raises(RasterError, match=re.escape(says)):
        grid.to_wgs84(1, 1)


@pytest.mark.parametrize(
    ("crs", "transform", "says"),
    [
        (
            "EPSG:4326",
            (10.0, 0.0, 4e5, 0.0, -10.0, 5.2e6),
            "no degrees of longitude and latitude; they may be metres",
        ),
        ("EPSG:4326", (1e-5, 0.0, 35.6, 0.0, 1e-5, 139.7), "they may be latitude before longitude"),
        (
            "EPSG:32633",
            (1e-5, 0.0, 13.4, 0.0, -1e-5, 52.5),
            "look like degrees, but its coordinate system counts",
        ),
        ("EPSG:32633", (10.0, 0.0, 4e7, 0.0, -10.0, 5e6), "lie nowhere on the earth"),
        ("EPSG:3857", (10.0, 0.0, 4e8, 0.0, -10.0, 5e8), "lie nowhere on the earth"),
        ("EPSG:32633", (0.0, 0.0, 4e5, 0.0, 0.0, 5e6), "gives pixels no area"),
        ("EPSG:32633", (1.0, 2.0, 4e5, 2.0, 4.0, 5e6), "gives pixels no area"),
        ("EPSG:32633", (1.0, 0.0, float("nan"), 0.0, 4.0, 5e6), "gives pixels no area"),
        (None, (1.0, 0.0, 0.0, 0.0, -1.0, 0.0), "it has no coordinate system"),
    ],
)
def test_a_crs_that_cannot_be_right_leaves_pixels_and_a_reason(crs: str | None, transform: Affine6, says: str) -> None:
    grid = Grid(100, 80, crs, transform)
    assert not grid.georeferenced and grid.gsd_m is None
    assert says in (grid.flaw or "")
    with pytest.raises(RasterError, match=re.escape(says)):
        grid.from_wgs84(13.0, 52.0)


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        *((crs, (unit or 1e-5, 0.0, x, 0.0, -(unit or 1e-5), y)) for crs, x, y, unit in PLACES),
        ("EPSG:4326", (1.0, 0.0, -180.5, 0.0, -1.0, 90.5)),
        ("EPSG:4326", (3.6, 0.0, 0.0, 0.0, -1.8, 90.0)),
        ("EPSG:3857", (400_750.0, 0.0, -20_037_508.0, 0.0, -400_750.0, 20_037_508.0)),
        ("EPSG:3413", (10.0, 0.0, -500.0, 0.0, -10.0, 500.0)),
        ("EPSG:32661", (1000.0, 0.0, 1_950_000.0, 0.0, -1000.0, 2_050_000.0)),
        ("EPSG:6933", (170_000.0, 0.0, -17_367_530.0, 0.0, -140_000.0, 7_314_540.0)),
        ("EPSG:32633", (0.1, 0.0, -5.0, 0.0, -0.1, 5.0)),
        ("+proj=geos +h=35785831 +sweep=y", (110_000.0, 0.0, -5_500_000.0, 0.0, -110_000.0, 5_500_000.0)),
    ],
)
def test_unusual_but_possible_places_have_no_flaw(crs: str, transform: Affine6) -> None:
    grid = Grid(100, 100, crs, transform)
    assert grid.flaw is None and grid.georeferenced


def test_a_crs_without_a_transform_is_said(tmp_path: Path) -> None:
    write_raster(tmp_path / "only.tif", np.ones((1, 9, 9), np.uint8), crs="EPSG:32633")
    grid = grid_of(open_dataset(str(tmp_path / "only.tif")))
    assert grid.crs == "EPSG:32633" and not grid.georeferenced
    assert grid.flaw == "it has a coordinate system, but no transform and no ground control points"


def test_control_points_at_the_corners_of_a_long_strip_place_it() -> None:
    corners = tuple((x, y, 12 + 1e-5 * x, 48 - 1e-5 * y) for x in (0.0, 20.0) for y in (0.0, 20_000.0))
    grid = Grid(20, 20_000, "EPSG:4326", None, corners)
    assert grid.georeferenced and grid.flaw is None
    assert Grid(10, 20).flaw is None


def test_a_grid_without_a_place_has_no_gsd() -> None:
    assert Grid(10, 20).gsd_m is None
    assert Grid(10, 20).gcp_rms_px is None
    with pytest.raises(RasterError, match="no map coordinates"):
        Grid(10, 20).to_map(1, 1)


def test_a_local_crs_has_no_place_on_the_earth() -> None:
    site = Grid(40, 40, 'LOCAL_CS["Site",UNIT["metre",1]]', (0.5, 0.0, 100.0, 0.0, -0.5, 200.0))
    assert not site.georeferenced and site.gsd_m is None
    with pytest.raises(RasterError, match="geographic or projected CRS"):
        site.to_wgs84(1.0, 1.0)


@pytest.mark.parametrize("turned", [False, True])
def test_a_point_off_the_projection_has_no_pixel_and_the_others_have_theirs(turned: bool) -> None:
    """Orthographic shows half of the earth; the antipode of its centre has no place on it."""
    text = "+proj=ortho +lat_0=10 +lon_0=20 +datum=WGS84"
    affine = (1000.0, 200.0 * turned, -5e4, -300.0 * turned, -1000.0, 5e4)
    points = tuple((x, y, 1000.0 * x - 5e4, -1000.0 * y + 5e4) for x, y in ((0, 0), (100, 0), (0, 100), (100, 100.0)))
    for grid in (Grid(100, 100, text, affine), Grid(100, 100, text, None, points)):
        x, y = grid.from_wgs84(np.array([-160.0, 20.0]), np.array([-10.0, 10.0]))
        assert np.isnan([x[0], y[0]]).all()
        assert np.allclose(grid.to_wgs84(x[1], y[1]), (20.0, 10.0))
        assert np.isnan(grid.to_pixel(np.inf, 0.0)).all() and np.isnan(grid.to_pixel(0.0, np.nan)).all()


def test_points_off_the_projection_are_infinite_and_a_pole_has_no_pixel_size() -> None:
    lambert = Grid(100, 100, "EPSG:3035", (1e6, 0.0, -5e7, 0.0, -1e6, 5e7))
    lon, lat = lambert.to_wgs84(np.array([0.0, 55.0]), np.array([0.0, 47.0]))
    assert not np.isfinite(lon[0])
    assert np.isfinite([lon[1], lat[1]]).all()
    pole = Grid(2, 2, "EPSG:4326", (1.0, 0.0, 0.0, 0.0, -1.0, 91.0))
    assert pole.gsd_m is None
