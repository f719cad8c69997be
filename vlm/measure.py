"""Areas and lengths on the ground: geodesics on the WGS84 ellipsoid (pyproj.Geod; Karney, 2013), never pixels."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from vlm.geometry.convert import to_obb
from vlm.geometry.shapes import OBB, Geometry
from vlm.place import Rings, cut_meridians, place_on_earth, sound_polygons

if TYPE_CHECKING:
    from pyproj import Geod

    from vlm.grid import Grid

STEP_DEG = 0.02
_MOST_STEPS = 512
_STRIP_DEG = 60.0


class Measures(TypedDict, total=False):
    """Hold what was measured: area in m2 and hectares; outline, long side and short side in metres."""

    area_m2: float
    area_ha: float
    perimeter_m: float
    length_m: float
    width_m: float


def measure(geometry: Geometry, grid: Grid) -> Measures:
    """Measure a shape on the ground; empty where a part of it lies off the earth.

    Holes are taken off the area, and their outlines count in the perimeter. Length and width are those of the oriented
    box. Raises RasterError when the grid has no georeference.
    """
    placed = [place_on_earth(polygon, grid) for polygon in sound_polygons(geometry)]
    rings = [ring for ring in placed if ring is not None]
    sides = _sides_m(to_obb(geometry), grid)
    if len(rings) < len(placed) or not all(math.isfinite(side) for side in sides):
        return {}
    area = sum(area_m2(polygon) for polygon in rings)
    return {
        "area_m2": area,
        "area_ha": area / 1e4,
        "perimeter_m": sum(_perimeter_m(ring) for polygon in rings for ring in polygon),
        "length_m": max(sides),
        "width_m": min(sides),
    }


def area_m2(rings: Rings) -> float:
    """Measure a lon/lat polygon (exterior, holes; closed rings in degrees, longitudes continuous) in square metres."""
    total = 0.0
    for exterior, *holes in cut_meridians(rings, every_deg=_STRIP_DEG, wrap=False):
        total += _ring_area_m2(exterior) - sum(_ring_area_m2(hole) for hole in holes)
    return total


def _ring_area_m2(ring: np.ndarray) -> float:
    fine = _refined(ring)
    area, _ = _geod().polygon_area_perimeter(fine[:, 0], fine[:, 1])
    return abs(area)


def _perimeter_m(ring: np.ndarray) -> float:
    fine = _refined(ring)
    return float(_geod().line_length(fine[:, 0], fine[:, 1]))


def _refined(ring: np.ndarray) -> np.ndarray:
    """Add points every STEP_DEG (_MOST_STEPS an edge), so that geodesics follow edges straight in degrees."""
    edges = np.diff(ring, axis=0)
    counts = np.clip(np.ceil(np.abs(edges).max(axis=1) / STEP_DEG), 1, _MOST_STEPS).astype(int)
    starts, spans = np.repeat(ring[:-1], counts, axis=0), np.repeat(edges, counts, axis=0)
    steps = np.concatenate([np.arange(count) / count for count in counts])
    return np.concatenate([starts + steps[:, None] * spans, ring[-1:]])


def _sides_m(obb: OBB, grid: Grid) -> tuple[float, float]:
    """Measure both middle lines of an oriented box, straight in pixels."""
    cos, sin = math.cos(math.radians(obb.angle_deg)), math.sin(math.radians(obb.angle_deg))
    steps = np.linspace(-0.5, 0.5, 9)
    sides = []
    for dx, dy in ((obb.w * cos, obb.w * sin), (-obb.h * sin, obb.h * cos)):
        lon, lat = grid.to_wgs84(obb.cx + steps * dx, obb.cy + steps * dy)
        finite = np.isfinite(lon).all() and np.isfinite(lat).all()
        sides.append(float(_geod().line_length(lon, lat)) if finite else math.inf)
    return sides[0], sides[1]


@cache
def _geod() -> Geod:
    from pyproj import Geod

    return Geod(ellps="WGS84")
