"""Natural textures: periodic power-law noise and a forest canopy, made once a process and then cropped at random.

Every tile comes from a fixed seed, so a crop depends only on the generator that chose its offset. Tiles are uint8 with
128 for the mean and DEVIATION levels to a standard deviation, and carry a wrapped margin, so that most crops are views.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

TILE_PX, MARGIN_PX = 1024, 640
DEVIATION = 45
CANOPY_M_PER_PX = 0.25


def _wrapped(tile: np.ndarray) -> np.ndarray:
    return cv2.copyMakeBorder(tile, 0, MARGIN_PX, 0, MARGIN_PX, cv2.BORDER_WRAP)


def _power_noise(exponent: float, stretch: float = 1.0) -> np.ndarray:
    """Make periodic noise of mean 0 and deviation 1; `stretch` lengthens its features along x."""
    white = np.random.default_rng(int(exponent * 1000)).standard_normal((TILE_PX, TILE_PX), dtype=np.float32)
    radius = np.hypot(np.fft.fftfreq(TILE_PX)[:, None], stretch * np.fft.rfftfreq(TILE_PX)[None, :])
    radius[0, 0] = np.inf
    tile = np.fft.irfft2(
        np.fft.rfft2(white) * (np.maximum(radius, 2.0 / TILE_PX) * TILE_PX) ** -exponent, s=white.shape
    )
    return np.clip(tile / tile.std(), -2.8, 2.8).astype(np.float32)


@lru_cache(maxsize=12)
def power_tile(exponent: float, stretch: float = 1.0) -> np.ndarray:
    """Make periodic noise, uint8 with wrapped margin, with amplitude spectrum 1/f**exponent, 128 plus deviations."""
    return _wrapped((128.5 + DEVIATION * _power_noise(exponent, stretch)).astype(np.uint8))


@lru_cache(maxsize=4)
def canopy_tile(level: int = 0) -> np.ndarray:
    """Make a height map of tree crowns, uint8 with wrapped margin, CANOPY_M_PER_PX * 2**level metres a pixel."""
    if level:
        finer = canopy_tile(level - 1)[:TILE_PX, :TILE_PX]
        half = cv2.resize(finer, (TILE_PX // 2, TILE_PX // 2), interpolation=cv2.INTER_AREA)
        return _wrapped(np.block([[half, half[::-1, ::-1]], [half.T, half[:, ::-1]]]))
    rng = np.random.default_rng(7)
    tile = np.zeros((TILE_PX, TILE_PX), np.float32)
    for _ in range(4200):
        radius = int(rng.integers(8, 20))
        span = np.arange(-radius, radius + 1)
        distance = (span[:, None] ** 2 + span[None, :] ** 2) / radius**2
        crown = np.sqrt(np.clip(1 - distance, 0, 1)).astype(np.float32) * rng.uniform(0.55, 1.0)
        y, x = rng.integers(0, TILE_PX, 2)
        where = np.ix_((span + y) % TILE_PX, (span + x) % TILE_PX)
        tile[where] = np.maximum(tile[where], crown)
    return _wrapped((255 * np.clip(tile + 0.07 * _power_noise(0.6), 0, 1)).astype(np.uint8))


def crop(tile: np.ndarray, rng: np.random.Generator, shape: tuple[int, int], *, zoom: float = 1.0) -> np.ndarray:
    """Cut (rows, cols) from a periodic tile at a random place, as a view where it can; zoom > 1 enlarges features."""
    rows, cols = shape
    need_rows, need_cols = max(2, round(rows / zoom)), max(2, round(cols / zoom))
    top, left = (int(value * TILE_PX) for value in rng.random(2))
    if max(need_rows, need_cols) <= MARGIN_PX:
        taken = tile[top : top + need_rows, left : left + need_cols]
    else:
        period = tile[:TILE_PX, :TILE_PX]
        taken = period.take(np.arange(top, top + need_rows), axis=0, mode="wrap")
        taken = taken.take(np.arange(left, left + need_cols), axis=1, mode="wrap")
    if taken.shape == (rows, cols):
        return taken
    return cv2.resize(taken, (cols, rows), interpolation=cv2.INTER_LINEAR if zoom > 1 else cv2.INTER_AREA)
