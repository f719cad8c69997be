"""Lay pixel polygons on the map: edges that the map bends get more points, rings that cross 180 degrees are cut.

Rings here are float64 arrays of shape (points, 2), closed (the last point repeats the first).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vlm.geometry.convert import polygons_from_shapely, to_polygons, to_shapely
from vlm.geometry.shapes import Geometry, Point, Polygon

if TYPE_CHECKING:
    from vlm.grid import Grid

TOLERANCE_PX = 0.05
_PARTS = 4
_ROUNDS = 7
_ROUNDS_BACK = 6
_WORLD_DEG = 360.0
Project = Callable[[np.ndarray, np.ndarray], tuple[Any, Any]]
Rings = tuple[np.ndarray, ...]


def sound_polygons(geometry: Geometry) -> tuple[Polygon, ...]:
    """Give the polygons of a shape, repaired where one crosses itself; a shape without area keeps its outline."""
    polygons = to_polygons(geometry)
    if not isinstance(geometry, Polygon):
        return polygons
    return polygons_from_shapely(to_shapely(geometry)) or polygons


def place_on_map(polygon: Polygon, grid: Grid) -> Rings | None:
    """Give exterior and holes in the grid's own CRS; None where the map has no place for them."""
    if grid.transform is not None:
        rings = [_closed(ring) for ring in _rings(polygon)]
        placed = [np.stack(grid.to_map(ring[:, 0], ring[:, 1]), axis=1) for ring in rings]
    else:
        placed = [trace(ring, grid.to_map, degrees=False) for ring in _rings(polygon)]
    return tuple(placed) if all(np.isfinite(ring).all() for ring in placed) else None


def place_on_earth(polygon: Polygon, grid: Grid) -> Rings | None:
    """Give exterior and holes as longitude and latitude (WGS84), one polygon in the plane; None off the earth.

    Longitudes are continuous and may leave [-180, 180]; a ring around a pole is led along the pole. See cut_meridians.
    """
    placed = [trace(ring, grid.to_wgs84, degrees=True) for ring in _rings(polygon)]
    if not all(np.isfinite(ring).all() for ring in placed):
        return None
    exterior, *holes = (_led_along_pole(ring) for ring in placed)
    exterior = exterior - (_WORLD_DEG * _turns(exterior[:, 0].min() + 180), 0)
    middle = exterior[:, 0].mean()
    return exterior, *(hole - (_WORLD_DEG * round((hole[:, 0].mean() - middle) / _WORLD_DEG), 0) for hole in holes)


def cut_meridians(rings: Rings, *, every_deg: float = _WORLD_DEG, wrap: bool = True) -> tuple[Rings, ...]:
    """Cut a lon/lat polygon at -180 + k * every_deg degrees; with `wrap` the parts come back to [-180, 180].

    The cut at 180 degrees is that of RFC 7946, section 3.1.9.
    """
    low, high = rings[0][:, 0].min(), rings[0][:, 0].max()
    first, last = math.floor((low + 180) / every_deg), math.ceil((high + 180) / every_deg)
    if last - first <= 1:
        return (tuple(ring - (_WORLD_DEG * _turns(low + 180), 0) for ring in rings) if wrap else rings,)
    import shapely

    whole = shapely.make_valid(shapely.Polygon(rings[0], rings[1:]))
    parts: list[Rings] = []
    for strip in range(first, last):
        west = -180 + strip * every_deg
        back = _WORLD_DEG * _turns(west + 180) if wrap else 0.0
        part = shapely.intersection(whole, shapely.box(west, -90, west + every_deg, 90))
        parts += [tuple(_closed(ring) - (back, 0) for ring in _rings(p)) for p in polygons_from_shapely(part)]
    return tuple(parts)


