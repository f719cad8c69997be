"""Move shapes by an affine map: flips, quarter turns, scales and shifts, in float64 and exact where arithmetic allows.

A map is a 2 x 3 matrix ((a, b, c), (d, e, f)): x' = a x + b y + c, y' = d x + e y + f, in pixels on both sides.
"""

from __future__ import annotations

import math

import numpy as np

from vlm.errors import GeometryError
from vlm.geometry.convert import canonical, to_obb
from vlm.geometry.shapes import HBB, OBB, Geometry, Mask, Point, Polygon

Affine = tuple[tuple[float, float, float], tuple[float, float, float]]


def transform(geometry: Geometry, affine: Affine) -> Geometry:
    """Map a shape from one pixel frame to another.

    A box stays a box and a mask stays a mask while the map keeps the axes (scales, flips, quarter turns, shifts);
    otherwise a box becomes a polygon, and a mask is refused with GeometryError (convert it to polygons first). An OBB
    stays an OBB under similarities; under a shear it becomes the smallest rectangle around its mapped corners.
    """
    (a, b, _), (d, e, _) = affine
    upright = (b == 0 and d == 0) or (a == 0 and e == 0)
    if isinstance(geometry, Mask):
        if not upright:
            raise GeometryError(
                f"a mask cannot be turned by {affine}: expected flips, quarter turns, scales or shifts; "
                "use to_polygons(mask) and transform those"
            )
        return _transform_mask(geometry, affine)
    if isinstance(geometry, HBB):
        return _transform_box(geometry, affine, upright=upright)
    if isinstance(geometry, OBB):
        return _transform_obb(geometry, affine)
    exterior, *holes = (tuple(_apply(affine, p) for p in ring) for ring in (geometry.exterior, *geometry.holes))
    return Polygon(exterior, tuple(holes))


def flip(geometry: Geometry, *, width: float, height: float, axis: str) -> Geometry:
    """Mirror a shape inside a width x height frame: `axis` "x" swaps left and right, "y" swaps top and bottom."""
    if axis == "x":
        return transform(geometry, ((-1, 0, width), (0, 1, 0)))
    if axis == "y":
        return transform(geometry, ((1, 0, 0), (0, -1, height)))
    raise GeometryError(f"flip got axis {axis!r}: expected 'x' (left and right) or 'y' (top and bottom)")


def rotate90(geometry: Geometry, *, width: float, height: float, turns: int = 1) -> Geometry:
    """Turn a shape by `turns` quarter turns clockwise on the screen, inside a width x height frame.

    After an odd number of turns the frame is height x width. It matches np.rot90(image, -turns).
    """
    maps: tuple[Affine, ...] = (
        ((1, 0, 0), (0, 1, 0)),
        ((0, -1, height), (1, 0, 0)),
        ((-1, 0, width), (0, -1, height)),
        ((0, 1, 0), (-1, 0, width)),
    )
    return transform(geometry, maps[turns % 4])


def scale(geometry: Geometry, sx: float, sy: float) -> Geometry:
    """Multiply x by `sx` and y by `sy`, as resizing the image does."""
    return transform(geometry, ((sx, 0, 0), (0, sy, 0)))


def shift(geometry: Geometry, dx: float, dy: float) -> Geometry:
    """Move a shape by (dx, dy) pixels."""
    return transform(geometry, ((1, 0, dx), (0, 1, dy)))


def _apply(affine: Affine, point: Point) -> Point:
    """Map one point."""
    (a, b, c), (d, e, f) = affine
    x, y = point
    return a * x + b * y + c, d * x + e * y + f


def _transform_box(box: HBB, affine: Affine, *, upright: bool) -> HBB | Polygon:
    """Map a box: to a box when the axes are kept, else to the polygon of its corners."""
    corners = tuple(_apply(affine, p) for p in ((box.x1, box.y1), (box.x2, box.y1), (box.x2, box.y2), (box.x1, box.y2)))
    if not upright:
        return Polygon(corners)
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    return HBB(min(xs), min(ys), max(xs), max(ys))


def _transform_obb(obb: OBB, affine: Affine) -> OBB:
    """Map an oriented box; exact for mirror images and quarter turns, whose angles need no arctangent."""
    (a, b, _), (d, e, _) = affine
    centre_x, centre_y = _apply(affine, (obb.cx, obb.cy))
    size, skew = math.hypot(a, d), a * b + d * e
    if not math.isclose(size, math.hypot(b, e), rel_tol=1e-12) or abs(skew) > 1e-12 * size * size:
        return to_obb(Polygon(tuple(_apply(affine, p) for p in obb.corners())))
    mirrored = a * e - b * d < 0
    turn = _exact_angle(a, d)
    angle = turn - obb.angle_deg if mirrored else turn + obb.angle_deg
    return canonical(OBB(centre_x, centre_y, obb.w * size, obb.h * size, angle))


def _exact_angle(cos: float, sin: float) -> float:
    """Give the angle in degrees of the direction (cos, sin), without rounding for multiples of 90."""
    if sin == 0:
        return 0.0 if cos >= 0 else 180.0
    if cos == 0:
        return 90.0 if sin > 0 else -90.0
    return math.degrees(math.atan2(sin, cos))


def _transform_mask(mask: Mask, affine: Affine) -> Mask:
    """Map a mask by an axis-keeping map: move its box, then transpose and flip its cells."""
    (a, b, _), (d, e, _) = affine
    box = _transform_box(mask.box, affine, upright=True)
    assert isinstance(box, HBB)
    bits = mask.bits
    x_sign, y_sign = a, e
    if a == 0 and e == 0:
        bits, x_sign, y_sign = bits.T, b, d
    if x_sign < 0:
        bits = bits[:, ::-1]
    if y_sign < 0:
        bits = bits[::-1]
    return Mask(np.ascontiguousarray(bits), box)
