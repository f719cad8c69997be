"""Collect the fills and lines that make up things, in the things' own frames, and draw them all at once.

Drawing is exact to a sixteenth of a pixel in area: it happens in tiles enlarged ZOOM times by nearest neighbour and
averaged back, which leaves pixels that nothing touches as they were. Tiles have four channels because those are fast.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np

from data_engine.synth.canvas import SHIFT
from data_engine.synth.outlines import RECT
from data_engine.synth.records import Colour, Thing

ZOOM, TILE_PX = 4, 128
Box = tuple[int, int, int, int]


class Sketch:
    """Hold shapes in drawing order, each in the frame of the thing that `hold` named last (outlines.py)."""

    def __init__(self) -> None:
        self._frames: list[tuple[float, float, float, float, float, float]] = []
        self._units: list[np.ndarray] = []
        self._frame_of: list[int] = []
        self._colours: list[tuple[float, float, float]] = []
        self._pens: list[float] = []
        self._closed: list[bool] = []
        self._light = 1.0

    def hold(self, thing: Thing, light: float = 1.0) -> None:
        """Take a thing's frame, and the share of light that reaches it, for the shapes that follow."""
        self._light = light
        angle = math.radians(thing.angle_deg)
        cos, sin, length, width = math.cos(angle), math.sin(angle), thing.length_px, thing.width_px
        self._frames.append((length * cos, length * sin, -width * sin, width * cos, thing.cx, thing.cy))

    def boxes(self, poses: np.ndarray, colours: np.ndarray) -> None:
        """Fill boxes (N, 5): cx, cy, length, width in px and angle in degrees, with colours (N, 3)."""
        cos, sin = np.cos(np.radians(poses[:, 4])), np.sin(np.radians(poses[:, 4]))
        length, width = poses[:, 2], poses[:, 3]
        frames = np.column_stack([length * cos, length * sin, -width * sin, width * cos, poses[:, 0], poses[:, 1]])
        first, count = len(self._frames), len(poses)
        self._frames += frames.tolist()
        self._units += [RECT] * count
        self._frame_of += range(first, first + count)
        self._colours += colours.tolist()
        self._pens += [0.0] * count
        self._closed += [True] * count

    def fill(self, unit: np.ndarray, colour: Colour) -> None:
        """Fill an outline (N, 2) with one colour."""
        self._add(unit, colour, 0.0, True)

    def line(self, unit: np.ndarray, width_px: float, colour: Colour, *, closed: bool = False) -> None:
        """Draw a line of a width in image px, at least 1 / ZOOM px wide."""
        self._add(unit, colour, max(width_px, 1 / ZOOM), closed)

    def _add(self, unit: np.ndarray, colour: Colour, pen_px: float, closed: bool) -> None:
        self._units.append(unit)
        self._frame_of.append(len(self._frames) - 1)
        light = self._light
        self._colours.append(colour if light >= 1 else (colour[0] * light, colour[1] * light, colour[2] * light))
        self._pens.append(pen_px)
        self._closed.append(closed)

    def draw(self, rgb: np.ndarray) -> None:
        """Draw everything in place on uint8 (H, W, 3)."""
        if not self._units:
            return
        points, starts = self._place()
        low = np.floor(np.minimum.reduceat(points, starts) - np.array(self._pens)[:, None]).astype(np.int64)
        high = np.ceil(np.maximum.reduceat(points, starts) + np.array(self._pens)[:, None]).astype(np.int64)
        fixed = np.floor(points * (ZOOM << SHIFT) + (0.5 - (1 << SHIFT) / 2)).astype(np.int32)
        ends = [*starts[1:].tolist(), len(points)]
        for chosen, box in _tiles(low, high, rgb.shape):
            block = rgb[box[1] : box[3], box[0] : box[2]]
            big = _enlarge(block)
            moved = fixed - (np.array(box[:2], np.int32) * (ZOOM << SHIFT))
            self._draw_shapes(big, moved, starts, ends, chosen)
            block[...] = _shrink(big)

    def _place(self) -> tuple[np.ndarray, np.ndarray]:
        """Give all points (P, 2) in image px and the start of each shape in them."""
        sizes = np.fromiter(map(len, self._units), np.int64, len(self._units))
        units = np.concatenate(self._units)
        a, b, c, d, x, y = np.array(self._frames).T[:, np.repeat(self._frame_of, sizes)]
        u, v = units[:, 0], units[:, 1]
        return np.stack([a * u + c * v + x, b * u + d * v + y], axis=1), np.cumsum(sizes) - sizes

    def _draw_shapes(
        self, big: np.ndarray, points: np.ndarray, starts: np.ndarray, ends: list[int], chosen: list[int]
    ) -> None:
        for index in chosen:
            ring, pen_px = points[starts[index] : ends[index]], self._pens[index]
            if pen_px:
                thickness = max(1, round(pen_px * ZOOM))
                cv2.polylines(big, [ring], self._closed[index], self._colours[index], thickness, cv2.LINE_8, SHIFT)
            else:
                cv2.fillPoly(big, [ring], self._colours[index], shift=SHIFT)


def _tiles(low: np.ndarray, high: np.ndarray, shape: tuple[int, ...]) -> Iterator[tuple[list[int], Box]]:
    """Yield, for each tile that shapes touch, their indices in order and the box (x1, y1, x2, y2) that they need."""
    for top in range(0, shape[0], TILE_PX):
        in_row = np.flatnonzero((high[:, 1] > top) & (low[:, 1] < min(top + TILE_PX, shape[0])))
        for left in range(0, shape[1], TILE_PX) if in_row.size else ():
            inside = (high[in_row, 0] > left) & (low[in_row, 0] < min(left + TILE_PX, shape[1]))
            chosen = in_row[inside]
            if chosen.size:
                x1, y1 = np.maximum(low[chosen].min(axis=0), (left, top)).tolist()
                x2, y2 = np.minimum(high[chosen].max(axis=0), (left + TILE_PX, top + TILE_PX)).tolist()
                yield chosen.tolist(), (x1, y1, min(x2, shape[1]), min(y2, shape[0]))


def _enlarge(block: np.ndarray) -> np.ndarray:
    size = (block.shape[1] * ZOOM, block.shape[0] * ZOOM)
    return cv2.resize(cv2.cvtColor(block, cv2.COLOR_RGB2RGBA), size, interpolation=cv2.INTER_NEAREST)


def _shrink(big: np.ndarray) -> np.ndarray:
    half = cv2.resize(big, (big.shape[1] // 2, big.shape[0] // 2), interpolation=cv2.INTER_AREA)
    small = cv2.resize(half, (half.shape[1] // 2, half.shape[0] // 2), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_RGBA2RGB)
