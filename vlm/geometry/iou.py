"""Intersection over union of any two shapes: exact polygon areas in float64, no added pixel, 0 for empty shapes.

Boxes and oriented boxes are clipped in numpy, all pairs at once (Sutherland and Hodgman, 1974); masks are compared on
the common refinement of their grids; what remains goes through shapely's array functions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vlm.geometry.convert import polygon_area, to_hbb, to_quad, to_shapely
from vlm.geometry.shapes import HBB, OBB, Geometry, Mask

_CHUNK = 8192  # pairs clipped at once, so that the work stays in the cache


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
    low = np.maximum(boxes_a[:, None, :2], boxes_b[None, :, :2])
    high = np.minimum(boxes_a[:, None, 2:], boxes_b[None, :, 2:])
    size = np.maximum(high - low, 0)
    shared = size[..., 0] * size[..., 1]
    kinds_a, kinds_b = _kinds(first), _kinds(second)
    both_boxes = (kinds_a[:, None] == 0) & (kinds_b[None, :] == 0)
    out[both_boxes] = shared[both_boxes]
    near = (shared > 0) & ~both_boxes
    _fill_convex(out, near & (kinds_a[:, None] <= 1) & (kinds_b[None, :] <= 1), first, second)
    masks = near & (kinds_a[:, None] == 3) & (kinds_b[None, :] == 3)
    for i, j in np.argwhere(masks):
        out[i, j] = _mask_intersection(first[i], second[j])  # type: ignore[arg-type]
    _fill_shapely(out, near & ~masks & ((kinds_a[:, None] > 1) | (kinds_b[None, :] > 1)), first, second)
    return out


def _kinds(shapes: Sequence[Geometry]) -> np.ndarray:
    """Number the shapes: 0 box, 1 oriented box, 2 polygon, 3 mask."""
    return np.array(
        [0 if isinstance(s, HBB) else 1 if isinstance(s, OBB) else 3 if isinstance(s, Mask) else 2 for s in shapes]
    )


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


def _fill_convex(out: np.ndarray, where: np.ndarray, first: Sequence[Geometry], second: Sequence[Geometry]) -> None:
    """Clip the chosen pairs of boxes and write their common areas into `out`."""
    pairs = np.argwhere(where)
    if not len(pairs):
        return
    quads_a, quads_b = _quads(first), _quads(second)
    for start in range(0, len(pairs), _CHUNK):
        i, j = pairs[start : start + _CHUNK].T
        out[i, j] = clip_area(quads_a[i], quads_b[j])


def _quads(shapes: Sequence[Geometry]) -> np.ndarray:
    """Give the (n, 4, 2) corners of boxes, clockwise on the screen; other shapes get zeros."""
    blank = ((0.0, 0.0),) * 4
    return np.array([to_quad(s) if isinstance(s, HBB | OBB) else blank for s in shapes], dtype=np.float64)


def clip_area(subject: np.ndarray, clip: np.ndarray) -> np.ndarray:
    """Measure the common areas of p pairs of convex quadrilaterals, (p, 4, 2) each, clockwise on the screen."""
    origin = subject.mean(axis=1, keepdims=True)
    points, clip = subject - origin, clip - origin
    for k in range(4):
        start, end = clip[:, k, None], clip[:, (k + 1) % 4, None]
        points = _clip_half_plane(points, start, end)
    x, y = points[..., 0], points[..., 1]
    return np.maximum((x * np.roll(y, -1, axis=1) - np.roll(x, -1, axis=1) * y).sum(axis=1) / 2, 0)


def _clip_half_plane(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Cut p convex polygons (p, n, 2) by the half plane right of start -> end: (p, n + 1, 2), the last repeated."""
    direction, rel = end - start, points - start
    distance = direction[..., 0] * rel[..., 1] - direction[..., 1] * rel[..., 0]
    following, distance_next = np.roll(points, -1, axis=1), np.roll(distance, -1, axis=1)
    inside, crosses = distance >= 0, (distance >= 0) != (distance_next >= 0)
    gap = np.where(crosses, distance - distance_next, 1)
    crossing = points + (following - points) * (np.where(crosses, distance, 0) / gap)[..., None]
    pairs, n = distance.shape
    kept = np.stack([inside, crosses], axis=2).reshape(pairs, 2 * n)
    candidates = np.stack([points, crossing], axis=2).reshape(pairs, 2 * n, 2)
    place = np.cumsum(kept, axis=1)
    count = place[:, -1]
    row, col = np.nonzero(kept & (place <= n + 1))
    out = np.zeros((pairs, n + 1, 2))
    out[row, place[row, col] - 1] = candidates[row, col]
    last = out[np.arange(pairs), np.clip(count - 1, 0, n)]
    return np.where((np.arange(n + 1) < count[:, None])[..., None], out, last[:, None])


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


def _fill_shapely(out: np.ndarray, where: np.ndarray, first: Sequence[Geometry], second: Sequence[Geometry]) -> None:
    """Intersect the chosen pairs with shapely's array function and write their common areas into `out`."""
    i, j = np.nonzero(where)
    if not i.size:
        return
    import shapely

    shapes_a = {k: to_shapely(first[k]) for k in np.unique(i)}
    shapes_b = {k: to_shapely(second[k]) for k in np.unique(j)}
    out[i, j] = shapely.area(shapely.intersection([shapes_a[k] for k in i], [shapes_b[k] for k in j]))
