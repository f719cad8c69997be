"""Draw on pixels with sub-pixel precision: outlines, soft blends, supersampled patches and shadows.

A point (x, y) in continuous pixels is (x - 0.5, y - 0.5) for OpenCV, whose integers are pixel centres. OpenCV fills
half a pixel too much on every side, so exact shapes are drawn in a patch enlarged by nearest neighbour and averaged
back, which leaves untouched pixels as they were.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import cv2
import numpy as np

from data_engine.synth.records import Colour, Line

SHIFT = 4
ONE = 1 << SHIFT


def to_fixed(points: np.ndarray, scale: float = 1.0) -> np.ndarray:
    """Convert (N, 2) px to OpenCV's fixed-point integers with SHIFT fractional bits, enlarged by `scale`."""
    fixed = points * (scale * ONE)
    fixed += 0.5 - 0.5 * ONE
    return np.floor(fixed).astype(np.int32)


def extent(outline: np.ndarray) -> tuple[float, float, float, float]:
    """Give the box (x1, y1, x2, y2) of an outline (N, 2) in px, as plain numbers."""
    x1, y1 = outline.min(axis=0).tolist()
    x2, y2 = outline.max(axis=0).tolist()
    return x1, y1, x2, y2


def bounds(outline: np.ndarray, pad: float, shape: tuple[int, ...]) -> tuple[int, int, int, int] | None:
    """Give the whole-pixel box (x1, y1, x2, y2) around an outline, clipped to the image; None where nothing is left."""
    low_x, low_y, high_x, high_y = extent(outline)
    x1, y1 = max(0, math.floor(low_x - pad)), max(0, math.floor(low_y - pad))
    x2, y2 = min(shape[1], math.ceil(high_x + pad)), min(shape[0], math.ceil(high_y + pad))
    return (x1, y1, x2, y2) if x2 > x1 and y2 > y1 else None


def fill_mask(shape: tuple[int, int], rings: Iterable[np.ndarray]) -> np.ndarray:
    """Fill rings into a uint8 mask (rows, cols), 0 or 255, antialiased, half a pixel fat."""
    mask = np.zeros(shape, np.uint8)
    for ring in rings:
        cv2.fillPoly(mask, [to_fixed(ring)], 255, lineType=cv2.LINE_AA, shift=SHIFT)
    return mask


def exact_mask(shape: tuple[int, int], outline: np.ndarray) -> tuple[np.ndarray, tuple[int, int, int, int]] | None:
    """Cover the pixels that lie at least half inside an outline: a boolean block and its box, None when outside."""
    box = bounds(outline, 1, shape)
    if box is None:
        return None
    x1, y1, x2, y2 = box
    big = np.zeros(((y2 - y1) * 4, (x2 - x1) * 4), np.uint8)
    cv2.fillPoly(big, [to_fixed(outline - (x1, y1), 4)], 255, shift=SHIFT)
    return cv2.resize(big, (x2 - x1, y2 - y1), interpolation=cv2.INTER_AREA) >= 128, box


def blend(target: np.ndarray, paint: np.ndarray, mask: np.ndarray) -> None:
    """Mix `paint` (rows, cols, 3) into `target` in place where the uint8 mask (0-255) says so."""
    alpha = mask.astype(np.float32) * np.float32(1 / 255)
    target[...] = cv2.blendLinear(paint, target, alpha, 1 - alpha)


def draw_lines(rgb: np.ndarray, lines: Iterable[Line]) -> None:
    """Draw lines in place, grouped by colour; thin ones are faded by their share of a pixel."""
    groups: dict[Colour, dict[tuple[int, int], list[np.ndarray]]] = {}
    for line in lines:
        pen = (int(255 * min(1.0, line.width_px)), max(1, round(line.width_px)))
        groups.setdefault(line.colour, {}).setdefault(pen, []).append(to_fixed(line.points))
    for colour, pens in groups.items():
        layer = np.zeros(rgb.shape[:2], np.uint8)
        for (value, thickness), paths in pens.items():
            cv2.polylines(layer, paths, False, value, thickness, cv2.LINE_AA, SHIFT)
        box = cv2.boundingRect(layer)
        block = np.s_[box[1] : box[1] + box[3], box[0] : box[0] + box[2]]
        if box[2]:
            blend(rgb[block], np.full_like(rgb[block], colour), layer[block])


