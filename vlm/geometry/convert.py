"""Turn any of the four shapes into any other. Pixels of the original image throughout (see shapes)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from vlm.errors import GeometryError
from vlm.geometry.cells import coverage
from vlm.geometry.shapes import HBB, OBB, Geometry, Mask, Point, Polygon

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

Quad = tuple[Point, Point, Point, Point]


def canonical(obb: OBB) -> OBB:
    """Give the same rectangle in the long-edge convention le90: w >= h, angle_deg in [-90, 90)."""
    w, h, angle = obb.w, obb.h, obb.angle_deg
    if w < h:
        w, h, angle = h, w, angle + 90
    return OBB(obb.cx, obb.cy, w, h, wrap_degrees(angle, low=-90, period=180))


def wrap_degrees(angle: float, *, low: float, period: float) -> float:
    """Add multiples of `period` until the angle lies in [low, low + period)."""
    wrapped = angle if low <= angle < low + period else (angle - low) % period + low
    return low if wrapped >= low + period else wrapped


def to_hbb(geometry: Geometry) -> HBB:
    """Give the smallest horizontal box around a shape; around an empty mask, the mask's own box."""
    if isinstance(geometry, HBB):
        return geometry
    if isinstance(geometry, Mask):
        return _mask_hbb(geometry)
    points = geometry.corners() if isinstance(geometry, OBB) else geometry.exterior
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return HBB(min(xs), min(ys), max(xs), max(ys))


def to_obb(geometry: Geometry) -> OBB:
    """Give the canonical oriented box of a shape: the rectangle of smallest area around a polygon or a mask."""
    if isinstance(geometry, OBB):
        return canonical(geometry)
    if isinstance(geometry, HBB):
        box = geometry
    elif isinstance(geometry, Mask) and not geometry.bits.any():
        box = geometry.box
    else:
        points = _mask_outline(geometry) if isinstance(geometry, Mask) else list(geometry.exterior)
        return min_area_rectangle(points)
    return canonical(OBB((box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2, box.w, box.h, 0.0))


def to_quad(geometry: Geometry) -> Quad:
    """Give four corners: a four-point polygon's own ones, else those of the box or of the oriented box."""
    if isinstance(geometry, Polygon) and len(geometry.exterior) == 4:
        a, b, c, d = geometry.exterior
        return a, b, c, d
    if isinstance(geometry, HBB):
        box = geometry
        return (box.x1, box.y1), (box.x2, box.y1), (box.x2, box.y2), (box.x1, box.y2)
    return geometry.corners() if isinstance(geometry, OBB) else to_obb(geometry).corners()


def to_polygons(geometry: Geometry) -> tuple[Polygon, ...]:
    """Give the polygons that cover a shape exactly: one, or one per part of a mask (none if empty)."""
    if isinstance(geometry, Polygon):
        return (geometry,)
    if not isinstance(geometry, Mask):
        return (Polygon(to_quad(geometry)),)
    from rasterio.features import shapes

    rows, cols = geometry.bits.shape
    box = geometry.box
    affine = (box.w / cols, 0.0, box.x1, 0.0, box.h / rows, box.y1)
    outlines = shapes(geometry.bits.astype(np.uint8), mask=geometry.bits)
    return tuple(_polygon_of_rings(outline["coordinates"], affine) for outline, _ in outlines)


def to_polygon(geometry: Geometry) -> Polygon:
    """Give one polygon: the largest part of a mask (an empty mask gives its box)."""
    parts = to_polygons(geometry)
    return max(parts, key=polygon_area) if parts else Polygon(to_quad(to_hbb(geometry)))


def to_mask(geometry: Geometry, *, box: HBB, rows: int, cols: int, threshold: float = 0.5) -> Mask:
    """Lay a rows x cols grid over `box` and set the cells of which at least `threshold` is covered.

    Raises GeometryError when the box has no area.
    """
    return Mask(coverage(geometry, box=box, rows=rows, cols=cols) >= threshold, box)


def polygon_area(polygon: Polygon) -> float:
    """Measure a polygon in square pixels, holes taken off."""
    return abs(ring_area(polygon.exterior)) - sum(abs(ring_area(hole)) for hole in polygon.holes)


def ring_area(ring: Iterable[Point]) -> float:
    """Measure a ring in square pixels by the shoelace formula; positive when it runs clockwise on the screen."""
    points = list(ring)
    x0, y0 = points[0]
    shifted = [(x - x0, y - y0) for x, y in points]
    return sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(shifted, shifted[1:] + shifted[:1], strict=True)) / 2


def to_shapely(geometry: Geometry) -> BaseGeometry:
    """Give a valid shapely geometry of the same area; a self-crossing polygon is repaired by make_valid."""
    import shapely

    parts = [shapely.Polygon(part.exterior, part.holes) for part in to_polygons(geometry)]
    shape = parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)
    return shape if shape.is_valid else _polygonal(shapely.make_valid(shape))


