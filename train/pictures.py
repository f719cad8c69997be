"""Pictures for training: read as the data engine reads them, moved with their regions as it moves them, varied here."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

import numpy as np

from data_engine.moves import Move, can_move, move_turn, random_move
from data_engine.store.pixels import load_rgb
from vlm.records import Turn

__all__ = ["Move", "is_spatial", "jitter", "load_rgb", "move_turn", "random_crop", "random_move", "random_window"]

SPATIAL_WORDS = re.compile(
    r"\b(left|right|top|bottom|upper|lower|above|below|north|south|east|west|northern|southern|eastern|western|"
    r"next to the (left|right)|side)\w*\b",
    re.IGNORECASE,
)


def is_spatial(turns: Sequence[Turn]) -> bool:
    """Tell whether any text speaks of left, right, top, north ...: such a sample is not turned."""
    said = any(SPATIAL_WORDS.search(f"{turn.instruction} {turn.answer.template}") for turn in turns)
    return said or not can_move(turns)


def jitter(rgb: np.ndarray, rng: random.Random, strength: float = 0.25) -> np.ndarray:
    """Change brightness, contrast and saturation of (..., 3) uint8 pixels by random factors within 1 +- strength."""
    brightness, contrast, saturation = (1 + rng.uniform(-strength, strength) for _ in range(3))
    pixels = rgb.astype(np.float32)
    grey = pixels.mean(axis=-1, keepdims=True)
    level = float(grey.mean())
    pixels *= saturation * contrast
    pixels += (1 - saturation) * contrast * grey + level * (brightness - contrast)
    return pixels.clip(0, 255, out=pixels).astype(np.uint8)


def random_crop(rgb: np.ndarray, rng: random.Random, smallest: float = 0.6) -> np.ndarray:
    """Cut a random square-proportioned part of at least `smallest` of each side."""
    x, y, width, height = random_window(rgb, rng, smallest)
    return rgb[y : y + height, x : x + width]


def random_window(rgb: np.ndarray, rng: random.Random, smallest: float) -> tuple[int, int, int, int]:
    """Draw the x, y, width and height in pixels of such a part."""
    part = rng.uniform(smallest, 1.0)
    height, width = (max(8, round(side * part)) for side in rgb.shape[:2])
    y, x = rng.randint(0, rgb.shape[0] - height), rng.randint(0, rgb.shape[1] - width)
    return x, y, width, height
