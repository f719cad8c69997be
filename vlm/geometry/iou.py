"""Intersection over union of any two shapes: exact polygon areas in float64, no added pixel, 0 for empty shapes.

Boxes and oriented boxes are clipped in numpy, all pairs at once (Sutherland and Hodgman, 1974); masks are compared on
the common refinement of their grids; what remains goes through shapely's array functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vlm.geometry.convert import polygon_area, to_hbb, to_quad, to_shapely
from vlm.geometry.shapes import HBB, OBB, Geometry, Mask

_TWINS = 1e-6  # of a side; shapes whose boxes differ by less and that share nothing are measured once more
_GRID = 1e-12  # of a side
_CHUNK = 2048  # pairs clipped at once, so that the work stays in the cache
_BOX, _OBB, _AREAL = 0, 1, 2


def iou(a: Geometry, b: Geometry) -> float:
    """Measure the intersection over union of two shapes, 0..1; 0 when either has no area."""
    return float(iou_matrix([a], [b])[0, 0])


def iou_matrix(first: Sequence[Geometry], second: Sequence[Geometry]) -> np.ndarray:
    """Give the (len(first), len(second)) float64 matrix of IoU; empty and degenerate shapes give 0, never NaN."""
    common = intersection_matrix(first, second)
    area_a, area_b = _areas(first)[:, None], _areas(second)[None, :]
    union = area_a + area_b - common
    solid = (area_a > 0) & (area_b > 0) & (common > 0)
    return np.clip(np.divide(common, union, out=np.zeros_like(common), where=solid), 0, 1)


def intersection_matrix(first: Sequence[Geometry], second: Sequence[Geometry]) -> np.ndarray:
    """Give the (len(first), len(second)) matrix of common areas in square pixels."""
    out = np.zeros((len(first), len(second)))
    if not out.size:
        return out
    boxes_a, boxes_b = _bounds(first), _bounds(second)
    i, j = _touching(boxes_a, boxes_b)
    kind = np.maximum(_kinds(first)[i], _kinds(second)[j])
    low, high = np.maximum(boxes_a[i, :2], boxes_b[j, :2]), np.minimum(boxes_a[i, 2:], boxes_b[j, 2:])
    common = np.where(kind == _BOX, (high - low).prod(axis=1), 0.0)
    convex = np.flatnonzero(kind == _OBB)
    if convex.size:
        quads_a, quads_b = _quads(first), _quads(second)
        for part in np.split(convex, range(_CHUNK, convex.size, _CHUNK)):
            common[part] = clip_area(quads_a[i[part]], quads_b[j[part]])
    rest = np.flatnonzero(kind > _OBB)
    if rest.size:
        common[rest] = _areal(first, second, i[rest], j[rest])
    out[i, j] = common
    return out


def _touching(boxes_a: np.ndarray, boxes_b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the indices of the pairs whose horizontal boxes share an area."""
    x1, y1, x2, y2 = (boxes_b[:, k][None] for k in range(4))
    near = boxes_a[:, 0, None] < x2
    near &= boxes_a[:, 2, None] > x1
    near &= boxes_a[:, 1, None] < y2
    near &= boxes_a[:, 3, None] > y1
    i, j = np.divmod(np.flatnonzero(near), near.shape[1])
    return i, j


