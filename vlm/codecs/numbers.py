"""Geometry in pixels <-> the integers that a dialect writes. No text here."""

from __future__ import annotations

import math
from collections.abc import Sequence

from vlm.codecs.clip import clip_polygon
from vlm.dialects import Dialect, Field, Form, Frame
from vlm.geometry.angles import from_convention, to_convention
from vlm.geometry.convert import ring_area, to_hbb, to_obb, to_polygon, to_quad
from vlm.geometry.shapes import HBB, OBB, Geometry, Point, Polygon

Numbers = tuple[int, ...]
SLACK = 1e-6  # units; what a number loses on the way through pixels and back
_FARTHEST = 10  # image sizes; polygon corners further out are moved there before the polygon is cut


def encode_numbers(geometry: Geometry, form: Form, dialect: Dialect, frame: Frame) -> tuple[Numbers, ...]:
    """Give the integers of one shape, ring by ring (one ring but for polygons with holes).

    The shape is turned into the form's kind first. Of a polygon that leaves the image, and of an oriented box whose
    centre does, the part inside is written; other points outside the image are moved to its edge.
    """
    if form.kind == "box":
        return (_encode_box(to_hbb(geometry), dialect, frame),)
    if form.kind == "obb":
        return (_encode_obb(_centred(to_obb(geometry), frame), form, dialect, frame),)
    if form.kind == "quad":
        ring = _encode_points(to_quad(geometry), dialect, frame)
        return (_flat(_ordered(ring, dialect.corners)),)
    polygon = to_polygon(geometry)
    polygon = clip_polygon(polygon, frame.width, frame.height) or polygon
    rings = (polygon.exterior, *(polygon.holes if form.holes else ()))
    return tuple(_flat(_without_repeats(_encode_points(ring, dialect, frame))) for ring in rings)


