"""Values of bands become the colours of a rendering: the stretch, the ramp of a difference, a radar pair's ratio."""

from __future__ import annotations

import numpy as np

from vlm.bands import Rendering
from vlm.stretch import normalised_difference, ramp, to_bytes


def paint(values: np.ndarray, how: Rendering) -> tuple[np.ndarray, np.ndarray]:
    """Give rgb (h, w, 3) uint8 of bands (n, h, w), and where it is defined: bool (h, w)."""
    if how.kind == "difference":
        return _paint_difference(values, how)
    if how.kind == "radar" and len(values) == 2:
        values = with_ratio(values)
    channels = [to_bytes(band, limits) for band, limits in zip(values, how.limits, strict=True)]
    rgb = np.stack(channels if len(channels) == 3 else channels * 3, axis=-1)
    return rgb, np.ones(rgb.shape[:2], bool)


def with_ratio(values: np.ndarray) -> np.ndarray:
    """Add the ratio of two radar bands, which is a difference in decibels, as the third."""
    return np.stack([values[0], values[1], values[0] - values[1]])


def _paint_difference(values: np.ndarray, how: Rendering) -> tuple[np.ndarray, np.ndarray]:
    index = normalised_difference(values[0], values[1])
    low, high = how.limits[0]
    return ramp(np.clip((index - low) / (high - low), 0, 1), how.colours), np.isfinite(index)
