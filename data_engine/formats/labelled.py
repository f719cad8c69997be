"""Labelled images, what detection formats hold: -> samples and scenes, and samples -> labelled images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from data_engine import templates
from data_engine.annotations import sample_to_scene, scene_to_sample
from data_engine.formats.chat_records import sizes_of
from data_engine.formats.format import Reading, Writing, read_each
from data_engine.formats.pictures import name_image
from data_engine.objects import Scene
from vlm.errors import DataError, NadirError
from vlm.geometry.shapes import HBB, OBB, Geometry, Polygon
from vlm.grid import Grid
from vlm.records import Answer, Image, Region, Sample, Task, Turn

_COMPLETE: Final[tuple[Task, ...]] = ("detect", "segment")


@dataclass(frozen=True, slots=True)
class Labelled:
    """Hold one image and its objects; `groups` are classes of which some objects are marked as a crowd only."""

    key: str
    image: Image
    regions: tuple[Region, ...]
    groups: tuple[str, ...] = ()


def load_samples(
    labels: Iterable[Labelled], classes: Sequence[str], reading: Reading, *, name: str
) -> Iterator[Sample]:
    """Yield one sample an image: a detection of all classes, with every object's class and geometry.

    It is the form in which data_engine.annotations hands objects to the recipes. A class of which an image marks groups
    only is left out of the question; an image without a certain class goes to `reading.on_error`.
    """
    source = reading.source or name

    def make(labelled: Labelled) -> tuple[Sample, ...]:
        scene = to_scene(labelled, classes, source=source, split=reading.split, licence=reading.licence)
        return (scene_to_sample(scene, seed=reading.seed),)

    yield from read_each(labels, make, reading.on_error)


def to_scene(labelled: Labelled, classes: Sequence[str], *, source: str, split: str, licence: str) -> Scene:
    """Give the scene of an image; `classes` are all that the annotators looked for, groups make a class doubtful."""
    regions = labelled.regions
    turned = regions if regions and all(_is_turned(region.geometry) for region in regions) else ()
    found = tuple(dict.fromkeys(region.phrase for region in regions if region.phrase not in classes))
    key = f"{source}/{split}/{labelled.key}"
    return Scene(key, labelled.image, regions, turned, (*classes, *found), source, split, licence, labelled.groups)


def gather(samples: Iterable[Sample], writing: Writing, *, out: Path, name: str) -> Iterator[tuple[Answer, int]]:
    """Collect the objects of samples image by image, as one answer an image and the number of samples in it.

    Where an image has detections, its objects are theirs, each once: as an oriented box where one is known. Without
    detections all geometry is taken; the same is kept once, under the name that a mask or region sample gives it rather
    than the phrase of a grounding sample. A sample without objects goes to `writing.on_error`, unless it states that
    there are none. All images are held in memory, without their pixels.
    """
    pictures: dict[str, _Picture] = {}
    for sample in samples:
        try:
            _add(sample, pictures, writing, out, name)
        except NadirError as error:
            writing.on_error(error if isinstance(error, DataError) else DataError(str(error)))
    for picture in pictures.values():
        image = Image(path=picture.name, width=picture.grid.width, height=picture.grid.height)
        yield Answer("", picture.objects(image), images=(image,), grids=(picture.grid,)), picture.samples


@dataclass(slots=True)
class _Picture:
    """Collect the objects of one image: the turns that detect some, and geometry -> (rank of its name, name)."""

    name: str
    grid: Grid
    named: dict[Geometry, tuple[int, str]] = field(default_factory=dict)
    detections: list[Turn] = field(default_factory=list)
    samples: int = 0

    def objects(self, image: Image) -> tuple[Region, ...]:
        """Give the objects of the image."""
        turns = tuple(self.detections)
        scene = sample_to_scene(Sample(self.name, (image,), turns, "detect", self.name)) if turns else None
        if scene is not None:
            return scene.obbs or scene.boxes
        return tuple(Region(geometry, phrase) for geometry, (_, phrase) in self.named.items())


def _add(sample: Sample, pictures: dict[str, _Picture], writing: Writing, out: Path, name: str) -> None:
    """Add the objects of one sample to its images."""
    regions = [region for turn in sample.turns for region in (*turn.regions, *turn.answer.regions)]
    says_none = sample.task in _COMPLETE and all(turn.answer.template == templates.NONE for turn in sample.turns)
    if not regions and not says_none:
        raise DataError(f"sample {sample.id} ({sample.task}) holds no geometry, and {name} files hold nothing else")
    sizes = sizes_of(sample.images, where=f"sample {sample.id}")
    rank = 0 if sample.task in (*_COMPLETE, "region") else 1
    names = [name_image(image, out, images=writing.images) for image in sample.images]
    for region in regions:
        if not 0 <= region.image < len(names):
            raise DataError(f"sample {sample.id} has a region in image {region.image + 1} of {len(names)}")
    shown = {region.image for region in regions} or {0}
    for index in sorted(shown):
        picture = pictures.setdefault(names[index], _Picture(names[index], Grid(*sizes[index])))
        picture.samples += index == min(shown)
        if len(sample.images) == 1:
            picture.detections += [turn for turn in sample.turns if (turn.answer.task or sample.task) == "detect"]
        for region in regions:
            if region.image == index:
                found = picture.named.get(region.geometry)
                if found is None or rank < found[0]:
                    picture.named[region.geometry] = (rank, region.phrase)


def _is_turned(geometry: Geometry) -> bool:
    return has_four_corners(geometry) and not isinstance(geometry, HBB)


def has_four_corners(geometry: Geometry) -> bool:
    """Say whether a shape is a box, an oriented box or any other four-sided outline."""
    if isinstance(geometry, Polygon):
        return len(geometry.exterior) == 4 and not geometry.holes
    return isinstance(geometry, HBB | OBB)