def decode_numbers(
    rings: Sequence[Sequence[float]], form: Form, dialect: Dialect, frame: Frame
) -> tuple[Geometry, bool, bool]:
    """Give the shape in pixels, whether a number was clipped, and whether corners or sides were reordered.

    Of a polygon that leaves the image the part inside is kept; other numbers outside the grid are moved to its edge.
    """
    kept = [[_clip(value, _field(form, i), form, frame) for i, value in enumerate(ring)] for ring in rings]
    clipped = any(tuple(a) != tuple(b) for a, b in zip(kept, rings, strict=True))
    if form.kind == "box":
        x1, y1, x2, y2 = _pixels(kept[0], form, dialect, frame)
        box = HBB(min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
        return box, clipped, x2 < x1 or y2 < y1
    if form.kind == "obb":
        obb, reordered = _decode_obb(_pixels(kept[0], form, dialect, frame), form, dialect)
        return obb, clipped, reordered
    if form.kind == "poly" and clipped:
        near = [[_near(value, _field(form, i), frame) for i, value in enumerate(ring)] for ring in rings]
        inside = clip_polygon(_polygon(near, form, dialect, frame), frame.width, frame.height)
        if inside is not None:
            return inside, True, False
    return _polygon(kept, form, dialect, frame), clipped, False


def to_units(value: float, unit: float, *, rounding: str, low: float, high: float) -> int:
    """Round pixels to units; keeps within [low, high]."""
    units = value / unit
    rounded = math.floor(units + (0.5 if rounding == "nearest" else SLACK))
    return int(min(max(rounded, low), high))


def outward(low_px: float, high_px: float, unit: float, top: int) -> tuple[int, int]:
    """Round an interval of pixels outwards to units, at least one unit wide, within [0, top]."""
    low = min(max(math.floor(low_px / unit + SLACK), 0), top - 1)
    high = min(max(math.ceil(high_px / unit - SLACK), low + 1), top)
    return low, high


def _encode_box(box: HBB, dialect: Dialect, frame: Frame) -> Numbers:
    """Round a box; a box that would lose its width or height is rounded outwards instead."""
    x1, x2 = _encode_side(box.x1, box.x2, frame.unit_x, frame.top_x, dialect.rounding)
    y1, y2 = _encode_side(box.y1, box.y2, frame.unit_y, frame.top_y, dialect.rounding)
    return x1, y1, x2, y2


def _encode_side(low_px: float, high_px: float, unit: float, top: int, rounding: str) -> tuple[int, int]:
    """Round the two ends of one side."""
    low = to_units(low_px, unit, rounding=rounding, low=0, high=top)
    high = to_units(high_px, unit, rounding=rounding, low=0, high=top)
    return outward(low_px, high_px, unit, top) if low == high and high_px - low_px > SLACK * unit else (low, high)


def _encode_obb(obb: OBB, form: Form, dialect: Dialect, frame: Frame) -> Numbers:
    """Round an oriented box in the dialect's convention; rounding the angle first keeps it in its range."""
    whole = OBB(obb.cx, obb.cy, obb.w, obb.h, float(math.floor(obb.angle_deg + 0.5)))
    cx, cy, w, h, angle = to_convention(whole, dialect.angle)
    values = (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2) if form.fields[2] == "x" else (cx, cy, w, h)
    numbers = []
    for value, field in zip(values, form.fields, strict=False):
        low, high = _range(field, form, frame)
        numbers.append(to_units(value, _unit(field, frame), rounding=dialect.rounding, low=low, high=high))
    return *numbers, round(angle)


def _decode_obb(values: Sequence[float], form: Form, dialect: Dialect) -> tuple[OBB, bool]:
    """Read an oriented box; sides that contradict the convention are swapped and reported."""
    a, b, c, d, angle = values
    if form.fields[2] == "x":
        obb = from_convention(((a + c) / 2, (b + d) / 2, abs(c - a), abs(d - b), angle), dialect.angle)
        return obb, c < a or d < b
    return from_convention((a, b, max(c, 0), max(d, 0), angle), dialect.angle), c < d


def _centred(obb: OBB, frame: Frame) -> OBB:
    """Give the oriented box of the part inside the image where the centre, which is written, lies outside."""
    if 0 <= obb.cx <= frame.width and 0 <= obb.cy <= frame.height:
        return obb
    inside = clip_polygon(Polygon(obb.corners()), frame.width, frame.height)
    return obb if inside is None else to_obb(inside)


def _polygon(rings: Sequence[Sequence[float]], form: Form, dialect: Dialect, frame: Frame) -> Polygon:
    """Read rows of numbers as the rings of a polygon in pixels."""
    exterior, *holes = (_points(_pixels(ring, form, dialect, frame)) for ring in rings)
    return Polygon(exterior, tuple(holes))


def _encode_points(ring: Sequence[Point], dialect: Dialect, frame: Frame) -> list[tuple[int, int]]:
    """Round every point of a ring."""
    rounding = dialect.rounding
    return [
        (
            to_units(x, frame.unit_x, rounding=rounding, low=0, high=frame.top_x),
            to_units(y, frame.unit_y, rounding=rounding, low=0, high=frame.top_y),
        )
        for x, y in ring
    ]


def _ordered(ring: list[tuple[int, int]], corners: tuple[str, str]) -> list[tuple[int, int]]:
    """Turn a ring in the dialect's direction; it starts at the topmost (leftmost) or bottommost (rightmost) corner."""
    area = ring_area(ring)
    if area and (area > 0) != (corners[0] == "clockwise"):
        ring = ring[:1] + ring[:0:-1]
    sign = 1 if corners[1] == "topmost" else -1
    start = min(range(len(ring)), key=lambda i: (sign * ring[i][1], sign * ring[i][0]))
    return ring[start:] + ring[:start]


def _without_repeats(ring: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Drop points that rounding made equal to their predecessor, unless fewer than three would stay."""
    kept = [point for i, point in enumerate(ring) if point != ring[i - 1]]
    return kept if len(kept) >= 3 else ring


def _flat(ring: Sequence[tuple[int, int]]) -> Numbers:
    """Write points as one row of numbers."""
    return tuple(value for point in ring for value in point)


def _points(values: Sequence[float]) -> tuple[Point, ...]:
    """Read a row of numbers as points."""
    return tuple(zip(values[::2], values[1::2], strict=True))


def _field(form: Form, index: int) -> Field:
    """Say what the number at an index is."""
    return form.fields[index] if form.fields else ("x", "y")[index % 2]


def _unit(field: Field, frame: Frame) -> float:
    """Give the pixels (or degrees) of one unit."""
    return {"x": frame.unit_x, "y": frame.unit_y, "l": frame.unit_l, "a": 1.0}[field]


def _range(field: Field, form: Form, frame: Frame) -> tuple[float, float]:
    """Give the numbers that are allowed: an unturned box may stick out of the image by one image size."""
    if field == "a":
        return -360.0, 360.0
    if field == "l":
        return 0.0, math.ceil(math.hypot(frame.width, frame.height) / frame.unit_l)
    top = frame.top_x if field == "x" else frame.top_y
    return (-top, 2 * top) if form.kind == "obb" and form.fields[2] == "x" else (0, top)


def _clip(value: float, field: Field, form: Form, frame: Frame) -> float:
    """Move a number into its range."""
    low, high = _range(field, form, frame)
    return min(max(value, low), high)


def _near(value: float, field: Field, frame: Frame) -> float:
    """Move a number to within _FARTHEST image sizes: beyond them float64 cannot tell where an edge crosses."""
    far = _FARTHEST * (frame.top_x if field == "x" else frame.top_y)
    return min(max(value, -far), far)


def _pixels(values: Sequence[float], form: Form, dialect: Dialect, frame: Frame) -> list[float]:
    """Turn numbers into pixels (and degrees)."""
    offset = dialect.offset
    return [
        value if field == "a" else (value + (offset if field in "xy" else 0)) * _unit(field, frame)
        for value, field in ((value, _field(form, i)) for i, value in enumerate(values))
    ]
