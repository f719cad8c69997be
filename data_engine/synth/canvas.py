"""Draw on pixels with sub-pixel precision: masks of outlines, soft blends and lines.

A point (x, y) in continuous pixels is (x - 0.5, y - 0.5) for OpenCV, whose integers are pixel centres. OpenCV fills
half a pixel too much on every side, so what has to be exact is drawn enlarged and averaged back (`exact_mask`, Sketch).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import cv2
import numpy as np

from data_engine.synth.records import Area, Colour, Line

SHIFT = 4
ONE = 1 << SHIFT


def to_fixed(points: np.ndarray, scale: float = 1.0) -> np.ndarray:
    """Convert (..., 2) px to OpenCV's fixed-point integers with SHIFT fractional bits, enlarged by `scale`."""
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


def cover(target: np.ndarray, area: Area, value: int, shift_px: np.ndarray | tuple[float, float] = (0.0, 0.0)) -> None:
    """Write a value into the pixels of a raster that an area covers, moved by `shift_px`."""
    if area.mask is not None:
        matrix = np.array([[1, 0, shift_px[0]], [0, 1, shift_px[1]]], np.float64)
        moved = cv2.warpAffine(area.mask, matrix, area.mask.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
        target[moved >= 128] = value
    for ring in area.rings:
        cv2.fillPoly(target, [to_fixed(ring + shift_px)], value, shift=SHIFT)


def blend(target: np.ndarray, paint: np.ndarray, mask: np.ndarray) -> None:
    """Mix `paint` (rows, cols, 3) into `target` in place where the uint8 mask (0-255) says so."""
    alpha = mask.astype(np.float32) * np.float32(1 / 255)
    target[...] = cv2.blendLinear(paint, target, alpha, 1 - alpha)


def draw_lines(rgb: np.ndarray, lines: Iterable[Line]) -> None:
    """Draw lines in place, grouped by colour; thin ones are faded by their share of a pixel."""
    groups: dict[Colour, dict[tuple[int, int], list[np.ndarray]]] = {}
    for line in lines:
        pen = (int(255 * min(1.0, line.width_px)), max(1, round(line.width_px)))
        groups.setdefault(line.colour, {}).setdefault(pen, []).extend(to_fixed(line.paths))
    for colour, pens in groups.items():
        layer = np.zeros(rgb.shape[:2], np.uint8)
        for (value, thickness), paths in pens.items():
            cv2.polylines(layer, paths, False, value, thickness, cv2.LINE_AA, SHIFT)
        box = cv2.boundingRect(layer)
        block = np.s_[box[1] : box[1] + box[3], box[0] : box[0] + box[2]]
        if box[2]:
            blend(rgb[block], np.full_like(rgb[block], colour), layer[block])
