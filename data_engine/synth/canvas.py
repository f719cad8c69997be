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


def fill_mask(shape: tuple[int, int], rings: Iterable[np.ndarray], offset: tuple[int, int] = (0, 0)) -> np.ndarray:
    """Fill rings (at least one) minus `offset` into a uint8 mask: 0 or 255, antialiased, half a pixel fat."""
    mask, found = np.zeros(shape, np.uint8), list(rings)
    ends = np.cumsum([len(ring) for ring in found])
    for ring in np.split(to_fixed(np.concatenate(found) - offset), ends[:-1]):
        cv2.fillPoly(mask, [ring], 255, lineType=cv2.LINE_AA, shift=SHIFT)
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


def blend(target: np.ndarray, paint: np.ndarray, mask: np.ndarray, *, soft: bool = True) -> None:
    """Mix `paint` (rows, cols, 3) into `target` in place where the uint8 mask (0-255) says so.

    Masks that are not `soft` are mostly 0 or 255: what they cover is copied, and only their edge is mixed.
    """
    if soft:
        alpha = mask.astype(np.float32) * np.float32(1 / 255)
        target[...] = cv2.blendLinear(paint, target, alpha, 1 - alpha)
        return
    rows, cols = np.nonzero((mask - np.uint8(1)) < 254)
    share = mask[rows, cols, None].astype(np.float32) * np.float32(1 / 255)
    under = target[rows, cols]
    mixed = under + (paint[rows, cols].astype(np.float32) - under) * share
    cv2.copyTo(paint, mask, target)
    target[rows, cols] = np.round(mixed)


def draw_lines(rgb: np.ndarray, lines: Iterable[Line]) -> None:
    """Draw lines in place, grouped by colour; thin ones are faded by their share of a pixel."""
    groups: dict[tuple[Colour, bool], dict[tuple[int, int], list[np.ndarray]]] = {}
    for line in lines:
        pen = (int(255 * line.strength * min(1.0, line.width_px)), max(1, round(line.width_px)))
        group = groups.setdefault((line.colour, line.strength < 1), {})
        group.setdefault(pen, []).extend(to_fixed(line.paths))
    for (colour, worn), pens in sorted(groups.items(), key=lambda entry: not entry[0][1]):
        layer = np.zeros(rgb.shape[:2], np.uint8)
        for (value, thickness), paths in pens.items():
            cv2.polylines(layer, paths, False, value, thickness, cv2.LINE_AA, SHIFT)
        _tint(rgb, cv2.blur(layer, (3, 3)) if worn else layer, colour)


def _tint(rgb: np.ndarray, mask: np.ndarray, colour: Colour) -> None:
    """Mix one colour into the few pixels of uint8 (H, W, 3) where the uint8 mask is not 0."""
    flat, shares = rgb.reshape(-1, 3), mask.ravel()
    at = np.flatnonzero(shares != 0)
    under = flat[at].astype(np.float32)
    under += (np.array(colour, np.float32) - under) * (shares[at, None] * np.float32(1 / 255))
    flat[at] = under + np.float32(0.5)
