"""All the questions that an image with labelled objects can answer: grounding, detection, counts, presence, regions.

A Scene goes in, samples come out. Every sample draws from its own generator, seeded by the caller's seed and the
sample's id, so a subset of the samples is the same whether or not the others are made.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from data_engine import generate
from data_engine.generate import BoxKind
from data_engine.labels import join_masks
from data_engine.phrases import find_unique_phrases
from vlm.errors import DataError
from vlm.geometry.shapes import Mask
from vlm.records import Image, Region, Sample, Turn

MAX_DETECTED: Final = 20
"""The most objects that one detection answer lists; for longer lists no detection sample is made."""

BASES: Final = ("single", "position", "size", "colour")
"""Why a phrase can be unique (phrases.UniquePhrase.basis)."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Hold one image and its objects in original-image pixels; `phrase` of a region is its class.

    `boxes` and `obbs` are the same objects in the same order, as the geometry that box and oriented-box answers are
    made from (`obbs` may be empty). `classes` are all that the annotators looked for: the absence of one is a fact.
    `doubtful` are classes of which some objects may not be labelled: they are never counted, called absent, listed
    completely or named by a phrase that has to be unique. `colours`, where given, holds a colour (or None) per object.
    """

    key: str
    image: Image
    boxes: tuple[Region, ...]
    obbs: tuple[Region, ...]
    classes: tuple[str, ...]
    source: str
    split: str
    licence: str
    doubtful: tuple[str, ...] = ()
    colours: tuple[str | None, ...] = ()

    def __post_init__(self) -> None:
        if self.obbs and len(self.obbs) != len(self.boxes):
            raise DataError(f"scene {self.key} has {len(self.boxes)} boxes and {len(self.obbs)} oriented boxes")
        if self.colours and len(self.colours) != len(self.boxes):
            raise DataError(f"scene {self.key} has {len(self.boxes)} objects and {len(self.colours)} colours")

    def regions(self, kind: BoxKind) -> tuple[Region, ...]:
        """Give the objects as boxes or as oriented boxes."""
        return self.boxes if kind == "box" else self.obbs

    def of_class(self, label: str, kind: BoxKind = "box") -> tuple[Region, ...]:
        """Give the objects of one class."""
        return tuple(region for region in self.regions(kind) if region.phrase == label)

    def present(self) -> tuple[str, ...]:
        """Give the classes that the image holds, in the order of `classes`."""
        found = {region.phrase for region in self.boxes}
        return tuple(label for label in self.classes if label in found)

    def absent(self) -> tuple[str, ...]:
        """Give the classes that the image certainly does not hold."""
        found = {*self.doubtful, *(region.phrase for region in self.boxes)}
        return tuple(label for label in self.classes if label not in found)

    def counted(self) -> tuple[str, ...]:
        """Give the classes that the image holds and of which every object is labelled."""
        return tuple(label for label in self.present() if label not in self.doubtful)


def seeded(seed: int, sample_id: str) -> random.Random:
    """Give the random numbers of one sample: the same for the same seed and id, whatever was made before it."""
    return random.Random(f"{seed}/{sample_id}")


def all_samples(scene: Scene, *, seed: int = 0) -> Iterator[Sample]:
    """Yield every kind of sample of a scene, boxes and, where known, oriented boxes."""
    kinds: tuple[BoxKind, ...] = ("box", "obb") if scene.obbs else ("box",)
    for kind in kinds:
        yield from ground_samples(scene, kind=kind, seed=seed)
        yield from detect_samples(scene, kind=kind, seed=seed)
    yield from count_samples(scene, seed=seed)
    yield from presence_samples(scene, seed=seed)
    yield from region_samples(scene, seed=seed)


def ground_samples(
    scene: Scene, *, kind: BoxKind = "box", bases: Iterable[str] = BASES, seed: int = 0
) -> Iterator[Sample]:
    """Yield one grounding sample per phrase that names exactly one object; `bases` says which phrases to use."""
    regions, wanted = scene.regions(kind), set(bases)
    width, height = _size_px(scene)
    for unique in find_unique_phrases(regions, width=width, height=height):
        if unique.basis in wanted and regions[unique.index].phrase not in scene.doubtful:
            name = f"ground-{kind}/{_slug(unique.phrase)}"
            region = regions[unique.index]
            yield _sample(scene, name, generate.ground(unique.phrase, region, _rng(scene, name, seed), kind=kind))


def detect_samples(scene: Scene, *, kind: BoxKind = "box", seed: int = 0) -> Iterator[Sample]:
    """Yield one detection sample per class present, up to MAX_DETECTED objects, and one with the answer "none"."""
    for label in _counted_and_one_absent(scene, f"detect-{kind}", seed):
        regions = scene.of_class(label, kind)
        if len(regions) <= MAX_DETECTED:
            name = f"detect-{kind}/{_slug(label)}"
            yield _sample(scene, name, generate.detect(label, regions, _rng(scene, name, seed), kind=kind))


def count_samples(scene: Scene, *, seed: int = 0) -> Iterator[Sample]:
    """Yield one count per class present and one zero."""
    for label in _counted_and_one_absent(scene, "count", seed):
        name = f"count/{_slug(label)}"
        yield _sample(scene, name, generate.count(label, len(scene.of_class(label)), _rng(scene, name, seed)))


def presence_samples(scene: Scene, *, seed: int = 0) -> Iterator[Sample]:
    """Yield yes/no questions, as many with "no" as with "yes" where the classes allow it (at least one, if any)."""
    present, absent = scene.present(), list(scene.absent())
    _rng(scene, "presence", seed).shuffle(absent)
    for label, is_there in [(x, True) for x in present] + [(x, False) for x in absent[: max(1, len(present))]]:
        name = f"presence/{_slug(label)}"
        yield _sample(scene, name, generate.presence(label, is_there, _rng(scene, name, seed)))


def region_samples(scene: Scene, *, seed: int = 0) -> Iterator[Sample]:
    """Yield one "what is in this region?" per class present, at a random object of the class."""
    for label in scene.present():
        name = f"region/{_slug(label)}"
        rng = _rng(scene, name, seed)
        yield _sample(scene, name, generate.describe_region(rng.choice(scene.of_class(label)), rng))


def mask_samples(scene: Scene, *, seed: int = 0) -> Iterator[Sample]:
    """Yield the masks of objects with a unique phrase and the common mask of each class; `boxes` must hold masks."""
    masks = [region.geometry for region in scene.boxes if isinstance(region.geometry, Mask)]
    if len(masks) != len(scene.boxes):
        raise DataError(
            f"scene {scene.key} holds {len(masks)} masks for {len(scene.boxes)} objects: expected one for each"
        )
    width, height = _size_px(scene)
    for unique in find_unique_phrases(scene.boxes, width=width, height=height):
        region = scene.boxes[unique.index]
        if region.phrase not in scene.doubtful:
            name = f"mask/{_slug(unique.phrase)}"
            yield _sample(scene, name, generate.segment(unique.phrase, region, _rng(scene, name, seed)))
    for label in _counted_and_one_absent(scene, "mask-all", seed):
        name = f"mask-all/{_slug(label)}"
        joined = join_masks([region.geometry for region in scene.of_class(label) if isinstance(region.geometry, Mask)])
        union = Region(joined, label) if joined is not None else None
        yield _sample(scene, name, generate.segment_all(label, union, _rng(scene, name, seed)))


def _counted_and_one_absent(scene: Scene, name: str, seed: int) -> tuple[str, ...]:
    absent = scene.absent()
    return (*scene.counted(), *((_rng(scene, name, seed).choice(absent),) if absent else ()))


def _size_px(scene: Scene) -> tuple[int, int]:
    if scene.image.width is None or scene.image.height is None:
        raise DataError(f"scene {scene.key} does not state the size of its image: width and height are needed")
    return scene.image.width, scene.image.height


def _slug(phrase: str) -> str:
    return phrase.replace(" ", "-")


def _rng(scene: Scene, name: str, seed: int) -> random.Random:
    return seeded(seed, f"{scene.key}/{name}")


def _sample(scene: Scene, name: str, turn: Turn) -> Sample:
    return generate.wrap_turn(
        turn,
        sample_id=f"{scene.key}/{name}",
        images=(scene.image,),
        source=scene.source,
        split=scene.split,
        licence=scene.licence,
    )
