"""Land-cover label images -> masks of each class that is there and "none" for one that is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from data_engine import templates
from data_engine.annotations import cover_to_turn
from data_engine.generate import write_slot
from data_engine.labels import crop_mask
from data_engine.objects import seeded
from data_engine.sources.referring import Origin
from vlm.errors import DataError
from vlm.records import Answer, Image, Region, Sample, Turn

SMALLEST_PX: Final = 16
"""The fewest pixels of a class that is asked for; with fewer it is neither shown nor called absent."""


@dataclass(frozen=True, slots=True)
class Cover:
    """Name a class of a label image: its pixel value, its noun and the form for all of it ("roads", "water")."""

    value: int
    name: str
    plural: str


def mask_samples(
    image: Image, label: np.ndarray, covers: Sequence[Cover], origin: Origin, *, key: str, ignored: Sequence[int] = ()
) -> Iterator[Sample]:
    """Yield the whole land cover of a label (rows, cols), one mask per class that it shows, and one "none".

    The first sample, `.../cover`, lists all classes and answers with the mask of each: the generators read it back.
    `ignored` are the values that no class has (background, no data). Another value, and a label of another size than
    the image, raise DataError.
    """
    if label.shape != (image.height, image.width):
        raise DataError(f"{key}: the label is {label.shape[::-1]}, its image {image.width} x {image.height} px")
    counts = dict(zip(*(array.tolist() for array in np.unique(label, return_counts=True)), strict=True))
    unknown = sorted(counts.keys() - {cover.value for cover in covers} - set(ignored))
    if unknown:
        raise DataError(f"{key}: the label holds the values {unknown}: known are {[cover.value for cover in covers]}")
    yield _cover_sample(image, label, covers, origin, key=key)
    for cover in covers:
        if counts.get(cover.value, 0) >= SMALLEST_PX:
            yield class_sample(image, label == cover.value, cover, origin, key=f"{key}/mask-all/{_slug(cover)}")
    absent = [cover for cover in covers if cover.value not in counts]
    if absent:
        cover = seeded(origin.seed, f"{key}/mask-all").choice(absent)
        nothing = np.zeros((1, 1), bool)
        yield class_sample(image, nothing, cover, origin, key=f"{key}/mask-all/{_slug(cover)}")


def _cover_sample(image: Image, label: np.ndarray, covers: Sequence[Cover], origin: Origin, *, key: str) -> Sample:
    masks = [(cover.name, crop_mask(label == cover.value)) for cover in covers]
    regions = [Region(mask, name) for name, mask in masks if mask is not None]
    turn = cover_to_turn(regions, [cover.name for cover in covers], seed=origin.seed, key=key)
    return origin.wrap(turn, (image,), key=f"{key}/cover")


def class_sample(image: Image, bits: np.ndarray, cover: Cover, origin: Origin, *, key: str) -> Sample:
    """Ask for the common mask of a class and answer with it, or "none" where no bit of (rows, cols) is set."""
    mask = crop_mask(bits)
    regions = () if mask is None else (Region(mask, cover.name),)
    rng = seeded(origin.seed, key)
    instruction = templates.write_instruction("segment_all", rng, phrase=cover.name, plural=cover.plural)
    answer = Answer(write_slot("seg", len(regions)), regions, task="segment")
    return origin.wrap(Turn(instruction, answer), (image,), key=key)


def _slug(cover: Cover) -> str:
    return cover.name.replace(" ", "-")
