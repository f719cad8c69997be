"""Pairs of images with a change mask -> change samples of each pair and its crops; a damaged pair is left out whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from data_engine.changes import ChangeScene, all_samples
from data_engine.sources.boundary import Reject, convert_each
from data_engine.store.images import check_image
from vlm.records import Sample

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class ChangeSet(Generic[Record]):
    """Say how a set of pairs is read: the records of a split, the pair of each of them, and the side of its crops.

    `list_records(root, split)` raises DataError where the folder is none of this set, `load_scene(record, split)` where
    one record is damaged.
    """

    name: str
    list_records: Callable[[Path, str], Iterable[Record]]
    load_scene: Callable[[Record, str], ChangeScene]
    crop_px: int

    def load(self, root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
        """Yield change samples of each pair, of its swapped dates, of each date twice, and of its crops.

        Crops are cut from the pixels, so both images are decoded first: a pair with a damaged one goes to `reject`.
        """

        def convert(record: Record) -> Iterator[Sample]:
            scene = self.load_scene(record, split)
            for image in (scene.before, scene.after):
                check_image(image)
            return all_samples([scene], crop_px=self.crop_px, seed=seed)

        return convert_each(self.list_records(Path(root), split), convert, name=self.name, reject=reject)

    def load_scenes(self, root: Path, *, split: str, reject: Reject | None = None) -> Iterator[ChangeScene]:
        """Yield each pair of the split with its change mask and the sentences that describe its change."""
        records = self.list_records(Path(root), split)
        return convert_each(records, lambda record: (self.load_scene(record, split),), name=self.name, reject=reject)
