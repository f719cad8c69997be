"""The ways in which datasets and libraries write an oriented box, as named values with conversion both ways.

Ours (shapes.OBB) turns the `w` side from +x towards +y, clockwise on the screen, in degrees. A convention says three
things: in which sense and unit its angle turns, which range the angle keeps to, and whether `w` is the long side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from vlm.errors import GeometryError
from vlm.geometry.convert import canonical, min_area_rectangle, wrap_degrees
from vlm.geometry.shapes import OBB, Point


@dataclass(frozen=True, slots=True)
class Convention:
    """State how an oriented box is written as (cx, cy, w, h, angle).

    The angle lies in [low_deg, low_deg + period_deg), or in (low_deg, low_deg + period_deg] when `top_closed`. A period
    of 180 means that `w` is the long side; with 90 the range decides which side is called `w`. `clockwise` is the sense
    on the screen; `radians` the unit of the written number.
    """

    name: str
    meaning: str
    low_deg: float
    period_deg: float
    top_closed: bool = False
    clockwise: bool = True
    radians: bool = False


CONVENTIONS: dict[str, Convention] = {
    "le90": Convention("le90", "mmrotate's long edge, clockwise, [-90, 90)", -90, 180),
    "opencv_old": Convention(
        "opencv_old", "cv2.minAreaRect before 4.5.1 and again since 4.13, clockwise, [-90, 0)", -90, 90
    ),
    "opencv_new": Convention("opencv_new", "cv2.minAreaRect 4.5.1 to 4.12, clockwise, (0, 90]", 0, 90, top_closed=True),
    "geochat": Convention(
        "geochat", "GeoChat: the sense of cv2.getRotationMatrix2D, counter-clockwise, [0, 90)", 0, 90, clockwise=False
    ),
    "hit_uav": Convention("hit_uav", "HIT-UAV: long edge, clockwise, radians [0, pi)", 0, 180, radians=True),
}


def to_convention(obb: OBB, convention: str) -> tuple[float, float, float, float, float]:
    """Write a box as (cx, cy, w, h, angle) in a named convention; raises GeometryError for an unknown name."""
    rule = _rule(convention)
    w, h, angle = obb.w, obb.h, obb.angle_deg if rule.clockwise else -obb.angle_deg
    if rule.period_deg == 180 and w < h:
        w, h, angle = h, w, angle + 90
    wrapped = wrap_degrees(angle, low=rule.low_deg, period=rule.period_deg)
    if rule.top_closed and wrapped == rule.low_deg:
        wrapped += rule.period_deg
    if rule.period_deg == 90 and round((angle - wrapped) / 90) % 2:
        w, h = h, w
    return obb.cx, obb.cy, w, h, math.radians(wrapped) if rule.radians else wrapped


def from_convention(values: Sequence[float], convention: str) -> OBB:
    """Read (cx, cy, w, h, angle) of a named convention as a canonical box; the angle may lie outside its range."""
    rule = _rule(convention)
    cx, cy, w, h, written = values
    angle = math.degrees(written) if rule.radians else written
    return canonical(OBB(cx, cy, w, h, angle if rule.clockwise else -angle))


def opencv_convention(version: str) -> str:
    """Name the convention of cv2.minAreaRect in a version of OpenCV (its pull request 28051 changed it back)."""
    numbers = tuple(int(part) for part in version.split(".")[:3] if part.isdecimal())
    changed = (3, 4, 13) <= numbers < (4,) or (4, 5, 1) <= numbers < (4, 13)
    return "opencv_new" if changed else "opencv_old"


def to_dota(obb: OBB) -> tuple[float, ...]:
    """Write a box as DOTA does: eight numbers, four corners clockwise on the screen."""
    return tuple(value for corner in obb.corners() for value in corner)


def from_dota(numbers: Sequence[float]) -> OBB:
    """Read DOTA's eight numbers, four corners in any order, as the smallest rectangle around them."""
    if len(numbers) != 8:
        raise GeometryError(f"a DOTA box has 8 numbers (x1 y1 ... x4 y4), got {len(numbers)}")
    points: list[Point] = [(numbers[i], numbers[i + 1]) for i in range(0, 8, 2)]
    return min_area_rectangle(points)


def _rule(name: str) -> Convention:
    """Look a convention up."""
    if name not in CONVENTIONS:
        raise GeometryError(f"no angle convention is called {name!r}: known are {', '.join(CONVENTIONS)}")
    return CONVENTIONS[name]