def _areal(first: Sequence[Geometry], second: Sequence[Geometry], i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Measure pairs with a polygon or a mask: two masks on their refined grid, all others through shapely."""
    common = np.zeros(i.size)
    masks = np.array([isinstance(first[a], Mask) and isinstance(second[b], Mask) for a, b in zip(i, j, strict=True)])
    for k in np.flatnonzero(masks):
        common[k] = _mask_intersection(first[i[k]], second[j[k]])  # type: ignore[arg-type]
    if not masks.all():
        import shapely

        shapes_a = {k: to_shapely(first[k]) for k in np.unique(i[~masks])}
        shapes_b = {k: to_shapely(second[k]) for k in np.unique(j[~masks])}
        one, other = np.array([shapes_a[k] for k in i[~masks]]), np.array([shapes_b[k] for k in j[~masks]])
        shared = shapely.area(shapely.intersection(one, other))
        missed = (shared == 0) & _are_twins(one, other)
        shared[missed] = [_snapped_area(a, b) for a, b in zip(one[missed], other[missed], strict=True)]
        common[~masks] = shared
    return common


def _are_twins(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Say of which pairs of shapely's shapes the horizontal boxes hardly differ."""
    import shapely

    bounds_a, bounds_b = shapely.bounds(one), shapely.bounds(other)
    sides = np.tile(bounds_a[:, 2:] - bounds_a[:, :2], 2)
    return np.asarray((np.abs(bounds_a - bounds_b) <= _TWINS * sides).all(axis=1))


def _snapped_area(one: Any, other: Any) -> float:
    """Measure the common area of two of shapely's shapes in a unit square, on a grid.

    Of shapes that differ in the last bit only, GEOS finds some apart: three in a thousand turned rectangles.
    """
    import shapely

    corner, far = np.array(one.bounds).reshape(2, 2)
    in_unit = [shapely.transform(shape, lambda points: (points - corner) / (far - corner)) for shape in (one, other)]
    return float(shapely.intersection(*in_unit, grid_size=_GRID).area * (far - corner).prod())


def _kinds(shapes: Sequence[Geometry]) -> np.ndarray:
    """Number the shapes by how their pairs are measured."""
    return np.array([_BOX if isinstance(s, HBB) else _OBB if isinstance(s, OBB) else _AREAL for s in shapes])


def _bounds(shapes: Sequence[Geometry]) -> np.ndarray:
    """Give the (n, 4) array of horizontal boxes."""
    boxes = [to_hbb(shape) for shape in shapes]
    return np.array([(b.x1, b.y1, b.x2, b.y2) for b in boxes], dtype=np.float64)


def _areas(shapes: Sequence[Geometry]) -> np.ndarray:
    """Give the n areas in square pixels; a polygon is measured after repair when its rings cross."""
    return np.array([_area(shape) for shape in shapes], dtype=np.float64)


def _area(shape: Geometry) -> float:
    """Measure one shape."""
    if isinstance(shape, HBB | OBB | Mask):
        return shape.area
    repaired = to_shapely(shape)
    return polygon_area(shape) if repaired.geom_type == "Polygon" else float(repaired.area)


def _quads(shapes: Sequence[Geometry]) -> np.ndarray:
    """Give the (n, 4, 2) corners of boxes, clockwise on the screen; other shapes get zeros."""
    blank = ((0.0, 0.0),) * 4
    return np.array([to_quad(s) if isinstance(s, HBB | OBB) else blank for s in shapes], dtype=np.float64)


def clip_area(subject: np.ndarray, clip: np.ndarray) -> np.ndarray:
    """Measure the common areas of p pairs of convex quadrilaterals, (p, 4, 2) each, clockwise on the screen."""
    origin = subject.mean(axis=1, keepdims=True)
    points, clip = subject - origin, clip - origin
    x, y = np.ascontiguousarray(points[..., 0]), np.ascontiguousarray(points[..., 1])
    for k in range(4):
        x, y = _clip_half_plane(x, y, clip[:, k], clip[:, (k + 1) % 4])
    return np.maximum((x * _next(y) - _next(x) * y).sum(axis=1) / 2, 0)


def _next(values: np.ndarray) -> np.ndarray:
    """Give each vertex's successor."""
    return np.concatenate([values[:, 1:], values[:, :1]], axis=1)


def _clip_half_plane(x: np.ndarray, y: np.ndarray, start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut p convex polygons, (p, n) x and y, by the half plane right of start -> end: (p, n + 1), the last repeated."""
    pairs, n = x.shape
    direction = end - start
    distance = direction[:, :1] * (y - start[:, 1:]) - direction[:, 1:] * (x - start[:, :1])
    following = _next(distance)
    kept = np.empty((pairs, n, 2), dtype=np.bool_)
    kept[..., 0] = distance >= 0
    kept[..., 1] = kept[..., 0] != (following >= 0)
    share = np.divide(distance, distance - following, out=np.zeros_like(distance), where=kept[..., 1])
    place = np.cumsum(kept.reshape(pairs, 2 * n), axis=1)
    count = place[:, -1:]
    chosen = np.flatnonzero(kept.reshape(-1))
    target = (chosen // (2 * n)) * (n + 1) + np.minimum(place.reshape(-1)[chosen] - 1, n)
    out = []
    for values in (x, y):
        candidates = np.stack([values, values + (_next(values) - values) * share], axis=2).reshape(-1)
        cut = np.zeros(pairs * (n + 1))
        cut[target] = candidates[chosen]
        cut = cut.reshape(pairs, n + 1)
        last = np.take_along_axis(cut, np.clip(count - 1, 0, n), axis=1)
        out.append(np.where(np.arange(n + 1) < count, cut, last))
    return out[0], out[1]


def _mask_intersection(a: Mask, b: Mask) -> float:
    """Measure the common area of two masks on the grid that refines both."""
    ys, rows_a, rows_b = _refine(a.box.y1, a.box.y2, a.bits.shape[0], b.box.y1, b.box.y2, b.bits.shape[0])
    xs, cols_a, cols_b = _refine(a.box.x1, a.box.x2, a.bits.shape[1], b.box.x1, b.box.x2, b.bits.shape[1])
    common = a.bits[np.ix_(rows_a, cols_a)] & b.bits[np.ix_(rows_b, cols_b)]
    return float(ys @ common @ xs)


def _refine(
    low_a: float, high_a: float, n_a: int, low_b: float, high_b: float, n_b: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut the common part of two divided intervals at the divisions of both: lengths and the two cell indices."""
    edges_a, edges_b = np.linspace(low_a, high_a, n_a + 1), np.linspace(low_b, high_b, n_b + 1)
    low, high = max(low_a, low_b), min(high_a, high_b)
    cuts = np.unique(np.concatenate([edges_a, edges_b]))
    cuts = cuts[(cuts >= low) & (cuts <= high)]
    middle = (cuts[1:] + cuts[:-1]) / 2
    index_a = np.clip(np.searchsorted(edges_a, middle, side="right") - 1, 0, n_a - 1)
    index_b = np.clip(np.searchsorted(edges_b, middle, side="right") - 1, 0, n_b - 1)
    return np.diff(cuts), index_a, index_b
