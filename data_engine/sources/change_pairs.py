"""Pairs of images with a change mask -> change samples of each pair and its crops; a damaged pair is left out whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from data_engine.changes import ChangeScene, all_samples
from data_engine.sources.boundary import Reject, convert_each
from data_engine.store.images import check_image
from vlm.records import Sample

Record = TypeVar("Record")


def pair_samples(
    records: Iterable[Record],
    load_scene: Callable[[Record], ChangeScene],
    *,
    crop_px: int,
    name: str,
    seed: int,
    reject: Reject | None,
) -> Iterator[Sample]:
    """Yield change samples of each pair, of its swapped dates, of each date twice, and of its crops of `crop_px`.

    Crops are cut from the pixels, so both images are decoded first: a pair with a damaged one goes to `reject` whole.
    """

    def convert(record: Record) -> Iterator[Sample]:
        scene = load_scene(record)
        for image in (scene.before, scene.after):
            check_image(image)
        return all_samples([scene], crop_px=crop_px, seed=seed)

    return convert_each(records, convert, name=name, reject=reject)
