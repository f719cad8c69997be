"""Images with labelled objects -> the questions that the objects answer, and what is known of each image as a whole.

What is known is one sample with all classes and all objects (data_engine.annotations): the recipes read it back, and it
says of an image without objects what was looked for in it. It is yielded before the questions about the image, where
the caller wants it: `convert` does, a training run that reads a dataset directly does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from data_engine import objects
from data_engine.annotations import list_classes, scene_to_sample
from data_engine.objects import Scene
from data_engine.sources.boundary import Reject, convert_each
from vlm.records import Sample

Record = TypeVar("Record")


def object_samples(
    records: Iterable[Record],
    load_scene: Callable[[Record], Scene],
    *,
    name: str,
    seed: int,
    reject: Reject | None,
    annotations: bool,
) -> Iterator[Sample]:
    """Yield grounding, detection, counting, presence and region samples of each image; a bad one goes to `reject`."""

    def convert(record: Record) -> Iterator[Sample]:
        scene = load_scene(record)
        yield from annotate(scene, wanted=annotations, seed=seed)
        yield from objects.all_samples(scene, seed=seed)

    return convert_each(records, convert, name=name, reject=reject)


def annotate(scene: Scene, *, wanted: bool, seed: int) -> Iterator[Sample]:
    """Yield what is known of an image where it is wanted; nothing where no class can be listed (list_classes)."""
    if wanted and list_classes(scene):
        yield scene_to_sample(scene, seed=seed)