def from_shapely(shape: BaseGeometry) -> Polygon:
    """Read a shapely polygon, or the only part of a multi-polygon; use polygons_from_shapely for several parts."""
    parts = polygons_from_shapely(shape)
    if len(parts) != 1:
        raise GeometryError(
            f"a shapely {shape.geom_type} with {len(parts)} polygons cannot become one polygon: "
            "use polygons_from_shapely, which gives them all"
        )
    return parts[0]


def polygons_from_shapely(shape: BaseGeometry) -> tuple[Polygon, ...]:
    """Read every polygon of a shapely geometry; points and lines in it have no area and are left out."""
    if shape.is_empty:
        return ()
    if shape.geom_type == "Polygon":
        rings = [tuple((x, y) for x, y, *_ in ring.coords[:-1]) for ring in (shape.exterior, *shape.interiors)]
        return (Polygon(rings[0], tuple(rings[1:])),)
    return tuple(polygon for part in getattr(shape, "geoms", ()) for polygon in polygons_from_shapely(part))


def min_area_rectangle(points: Iterable[Point]) -> OBB:
    """Give the canonical rectangle of smallest area around points (one side lies along a hull edge: Freeman, 1975)."""
    hull = np.array(convex_hull(points), dtype=np.float64)
    if len(hull) < 3:
        (x1, y1), (x2, y2) = hull[0].tolist(), hull[-1].tolist()
        length = math.hypot(x2 - x1, y2 - y1)
        return canonical(OBB((x1 + x2) / 2, (y1 + y2) / 2, length, 0.0, math.degrees(math.atan2(y2 - y1, x2 - x1))))
    origin = hull[0]
    local = hull - origin
    edges = np.roll(local, -1, axis=0) - local
    along = edges / np.hypot(edges[:, 0], edges[:, 1])[:, None]
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    u, v = along @ local.T, across @ local.T
    sizes_u, sizes_v = np.ptp(u, axis=1), np.ptp(v, axis=1)
    best = int(np.argmin(sizes_u * sizes_v))
    middle_u, middle_v = (u[best].max() + u[best].min()) / 2, (v[best].max() + v[best].min()) / 2
    cx, cy = origin + middle_u * along[best] + middle_v * across[best]
    angle = math.degrees(math.atan2(along[best, 1], along[best, 0]))
    return canonical(OBB(float(cx), float(cy), float(sizes_u[best]), float(sizes_v[best]), angle))


def convex_hull(points: Iterable[Point]) -> list[Point]:
    """Give the corners of the convex hull, clockwise on the screen, collinear points left out (Andrew, 1979)."""
    ordered = sorted(set(points))
    if len(ordered) < 3:
        return ordered
    lower, upper = _half_hull(ordered), _half_hull(ordered[::-1])
    return lower[:-1] + upper[:-1]


def _half_hull(ordered: list[Point]) -> list[Point]:
    """Give one chain of the hull of points sorted along x."""
    chain: list[Point] = []
    for x, y in ordered:
        while len(chain) >= 2:
            (ax, ay), (bx, by) = chain[-2], chain[-1]
            if (bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0:
                break
            chain.pop()
        chain.append((x, y))
    return chain


def _mask_hbb(mask: Mask) -> HBB:
    """Box the set cells of a mask."""
    rows, cols = np.flatnonzero(mask.bits.any(axis=1)), np.flatnonzero(mask.bits.any(axis=0))
    if not rows.size:
        return mask.box
    xs, ys = _cell_edges(mask)
    return HBB(float(xs[cols[0]]), float(ys[rows[0]]), float(xs[cols[-1] + 1]), float(ys[rows[-1] + 1]))


def _cell_edges(mask: Mask) -> tuple[np.ndarray, np.ndarray]:
    """Give the x of the cols + 1 and the y of the rows + 1 cell edges, in pixels."""
    rows, cols = mask.bits.shape
    return np.linspace(mask.box.x1, mask.box.x2, cols + 1), np.linspace(mask.box.y1, mask.box.y2, rows + 1)


def _mask_outline(mask: Mask) -> list[Point]:
    """Give the outer corners of each row's first and last set cell: enough for the hull."""
    xs, ys = _cell_edges(mask)
    rows = np.flatnonzero(mask.bits.any(axis=1))
    first = mask.bits[rows].argmax(axis=1)
    last = mask.bits.shape[1] - mask.bits[rows, ::-1].argmax(axis=1)
    columns, edges = np.concatenate([first, last] * 2), np.concatenate([rows, rows, rows + 1, rows + 1])
    return list(zip(xs[columns].tolist(), ys[edges].tolist(), strict=True))


def _polygon_of_rings(rings: list[list[Point]], affine: tuple[float, ...]) -> Polygon:
    """Map closed rings of cell corners to pixels and open them."""
    a, _, c, _, e, f = affine
    exterior, *holes = (tuple((a * x + c, e * y + f) for x, y in ring[:-1]) for ring in rings)
    return Polygon(exterior, tuple(holes))


def _polygonal(shape: BaseGeometry) -> BaseGeometry:
    """Keep the polygons of a repaired geometry."""
    import shapely

    return shapely.MultiPolygon([shapely.Polygon(p.exterior, p.holes) for p in polygons_from_shapely(shape)])
