"""Land cover: the masks of a segmentation of classes <-> one label image, and what is measured on it.

A label image holds indices into `classes`, and UNKNOWN where no class is given or two claim the pixel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from data_engine.annotations import read_classes, slot_kinds
from data_engine.labels import crop_mask
from vlm.errors import DataError
from vlm.geometry.convert import to_hbb, to_mask, to_polygons
from vlm.geometry.shapes import HBB, Geometry, Mask
from vlm.records import Region, Sample

UNKNOWN: Final = -1
MAX_PX: Final = 8192 * 8192
"""The most pixels of a label image that is held in memory."""


@dataclass(frozen=True, slots=True, eq=False)
class Cover:
    """Hold the land cover of one image: int16 labels (rows, cols), indices into `classes` or UNKNOWN."""

    labels: np.ndarray
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.labels.ndim != 2 or self.labels.dtype != np.int16:
            raise DataError(f"land cover got {self.labels.dtype} of shape {self.labels.shape}: expected int16, 2-D")

    def bits(self, label: str) -> np.ndarray:
        """Give the pixels of a class as booleans (rows, cols)."""
        return self.labels == self.classes.index(label)

    def shares(self) -> dict[str, float]:
        """Give the share of the known pixels that each class covers, largest first; empty where nothing is known."""
        counts = np.bincount(self.labels[self.labels >= 0].ravel(), minlength=len(self.classes))
        total = max(int(counts.sum()), 1)
        found = {label: int(count) / total for label, count in zip(self.classes, counts, strict=True)}
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    @property
    def known(self) -> float:
        """Give the share of pixels that have a class."""
        return float((self.labels >= 0).mean())


def cover_to_regions(cover: Cover, *, image: int = 0) -> tuple[Region, ...]:
    """Give one mask per class that occurs, in the order of the classes."""
    masks = [(label, crop_mask(cover.bits(label))) for label in cover.classes]
    return tuple(Region(mask, label, image) for label, mask in masks if mask is not None)


def regions_to_cover(
    regions: Sequence[Region], classes: Sequence[str], *, width: int, height: int, image: int = 0
) -> Cover:
    """Draw the masks of one image's classes into a label image; pixels that two classes claim are UNKNOWN.

    Raises DataError for an image of more than MAX_PX pixels.
    """
    if width * height > MAX_PX:
        raise DataError(f"land cover of {width} x {height} px is too large: cut the image into parts first")
    labels = np.full((height, width), UNKNOWN, np.int16)
    claims = np.zeros((height, width), np.uint8)
    for index, label in enumerate(classes):
        bits = draw([region.geometry for region in regions if region.phrase == label and region.image == image],
                    width=width, height=height)  # fmt: skip
        labels[bits] = index
        claims += bits
    labels[claims > 1] = UNKNOWN
    return Cover(labels, tuple(classes))


def sample_to_cover(sample: Sample) -> Cover | None:
    """Read the land cover of a sample's segmentations; None where it has none or the image's size is unknown.

    Of several that list their classes the one counts that knows most of the image; masks of one class each are joined.
    """
    image = sample.images[0]
    if len(sample.images) != 1 or image.width is None or image.height is None:
        return None
    size = {"width": image.width, "height": image.height}
    listed: list[Cover] = []
    single: list[Region] = []
    for turn in sample.turns:
        if (turn.answer.task or sample.task) == "segment" and "seg" in slot_kinds(turn.answer):
            classes = read_classes(turn.instruction)
            if classes:
                listed.append(regions_to_cover(turn.answer.regions, classes, **size))
            else:
                single += turn.answer.regions
    if listed:
        return max(listed, key=lambda cover: cover.known)
    return regions_to_cover(single, tuple(dict.fromkeys(r.phrase for r in single)), **size) if single else None


def draw(shapes: Sequence[Geometry], *, width: int, height: int) -> np.ndarray:
    """Draw shapes into booleans (height, width): pixels whose centre is covered; parts outside are left out."""
    from rasterio.features import rasterize

    bits = np.zeros((height, width), bool)
    outlines = []
    for shape in shapes:
        if isinstance(shape, Mask):
            _draw_mask(bits, shape)
        else:
            for polygon in to_polygons(shape):
                closed = [(*ring, ring[0]) for ring in (polygon.exterior, *polygon.holes)]  # else triangles are skipped
                outlines.append({"type": "Polygon", "coordinates": closed})
    if outlines:
        bits |= rasterize(outlines, out_shape=(height, width), dtype=np.uint8) > 0
    return bits


def _draw_mask(bits: np.ndarray, shape: Mask) -> None:
    """Draw a mask into the pixels of an image."""
    mask = to_pixels(shape)
    if mask is None:
        return
    x, y = int(mask.box.x1), int(mask.box.y1)
    (rows, cols), (height, width) = mask.bits.shape, bits.shape
    top, left, bottom, right = max(0, y), max(0, x), min(height, y + rows), min(width, x + cols)
    if top < bottom and left < right:
        bits[top:bottom, left:right] |= mask.bits[top - y : bottom - y, left - x : right - x]


def to_pixels(shape: Geometry) -> Mask | None:
    """Give a shape as a mask of one cell a pixel over whole pixels; None for what covers no pixel."""
    box = to_hbb(shape)
    x1, y1, x2, y2 = math.floor(box.x1), math.floor(box.y1), math.ceil(box.x2), math.ceil(box.y2)
    if x2 <= x1 or y2 <= y1:
        return None
    if (x2 - x1) * (y2 - y1) > MAX_PX:
        raise DataError(f"a mask of {x2 - x1} x {y2 - y1} px is too large: cut the image into parts first")
    if isinstance(shape, Mask) and shape.bits.shape == (shape.box.h, shape.box.w) and _is_whole(shape.box):
        return shape
    drawn = crop_mask(to_mask(shape, box=HBB(x1, y1, x2, y2), rows=y2 - y1, cols=x2 - x1).bits)
    if drawn is None:
        return None
    found = drawn.box
    return Mask(drawn.bits, HBB(found.x1 + x1, found.y1 + y1, found.x2 + x1, found.y2 + y1))


def _is_whole(box: HBB) -> bool:
    return box.x1 == int(box.x1) and box.y1 == int(box.y1)