class Patch:
    """Hold an enlarged copy of the pixels around an outline; `close` averages it back into the image."""

    def __init__(self, rgb: np.ndarray, outline: np.ndarray, *, pad: float = 1.0) -> None:
        self.box = bounds(outline, pad, rgb.shape)
        if self.box is None:
            return
        x1, y1, x2, y2 = self.box
        self.block = rgb[y1:y2, x1:x2]
        self.zoom = 4 if max(x2 - x1, y2 - y1) <= 72 else 2
        size = ((x2 - x1) * self.zoom, (y2 - y1) * self.zoom)
        self.pixels = cv2.resize(self.block, size, interpolation=cv2.INTER_NEAREST)

    def fixed(self, points: np.ndarray) -> np.ndarray:
        """Convert (N, 2) image px to this patch's fixed-point integers."""
        assert self.box is not None
        return to_fixed(points - self.box[:2], self.zoom)

    def fill(self, points: np.ndarray, colour: Colour) -> None:
        """Fill an outline (N, 2) px with one colour."""
        cv2.fillPoly(self.pixels, [self.fixed(points)], colour, shift=SHIFT)

    def line(self, points: np.ndarray, width_px: float, colour: Colour, *, closed: bool = False) -> None:
        """Draw a line of a width in image px, at least one enlarged pixel wide."""
        thickness = max(1, round(width_px * self.zoom))
        cv2.polylines(self.pixels, [self.fixed(points)], closed, colour, thickness, cv2.LINE_AA, SHIFT)

    def close(self) -> None:
        """Average the enlarged pixels back into the image."""
        size = (self.block.shape[1], self.block.shape[0])
        self.block[...] = cv2.resize(self.pixels, size, interpolation=cv2.INTER_AREA)


def cast_shadow(layer: np.ndarray, outline: np.ndarray, offset: np.ndarray, *, convex: bool = True) -> None:
    """Add the shadow of a prism over `outline` (N, 2) px, whose top is moved by `offset`, to a uint8 layer."""
    moved = outline + offset
    if convex:
        hull = cv2.convexHull(np.concatenate([outline, moved]).astype(np.float32))
        cv2.fillConvexPoly(layer, to_fixed(hull), 255, lineType=cv2.LINE_AA, shift=SHIFT)
        return
    cv2.fillPoly(layer, [to_fixed(moved)], 255, lineType=cv2.LINE_AA, shift=SHIFT)
    following, moved_following = np.roll(outline, -1, axis=0), np.roll(moved, -1, axis=0)
    for quad in np.stack([outline, following, moved_following, moved], axis=1):
        cv2.fillConvexPoly(layer, to_fixed(quad), 255, lineType=cv2.LINE_AA, shift=SHIFT)


def cast_lifted_shadow(layer: np.ndarray, outline: np.ndarray, offset: np.ndarray) -> None:
    """Add the shadow of a shape that stands off the ground (a plane) to a uint8 layer."""
    cv2.fillPoly(layer, [to_fixed(outline + offset)], 255, lineType=cv2.LINE_AA, shift=SHIFT)


def apply_shadow(rgb: np.ndarray, layer: np.ndarray, *, strength: float = 0.55, soft_px: float = 0.8) -> None:
    """Darken the image in place under a shadow layer, slightly blue, with soft edges."""
    if not layer.any():
        return
    soft = cv2.GaussianBlur(layer, (0, 0), soft_px).astype(np.float32)
    keep = cv2.merge([1 - soft * np.float32(strength * k / 255) for k in (1.0, 0.97, 0.9)])
    rgb[...] = cv2.multiply(rgb, keep, dtype=cv2.CV_8U)