def trace(ring: Sequence[Point], project: Project, *, degrees: bool) -> np.ndarray:
    """Project an open pixel ring, adding points until the map's straight edges stay within TOLERANCE_PX of the image's.

    With `degrees` the first coordinate is a longitude, made continuous: the last may be 360 off the first.
    """

    def place(fine: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            placed = np.stack(project(fine[:, 0], fine[:, 1]), axis=1).astype(np.float64)
        if degrees and np.isfinite(placed).all():
            placed[:, 0] = np.unwrap(placed[:, 0], period=_WORLD_DEG)
        return placed

    return _traced(_closed(ring), place, lambda fine, placed: _bend_px(fine, placed, degrees=degrees), rounds=_ROUNDS)


def trace_back(ring: Sequence[Point], to_pixel: Project) -> np.ndarray:
    """Place an open ring of map coordinates in pixels, adding points where an edge that is straight on the map bends.

    Edges stay within TOLERANCE_PX; very long ones, which leave the image far behind, within what 1,024 points can do.
    """

    def place(fine: np.ndarray) -> np.ndarray:
        return np.stack(to_pixel(fine[:, 0], fine[:, 1]), axis=1).astype(np.float64)

    return _traced(_closed(ring), place, lambda _, placed: _bends(placed)[0], rounds=_ROUNDS_BACK)


def _traced(
    points: np.ndarray,
    place: Callable[[np.ndarray], np.ndarray],
    bend_px: Callable[[np.ndarray, np.ndarray], np.ndarray],
    *,
    rounds: int,
) -> np.ndarray:
    """Place a closed ring and cut its edges in _PARTS, round by round, until none bends by more than TOLERANCE_PX."""
    for _ in range(rounds):
        fine = _subdivide(points)
        placed = place(fine)
        if not np.isfinite(placed).all():
            break
        bent = bend_px(fine, placed) > TOLERANCE_PX
        if not bent.any():
            break
        keep = np.repeat(bent, _PARTS)
        keep[::_PARTS] = True
        points = np.concatenate([fine[:-1][keep], fine[-1:]])
    return placed[::_PARTS]


def _rings(polygon: Polygon) -> tuple[tuple[Point, ...], ...]:
    return (polygon.exterior, *polygon.holes)


def _closed(ring: Sequence[Point]) -> np.ndarray:
    points = np.array(ring, np.float64)
    return np.concatenate([points, points[:1]])


def _subdivide(points: np.ndarray) -> np.ndarray:
    """Cut every edge into _PARTS equal ones."""
    steps = np.arange(_PARTS)[None, :, None] / _PARTS
    starts, edges = points[:-1, None], np.diff(points, axis=0)[:, None]
    return np.concatenate([(starts + steps * edges).reshape(-1, 2), points[-1:]])


def _bend_px(pixels: np.ndarray, placed: np.ndarray, *, degrees: bool) -> np.ndarray:
    """Measure, per coarse edge, how far the placed inner points lie from the edge's chord, in pixels."""
    flat = placed.copy()
    if degrees:
        flat[:, 0] = (flat[:, 0] - flat[0, 0]) * np.cos(np.radians(flat[:, 1].mean()))
    bends, lengths = _bends(flat)
    lengths_px = np.hypot(*(pixels[_PARTS::_PARTS] - pixels[:-1:_PARTS]).T)
    return bends * lengths_px / lengths


def _bends(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Measure, per coarse edge, the distance of its inner points from its chord, and the chord (1 where it is 0)."""
    starts, chords = points[:-1:_PARTS], points[_PARTS::_PARTS] - points[:-1:_PARTS]
    lengths = np.hypot(chords[:, 0], chords[:, 1])
    inner = points[:-1].reshape(-1, _PARTS, 2)[:, 1:] - starts[:, None]
    safe = np.where(lengths > 0, lengths, 1.0)
    across = np.abs(chords[:, None, 0] * inner[..., 1] - chords[:, None, 1] * inner[..., 0]) / safe[:, None]
    return across.max(axis=1), safe


def _turns(degrees_east: float) -> int:
    """Count the whole turns in a longitude; rounding noise of a micrometre is no turn."""
    return math.floor(degrees_east / _WORLD_DEG + 1e-12)


def _led_along_pole(ring: np.ndarray) -> np.ndarray:
    """Close a ring that goes once around the earth along the pole that it surrounds; give any other as it is."""
    turn = ring[-1, 0] - ring[0, 0]
    if abs(turn) < _WORLD_DEG / 2:
        return np.concatenate([ring[:-1], ring[:1]])
    sheets = np.floor((ring[:, 0] + 180) / _WORLD_DEG)
    before = int(np.flatnonzero(np.diff(sheets))[0])
    seam = max(sheets[before], sheets[before + 1]) * _WORLD_DEG - 180
    share = (seam - ring[before, 0]) / (ring[before + 1, 0] - ring[before, 0])
    lat = ring[before, 1] + share * (ring[before + 1, 1] - ring[before, 1])
    pole = math.copysign(90.0, ring[:, 1].mean())
    start, end = (seam, lat), (seam + turn, lat)
    along = [end, (seam + turn, pole), (seam, pole), start]
    return np.concatenate([[start], ring[before + 1 : -1], np.add(ring[: before + 1], (turn, 0)), along])
