"""Images with labelled objects -> the questions that the objects answer, and what is known of each image as a whole.

What is known is one sample with all classes and all objects (data_engine.annotations): the recipes read it back, and it
says of an image without objects what was looked for in it. It is yielded before the questions about the image, where
the caller wants it: `convert` does, a training run that reads a dataset directly does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from data_engine import objects
from data_engine.annotations import list_classes, scene_to_sample
from data_engine.objects import Scene
from data_engine.sources.boundary import Reject, convert_each
from vlm.records import Sample

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class ObjectSet(Generic[Record]):
    """Say how a detection set is read: the records of a split, one an image, and the scene of each of them.

    `list_records(root, split)` raises DataError where the folder is none of this set, `load_scene(record, split)` where
    one record is damaged. `draw` gives a scene with a mask for each object, for sets that know outlines.
    """

    name: str
    list_records: Callable[[Path, str], Iterable[Record]]
    load_scene: Callable[[Record, str], Scene]
    draw: Callable[[Scene], Scene] | None = None

    def load(
        self, root: Path, *, split: str, seed: int = 0, reject: Reject | None = None, annotations: bool = False
    ) -> Iterator[Sample]:
        """Yield grounding, detection, counting, presence and region samples of each image, and masks of outlines."""

        def convert(record: Record) -> Iterator[Sample]:
            scene = self.load_scene(record, split)
            yield from annotate(scene, wanted=annotations, seed=seed)
            yield from objects.all_samples(scene, seed=seed)
            if self.draw is not None:
                yield from objects.mask_samples(self.draw(scene), seed=seed)

        return convert_each(self.list_records(Path(root), split), convert, name=self.name, reject=reject)

    def load_scenes(self, root: Path, *, split: str, reject: Reject | None = None) -> Iterator[Scene]:
        """Yield each image of the split with its objects."""
        records = self.list_records(Path(root), split)
        return convert_each(records, lambda record: (self.load_scene(record, split),), name=self.name, reject=reject)


def annotate(scene: Scene, *, wanted: bool, seed: int) -> Iterator[Sample]:
    """Yield what is known of an image where it is wanted; nothing where no class can be listed (list_classes)."""
    if wanted and list_classes(scene):
        yield scene_to_sample(scene, seed=seed)
