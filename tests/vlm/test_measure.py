"""Areas and lengths against numbers that were not computed here."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import shapely
from pyproj import Transformer

from vlm.errors import RasterError
from vlm.geometry import HBB, OBB, Mask, Polygon
from vlm.grid import Grid
from vlm.measure import measure

WORLD = Grid(3600, 1800, "EPSG:4326", (0.1, 0, -180, 0, -0.1, 90))
UTM = Grid(2000, 1500, "EPSG:32631", (0.5, 0, 500_000, 0, -0.5, 5_400_000))
EARTH_M2 = 510_065_621_724_089.0
DEGREE_AT_EQUATOR_M = 111_319.4907932264
QUARTER_MERIDIAN_M = 10_001_965.729312


def test_whole_earth() -> None:
    assert measure(HBB(0, 0, 3600, 1800), WORLD)["area_m2"] == pytest.approx(EARTH_M2, rel=1e-6)


def test_northern_half_and_an_octant() -> None:
    assert measure(HBB(0, 0, 3600, 900), WORLD)["area_m2"] == pytest.approx(EARTH_M2 / 2, rel=1e-6)
    assert measure(HBB(1800, 900, 2700, 1800), WORLD)["area_m2"] == pytest.approx(EARTH_M2 / 8, rel=1e-6)


def test_lengths_along_equator_and_meridian() -> None:
    assert measure(HBB(1800, 895, 1900, 905), WORLD)["length_m"] == pytest.approx(10 * DEGREE_AT_EQUATOR_M, rel=1e-9)
    assert measure(HBB(1799, 0, 1801, 900), WORLD)["length_m"] == pytest.approx(QUARTER_MERIDIAN_M, rel=1e-9)


def test_utm_scale_factor_is_undone() -> None:
    metres = measure(OBB(1000, 700, 400, 100, 30), UTM)
    assert metres["length_m"] == pytest.approx(200 / 0.9996, rel=1e-6)
    assert metres["width_m"] == pytest.approx(50 / 0.9996, rel=1e-6)
    assert metres["area_m2"] == pytest.approx(10_000 / 0.9996**2, rel=1e-6)
    assert metres["area_ha"] == pytest.approx(1 / 0.9996**2, rel=1e-6)
    assert metres["perimeter_m"] == pytest.approx(500 / 0.9996, rel=1e-6)


def test_web_mercator_is_not_taken_at_its_word() -> None:
    grid = Grid(100, 100, "EPSG:3857", (10, 0, 0, 0, -10, 8_399_737.89))
    cos = math.cos(math.radians(60))
    assert measure(HBB(0, 0, 10, 10), grid)["area_m2"] == pytest.approx(100 * 100 * cos**2, rel=0.01)


def test_holes_are_taken_off_and_parts_are_added() -> None:
    hole = ((20.0, 20.0), (40.0, 20.0), (40.0, 40.0), (20.0, 40.0))
    ring = ((0.0, 0.0), (60.0, 0.0), (60.0, 60.0), (0.0, 60.0))
    assert measure(Polygon(ring, (hole,)), UTM)["area_m2"] == pytest.approx((3600 - 400) / 4, rel=1e-3)
    assert measure(Mask(np.eye(4, dtype=bool), HBB(0, 0, 40, 40)), UTM)["area_m2"] == pytest.approx(100, rel=1e-3)
    assert measure(Mask(np.zeros((4, 4), bool), HBB(0, 0, 40, 40)), UTM)["area_m2"] == 0


def test_region_around_the_pole_is_that_of_an_equal_area_map() -> None:
    grid = Grid(1000, 1000, "EPSG:3031", (5000, 0, -2_500_000, 0, -5000, 2_500_000))
    equal_area = Transformer.from_crs("EPSG:3031", "+proj=laea +lat_0=-90 +ellps=WGS84", always_xy=True)
    for box in (HBB(300, 300, 700, 700), *(HBB(x, y, x + 200, y + 200) for x in (300, 500) for y in (300, 500))):
        outline = shapely.segmentize(shapely.box(box.x1, box.y1, box.x2, box.y2), 1.0).exterior.xy
        expected = shapely.Polygon(np.stack(equal_area.transform(*grid.to_map(*map(np.array, outline))), axis=1)).area
        assert measure(box, grid)["area_m2"] == pytest.approx(expected, rel=5e-4)


class OffTheEarth(Grid):
    """Stands in for a full-disc image whose corners see space."""

    def to_wgs84(self, x: Any, y: Any) -> tuple[Any, Any]:
        return np.full(np.shape(x), np.inf), np.full(np.shape(y), np.inf)


def test_off_the_earth_is_not_measured_and_pixels_are_refused() -> None:
    disc = OffTheEarth(100, 100, "EPSG:32631", (0.5, 0, 0, 0, -0.5, 0))
    assert measure(HBB(0, 0, 20, 20), disc) == {}
    with pytest.raises(RasterError, match="no georeference"):
        measure(HBB(0, 0, 20, 20), Grid(100, 100))
