"""The eight symmetries of the square for samples: boxes, angles, masks and every spatial word move with the pixels.

"left", "top right", "second from the left", "above and to the right of", "north-eastern", "horizontally" and the cells
of ChangeChat are rewritten; a text whose spatial words cannot be told from other uses ("right angle", "on top of",
"North Carolina") is not touched and move_text gives None, so that the caller leaves the sample as it is. The words of a
text are taken to speak about the picture: top is up, and north is up where a text names it.
"""

from __future__ import annotations

import io
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from data_engine.generate import sort_regions
from data_engine.move_words import find_refusal, rewrite
from data_engine.store.pixels import load_rgb
from vlm.dataset import quiet
from vlm.errors import DataError, NadirError
from vlm.geometry import flip, rotate90
from vlm.records import Image, Region, Sample, Turn

if TYPE_CHECKING:
    from vlm.raster import Raster

Step = tuple[int, int]
_OF_PNG: Final = (("gray",), ("gray", "alpha"), ("red", "green", "blue"), ("red", "green", "blue", "alpha"))


@dataclass(frozen=True)
class Move:
    """Name one of the eight symmetries: `turns` clockwise quarter turns, then a left-right mirror if `mirrored`."""

    turns: int = 0
    mirrored: bool = False

    def __post_init__(self) -> None:
        if self.turns not in range(4):
            raise DataError(f"a move has {self.turns} quarter turns: expected 0 to 3")

    @cached_property
    def inverse(self) -> Move:
        """Give the move that undoes this one."""
        return self if self.mirrored else Move(-self.turns % 4)

    def direction(self, step: Step) -> Step:
        """Move a direction (x to the right, y down), each component -1, 0 or 1."""
        x, y = step
        for _ in range(self.turns):
            x, y = -y, x
        return (-x, y) if self.mirrored else (x, y)

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Give the width and height of the moved image."""
        return (height, width) if self.turns % 2 else (width, height)

    def pixels(self, values: np.ndarray) -> np.ndarray:
        """Move pixels (H, W) or (H, W, bands)."""
        moved = np.rot90(values, k=-self.turns)
        return np.ascontiguousarray(moved[:, ::-1] if self.mirrored else moved)

    def region(self, region: Region, width: int, height: int) -> Region:
        """Move a region of a `width` x `height` px image, and the spatial words of its phrase."""
        geometry = rotate90(region.geometry, width=width, height=height, turns=self.turns)
        if self.mirrored:
            moved_width, moved_height = self.size(width, height)
            geometry = flip(geometry, width=moved_width, height=moved_height, axis="x")
        return Region(geometry, move_text(region.phrase, self) or region.phrase, region.image)


MOVES: tuple[Move, ...] = tuple(Move(turns, mirrored) for mirrored in (False, True) for turns in range(4))


def random_move(rng: random.Random) -> Move:
    """Draw one of the eight symmetries."""
    return rng.choice(MOVES)


def move_text(text: str, move: Move) -> str | None:
    """Rewrite the spatial words of a text (a template too); None where a word may mean something else."""
    if find_refusal(text):
        return None
    return rewrite(text, move)


def can_move(turns: Sequence[Turn]) -> bool:
    """Tell whether all texts of the turns, phrases included, have spatial words of one meaning only."""
    texts = [text for turn in turns for text in (turn.instruction, turn.answer.template)]
    phrases = [region.phrase for turn in turns for region in (*turn.regions, *turn.answer.regions)]
    return not any(find_refusal(text) for text in (*texts, *phrases))


def move_turn(turn: Turn, move: Move, sizes: Sequence[tuple[int, int]]) -> Turn:
    """Move a turn of images of these sizes (width, height): regions, texts, and the order of a plain list.

    Raises DataError for a text that cannot be moved (see can_move).
    """
    instruction, template = move_text(turn.instruction, move), move_text(turn.answer.template, move)
    if instruction is None or template is None:
        raise DataError(f"the words of {turn.instruction!r} cannot be moved with the picture: ask can_move first")

    def moved(regions: tuple[Region, ...]) -> tuple[Region, ...]:
        return tuple(move.region(region, *sizes[region.image]) for region in regions)

    regions = moved(turn.answer.regions)
    if template.count("{") == 1:
        regions = sort_regions(regions)
    return Turn(instruction, replace(turn.answer, template=template, regions=regions), moved(turn.regions))


def move_image(image: Image, move: Move) -> Image:
    """Move an image with all its bands: a PNG, or a GeoTIFF of what no PNG holds; its georeference is gone.

    Raises DataError for an image that cannot be read.
    """
    from vlm.raster import Raster

    try:
        with Raster.open(image) as raster:
            if "palette" in raster.colours:
                pixels, data = move.pixels(load_rgb(image)), None
            else:
                pixels = move.pixels(raster.read_stored().transpose(1, 2, 0))
                data = None if raster.colours in _OF_PNG and raster.dtype == "uint8" else _encode_bands(pixels, raster)
    except NadirError as error:
        raise DataError(f"image {image.path or 'in memory'} cannot be moved: {error}") from error
    height, width = pixels.shape[:2]
    return replace(image, path=None, data=data or _encode_png(pixels), width=width, height=height, crs=None)


def _encode_png(pixels: np.ndarray) -> bytes:
    from PIL import Image as Picture

    stream = io.BytesIO()
    Picture.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(stream, format="PNG")
    return stream.getvalue()


def _encode_bands(pixels: np.ndarray, raster: Raster) -> bytes:
    """Encode pixels (H, W, bands) as a GeoTIFF with the names, meanings and nodata value that a raster's bands have."""
    from rasterio.enums import ColorInterp
    from rasterio.io import MemoryFile

    height, width, count = pixels.shape
    profile = {"driver": "GTiff", "compress": "deflate", "nodata": raster.nodata, "dtype": raster.dtype}
    with quiet(), MemoryFile() as file:
        with file.open(height=height, width=width, count=count, photometric="minisblack", **profile) as dataset:
            dataset.write(pixels.transpose(2, 0, 1))
            dataset.descriptions = raster.descriptions
            dataset.colorinterp = [ColorInterp[colour] for colour in raster.colours]
        return bytes(file.read())


def move_sample(sample: Sample, move: Move) -> Sample | None:
    """Move a sample with all its images; None where its words cannot be moved or an image's size is unknown."""
    sizes = [(image.width or 0, image.height or 0) for image in sample.images]
    if not can_move(sample.turns) or any(0 in size for size in sizes):
        return None
    turns = tuple(move_turn(turn, move, sizes) for turn in sample.turns)
    return replace(sample, images=tuple(move_image(image, move) for image in sample.images), turns=turns)
