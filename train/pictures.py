"""Pictures for training: decode, and turn or shift an image together with its regions so that geometry stays true."""

from __future__ import annotations

import io
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image as PILImage

from data_engine.generate import sort_regions
from vlm.errors import DataError
from vlm.geometry import flip, rotate90
from vlm.geometry.shapes import Window
from vlm.raster import Raster
from vlm.records import Image, Region, Turn

_PIL_FORMATS = (".jpg", ".jpeg", ".png", ".bmp")
SPATIAL_WORDS = re.compile(
    r"\b(left|right|top|bottom|upper|lower|above|below|north|south|east|west|northern|southern|eastern|western|"
    r"next to the (left|right)|side)\w*\b",
    re.IGNORECASE,
)


def load_rgb(image: Image) -> np.ndarray:
    """Read a whole image as (H, W, 3) uint8: ordinary files by Pillow, others as a raster's first rendering."""
    if image.data is not None:
        return np.asarray(PILImage.open(io.BytesIO(image.data)).convert("RGB"))
    if image.path is None:
        raise DataError("a training image has neither path nor bytes")
    if image.path.lower().endswith(_PIL_FORMATS):
        return np.asarray(PILImage.open(image.path).convert("RGB"))
    with Raster.open(image.path) as raster:
        whole = Window(0, 0, raster.width, raster.height)
        return raster.read(whole, (raster.width, raster.height), raster.renderings(None)[0]).rgb


@dataclass(frozen=True, slots=True)
class Move:
    """Name one of the eight symmetries of the square: `turns` quarter turns, then a left-right mirror if `mirrored`."""

    turns: int = 0
    mirrored: bool = False

    def apply(self, rgb: np.ndarray) -> np.ndarray:
        """Move pixels: (H, W, 3) -> (H', W', 3). Quarter turns are clockwise on the screen."""
        moved = np.rot90(rgb, k=-self.turns)
        return np.ascontiguousarray(moved[:, ::-1] if self.mirrored else moved)

    def move(self, region: Region, width: int, height: int) -> Region:
        """Move a region of a `width` x `height` image with its pixels."""
        geometry = rotate90(region.geometry, width=width, height=height, turns=self.turns)
        if self.mirrored:
            width, height = (height, width) if self.turns % 2 else (width, height)
            geometry = flip(geometry, width=width, height=height, axis="x")
        return replace(region, geometry=geometry)


def random_move(rng: random.Random) -> Move:
    """Draw one of the eight symmetries."""
    return Move(rng.randrange(4), rng.random() < 0.5)


def is_spatial(turns: Sequence[Turn]) -> bool:
    """Tell whether any text speaks of left, right, top, north ...: such a sample must not be turned."""
    return any(SPATIAL_WORDS.search(f"{turn.instruction} {turn.answer.template}") for turn in turns)


def move_turn(turn: Turn, move: Move, sizes: Sequence[tuple[int, int]]) -> Turn:
    """Move all regions of a turn with the pixels of their images; a plain list is put in reading order again."""

    def moved(regions: tuple[Region, ...]) -> tuple[Region, ...]:
        return tuple(move.move(region, *sizes[region.image]) for region in regions)

    answer = replace(turn.answer, regions=moved(turn.answer.regions))
    if answer.template.count("{") == 1:
        answer = replace(answer, regions=sort_regions(answer.regions))
    return replace(turn, regions=moved(turn.regions), answer=answer)


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
    part = rng.uniform(smallest, 1.0)
    height, width = (max(8, round(side * part)) for side in rgb.shape[:2])
    y, x = rng.randint(0, rgb.shape[0] - height), rng.randint(0, rgb.shape[1] - width)
    return rgb[y : y + height, x : x + width]
