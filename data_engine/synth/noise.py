"""Natural textures: periodic power-law noise and a forest canopy, made once a process and then cropped at random.

Every tile comes from a fixed seed, so a crop depends only on the generator that chose its offset.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

TILE_PX = 1024
CANOPY_M_PER_PX = 0.25


@lru_cache(maxsize=8)
def power_tile(exponent: float) -> np.ndarray:
    """Make periodic noise (TILE_PX, TILE_PX) float32, mean 0, deviation 1, with amplitude spectrum 1/f**exponent."""
    white = np.random.default_rng(int(exponent * 1000)).standard_normal((TILE_PX, TILE_PX), dtype=np.float32)
    spectrum = np.fft.rfft2(white)
    radius = np.hypot(np.fft.fftfreq(TILE_PX)[:, None], np.fft.rfftfreq(TILE_PX)[None, :])
    radius[0, 0] = np.inf
    tile = np.fft.irfft2(spectrum * (np.maximum(radius, 2.0 / TILE_PX) * TILE_PX) ** -exponent, s=white.shape)
    return np.clip(tile / tile.std(), -2.8, 2.8).astype(np.float32)


@lru_cache(maxsize=1)
def canopy_tile() -> np.ndarray:
    """Make a periodic height map of tree crowns (TILE_PX, TILE_PX) float32 in 0-1, CANOPY_M_PER_PX metres a pixel."""
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
    return np.clip(tile + 0.07 * power_tile(0.6), 0, 1)


def crop(tile: np.ndarray, rng: np.random.Generator, shape: tuple[int, int], *, zoom: float = 1.0) -> np.ndarray:
    """Cut (rows, cols) from a periodic tile at a random place; zoom > 1 enlarges its features."""
    rows, cols = shape
    need_rows, need_cols = max(2, round(rows / zoom)), max(2, round(cols / zoom))
    top, left = rng.integers(0, TILE_PX, 2)
    taken = tile.take(np.arange(top, top + need_rows), axis=0, mode="wrap")
    taken = taken.take(np.arange(left, left + need_cols), axis=1, mode="wrap")
    if taken.shape == (rows, cols):
        return taken
    method = cv2.INTER_LINEAR if zoom > 1 else cv2.INTER_AREA
    return cv2.resize(taken, (cols, rows), interpolation=method)
