"""The five shapes, all in pixels of the original image.

Frame: continuous pixel coordinates, origin at the top-left corner of the top-left pixel, x to the right, y down. The
centre of the first pixel is (0.5, 0.5); a box that covers a whole W x H image is (0, 0, W, H). Nothing adds one pixel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vlm.errors import GeometryError

Point = tuple[float, float]


def _require_finite(name: str, *values: float) -> None:
    if not all(math.isfinite(value) for value in values):
        raise GeometryError(f"{name} got {values}: every coordinate must be a finite number of pixels")


@dataclass(frozen=True, slots=True)
class Window:
    """Name a block of whole pixels: offset (x, y) and size (w, h) in original-image pixels."""

    x: int
    y: int
    w: int
    h: int

    def __post_init__(self) -> None:
        if self.w <= 0 or self.h <= 0:
            raise GeometryError(
                f"window {self.w} x {self.h} at ({self.x}, {self.y}) is empty: w and h must be positive"
            )

    @property
    def box(self) -> HBB:
        return HBB(self.x, self.y, self.x + self.w, self.y + self.h)


@dataclass(frozen=True, slots=True)
class HBB:
    """Hold a horizontal box as (x1, y1, x2, y2), x1 <= x2 and y1 <= y2."""

    x1: float
    y1: float
    x2: float
    y2: float

    def __post_init__(self) -> None:
        _require_finite("box", self.x1, self.y1, self.x2, self.y2)
        if self.x2 < self.x1 or self.y2 < self.y1:
            raise GeometryError(
                f"box ({self.x1}, {self.y1}, {self.x2}, {self.y2}) is inside out: expected x1 <= x2 and y1 <= y2"
            )

    @property
    def w(self) -> float:
        return self.x2 - self.x1

    @property
    def h(self) -> float:
        return self.y2 - self.y1

    @property
    def area(self) -> float:
        return self.w * self.h


@dataclass(frozen=True, slots=True)
class OBB:
    """Hold an oriented box by centre, sides and the angle of its `w` side.

    `angle_deg` turns from +x towards +y (clockwise on the screen). The canonical form, which `geometry.canonical`
    gives, is the long-edge convention le90: w >= h and angle_deg in [-90, 90).
    """

    cx: float
    cy: float
    w: float
    h: float
    angle_deg: float

    def __post_init__(self) -> None:
        _require_finite("oriented box", self.cx, self.cy, self.w, self.h, self.angle_deg)
        if self.w < 0 or self.h < 0:
            raise GeometryError(f"oriented box has sides {self.w} x {self.h}: sides must not be negative")

    @property
    def area(self) -> float:
        return self.w * self.h

    def corners(self) -> tuple[Point, Point, Point, Point]:
        """Give the corners in pixels, from the (-w/2, -h/2) corner on, clockwise on the screen."""
        cos, sin = math.cos(math.radians(self.angle_deg)), math.sin(math.radians(self.angle_deg))
        half_w, half_h = self.w / 2, self.h / 2
        local = ((-half_w, -half_h), (half_w, -half_h), (half_w, half_h), (-half_w, half_h))
        a, b, c, d = ((self.cx + u * cos - v * sin, self.cy + u * sin + v * cos) for u, v in local)
        return a, b, c, d


@dataclass(frozen=True, slots=True)
class Polygon:
    """Hold one exterior ring and its holes; rings are open (the first point is not repeated)."""

    exterior: tuple[Point, ...]
    holes: tuple[tuple[Point, ...], ...] = ()

    def __post_init__(self) -> None:
        for ring in (self.exterior, *self.holes):
            if len(ring) < 3:
                raise GeometryError(f"polygon ring has {len(ring)} points: expected at least 3")
            _require_finite("polygon", *(value for point in ring for value in point))


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """Hold a boolean grid stretched over a box: cell (row, col) covers box.w / cols by box.h / rows pixels.

    A mask at full resolution has one cell a pixel; a mask decoded from text has N x N cells, whatever the box's size,
    so that memory does not grow with the image.
    """

    bits: np.ndarray
    box: HBB

    def __post_init__(self) -> None:
        if self.bits.ndim != 2 or self.bits.dtype != np.bool_ or self.bits.size == 0:
            raise GeometryError(f"mask got {self.bits.dtype} of shape {self.bits.shape}: expected a 2-D boolean array")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mask) and self.box == other.box and np.array_equal(self.bits, other.bits)

    def __hash__(self) -> int:
        return hash((self.box, self.bits.shape, self.bits.tobytes()))

    @property
    def area(self) -> float:
        """Count the covered area in square pixels of the original image."""
        return float(self.bits.sum()) * self.box.area / self.bits.size


Geometry = HBB | OBB | Polygon | Mask
