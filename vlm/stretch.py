"""From sensor values to eight bits: percentile limits, the linear stretch, colour ramps and decibels.

Differences are taken between halves, which is exact, so that no pair of float64 values overflows.
"""

from __future__ import annotations

import numpy as np

Limits = tuple[float, float]
AS_STORED: Limits = (0.0, 255.0)
PERCENTILES = (2.0, 98.0)
_AMPLITUDE_FLOOR = 1e-10
_LEAST_SPAN = 1e-300


def percentile_limits(values: np.ndarray) -> Limits:
    """Give the 2nd and 98th percentile of 1-D valid values, widened where they coincide (a constant or a rare class).

    Without any value the limits are (0, 1), so that the band renders black.
    """
    values = values[np.isfinite(values)]
    if values.size == 0:
        return 0.0, 1.0
    low, high = (float(limit) for limit in 2 * np.percentile(values / 2, PERCENTILES))
    if high <= low:
        low, high = float(values.min()), float(values.max())
    if high <= low:
        low, high = (0.0, high) if high > 0 else (low, low + max(1.0, -low * 1e-6))
    return low, high


def as_float(values: np.ndarray) -> np.ndarray:
    """Turn values of any type into float64; a NaN of a damaged file that signals is a NaN like any other."""
    with np.errstate(invalid="ignore"):
        return values.astype(np.float64)


def to_bytes(values: np.ndarray, limits: Limits) -> np.ndarray:
    """Stretch values of any shape linearly from limits to 0-255 (uint8); outside is clipped, NaN becomes 0."""
    if limits == AS_STORED and values.dtype == np.uint8:
        return values
    low, high = limits
    scale = 255.0 / max(high / 2 - low / 2, _LEAST_SPAN)
    with np.errstate(over="ignore"):  # far outside the limits is clipped all the same
        scaled = (values.astype(np.float64) / 2 - low / 2) * scale
    return np.rint(np.clip(np.nan_to_num(scaled, nan=0.0), 0, 255)).astype(np.uint8)


def decibels(amplitude: np.ndarray) -> np.ndarray:
    """Turn amplitude (not power) into decibels, 20 log10; zero and negative amplitudes become NaN."""
    positive = amplitude > _AMPLITUDE_FLOOR
    return np.where(positive, 20 * np.log10(np.where(positive, amplitude, 1.0)), np.nan)


def normalised_difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Give (first - second) / (first + second), the form of NDVI and NDWI, in -1..1; NaN where the sum is zero."""
    first, second = first.astype(np.float64) / 2, second.astype(np.float64) / 2
    total = first + second
    return np.where(total != 0, (first - second) / np.where(total != 0, total, 1.0), np.nan)


def ramp(position: np.ndarray, colours: tuple[tuple[int, int, int], ...]) -> np.ndarray:
    """Colour positions 0-1 (h, w) by evenly spaced colours, linearly between them: (h, w, 3) uint8."""
    stops = np.linspace(0, 1, len(colours))
    channels = [np.interp(np.nan_to_num(position), stops, [colour[i] for colour in colours]) for i in range(3)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)
