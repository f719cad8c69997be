"""Paint single trees as textured crowns: a set of stamps lit from one side, turned to the day's sun."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np

from data_engine.synth.noise import DEVIATION, crop, power_tile
from data_engine.synth.records import Look, Thing

STAMP_PX, STAMPS = 48, 12


@lru_cache(maxsize=1)
def _stamps() -> tuple[np.ndarray, np.ndarray]:
    """Make crowns lit from -x: brightness and cover, each (STAMPS, STAMP_PX, STAMP_PX) float32."""
    rng = np.random.default_rng(11)
    at = (np.arange(STAMP_PX, dtype=np.float32) + 0.5) / STAMP_PX * 2 - 1
    x, y = np.meshgrid(at, at)
    bright, cover = [], []
    for _ in range(STAMPS):
        height = np.zeros_like(x)
        for _ in range(int(rng.integers(9, 22))):
            turn, reach, size = rng.uniform(0, 6.28), 0.62 * rng.uniform(0, 1) ** 0.6, rng.uniform(0.22, 0.42)
            away = ((x - reach * np.cos(turn)) ** 2 + (y - reach * np.sin(turn)) ** 2) / size**2
            height = np.maximum(height, np.sqrt(np.clip(1 - away, 0, 1)) * size + 0.35 * (1 - reach) * (away < 1))
        leaves = (crop(power_tile(0.8), rng, x.shape, zoom=0.6).astype(np.float32) - 128) / DEVIATION
        slope = cv2.Sobel(cv2.GaussianBlur(height.astype(np.float32), (0, 0), 1.2), cv2.CV_32F, 1, 0, ksize=3)
        bright.append(0.6 + 0.62 * height + 0.75 * slope - 0.16 * x + 0.1 * leaves)
        cover.append(np.clip(height * 9 - 0.5, 0, 1))
    return np.clip(np.array(bright, np.float32), 0.3, 1.7), np.array(cover, np.float32)


def _turned_stamps(look: Look) -> list[np.ndarray]:
    """Turn the stamps so that their lit side faces the sun; each (S, S, 2) float32: brightness, cover."""
    matrix = cv2.getRotationMatrix2D((STAMP_PX / 2 - 0.5, STAMP_PX / 2 - 0.5), -look.shadow_deg, 1.0)
    return [
        cv2.warpAffine(np.dstack(stamp), matrix, (STAMP_PX, STAMP_PX), flags=cv2.INTER_LINEAR)
        for stamp in zip(*_stamps(), strict=True)
    ]


def paint_trees(rgb: np.ndarray, trees: Sequence[Thing], look: Look) -> None:
    """Paint trees in place, in order; crowns brown with the season unless they are evergreen."""
    stamps = _turned_stamps(look)
    autumn = np.array((96, 82, 52), np.float32)
    for tree in trees:
        size = max(2, round(tree.length_px))
        left, top = round(tree.cx - size / 2), round(tree.cy - size / 2)
        x1, y1, x2, y2 = max(0, left), max(0, top), min(rgb.shape[1], left + size), min(rgb.shape[0], top + size)
        if x2 <= x1 or y2 <= y1:
            continue
        stamp = cv2.resize(stamps[tree.seed % STAMPS], (size, size), interpolation=cv2.INTER_AREA)
        stamp = stamp[y1 - top : y2 - top, x1 - left : x2 - left]
        colour = np.array(tree.colour, np.float32)
        if tree.variant == "leafy":
            colour += (autumn - colour) * np.float32(look.season * 0.8)
        block = rgb[y1:y2, x1:x2]
        cover = stamp[..., 1:]
        block[...] = np.clip(block * (1 - cover) + colour * (stamp[..., :1] * cover), 0, 255)
