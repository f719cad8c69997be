"""What the annotations of one image say, as plain facts: a language model is told them, and its words are held to them.

Counts are of classes that are completely labelled; a class that was looked for and not found is absent. Places are the
ninths of the image (data_engine.places). Shares of land cover are of the pixels that have a class.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from data_engine.amounts import write_number, write_percent
from data_engine.annotations import sample_to_scene
from data_engine.cover import sample_to_cover
from data_engine.objects import Scene
from data_engine.places import PLACES, centre_of, find_place, say_place, share_by_place
from vlm.codecs import Slot, split_template
from vlm.geometry.convert import to_hbb, to_obb
from vlm.geometry.shapes import Geometry
from vlm.records import Image, Sample

MOST_OBJECTS: Final = 40
"""Objects that are listed one by one; of more, only the counts and places are told."""
MAIN_SHARE: Final = 0.3
"""Share of a ninth from which on a land cover is said to lie there."""


@dataclass(frozen=True, slots=True)
class ObjectFact:
    """Hold one object: its number in the list, class, name (class and colour), place, box in percent, and geometry.

    `box` is left, top, right, bottom in percent of the image's width and height; `length_m` is None where the GSD is
    not known.
    """

    number: int
    label: str
    name: str
    place: str
    box: tuple[int, int, int, int]
    length_m: str | None
    geometry: Geometry


@dataclass(frozen=True, slots=True)
class CoverFact:
    """Hold one land-cover class: its share of the image, in words too, and its share of each ninth (if it has nine)."""

    label: str
    share: float
    percent: str
    spread: tuple[float, ...]

    @property
    def places(self) -> tuple[str, ...]:
        """Name the ninths that the class mainly covers."""
        return tuple(place for place, share in zip(PLACES, self.spread, strict=False) if share >= MAIN_SHARE)


@dataclass(frozen=True, slots=True)
class Facts:
    """Hold what is known of an image of `width` x `height` px.

    `counts` holds every class that was looked for, 0 for an absent one; `objects` all counted objects in the order of
    the annotations; `notes` questions with their answers, and captions.
    """

    width: int
    height: int
    counts: dict[str, int]
    objects: tuple[ObjectFact, ...]
    cover: tuple[CoverFact, ...]
    notes: tuple[str, ...]
    gsd_m: float | None = None
    sensor: str | None = None

    @property
    def present(self) -> dict[str, int]:
        return {label: count for label, count in self.counts.items() if count}

    @property
    def absent(self) -> tuple[str, ...]:
        return tuple(label for label, count in self.counts.items() if not count)

    @property
    def listed(self) -> tuple[ObjectFact, ...]:
        return self.objects if len(self.objects) <= MOST_OBJECTS else ()

    def places(self, label: str) -> dict[str, int]:
        """Count the objects of a class in each ninth that holds any."""
        found = [fact.place for fact in self.objects if fact.label == label]
        return {place: found.count(place) for place in PLACES if place in found}

    def say_places(self, label: str) -> str:
        """Say where the objects of a class lie: "3 in the top left, 1 on the right"."""
        return ", ".join(f"{count} {say_place(place)}" for place, count in self.places(label).items())


def collect_facts(sample: Sample) -> Facts | None:
    """Collect the facts of a sample that holds all that is known of one image; None for several or unknown sizes."""
    image = sample.images[0] if sample.images else Image(path="")
    if len(sample.images) != 1 or image.width is None or image.height is None:
        return None
    scene, cover = sample_to_scene(sample), sample_to_cover(sample)
    shares = {} if cover is None else cover.shares()
    counts = {label: 0 for label, share in shares.items() if not share}
    counts |= {} if scene is None else {label: len(scene.of_class(label)) for label in scene.classes}
    large = cover is not None and min(cover.labels.shape) >= 3
    return Facts(
        image.width,
        image.height,
        counts,
        () if scene is None else tuple(_list_objects(scene, image.width, image.height)),
        tuple(
            CoverFact(
                label, share, write_percent(share), tuple(share_by_place(cover.bits(label)).tolist()) if large else ()
            )
            for label, share in shares.items()
            if cover is not None and share > 0
        ),
        tuple(_list_notes(sample)),
        image.gsd_m,
        image.sensor,
    )


def _list_objects(scene: Scene, width: int, height: int) -> Iterator[ObjectFact]:
    gsd_m = scene.image.gsd_m
    for index, region in enumerate(scene.boxes):
        x, y = centre_of(region.geometry)
        box = to_hbb(region.geometry)
        colour = scene.colours[index] if scene.colours else None
        shape = scene.obbs[index].geometry if scene.obbs else region.geometry
        yield ObjectFact(
            index + 1,
            region.phrase,
            f"{colour} {region.phrase}" if colour else region.phrase,
            find_place(x / width, y / height),
            (
                _percent(box.x1, width), _percent(box.y1, height), _percent(box.x2, width), _percent(box.y2, height),
            ),
            write_number(to_obb(shape).w * gsd_m) if gsd_m is not None else None,
            region.geometry,
        )  # fmt: skip


def _percent(value: float, length: int) -> int:
    return round(100 * min(max(value / length, 0), 1))


def _list_notes(sample: Sample) -> Iterator[str]:
    """Yield what was said about the image before, where it is plain words."""
    for turn in sample.turns:
        task = turn.answer.task or sample.task
        pieces = [*split_template(turn.instruction), *split_template(turn.answer.template)]
        if task not in ("caption", "classify", "vqa", "count") or any(isinstance(piece, Slot) for piece in pieces):
            continue
        asked = "".join(str(piece) for piece in split_template(turn.instruction))
        said = "".join(str(piece) for piece in split_template(turn.answer.template))
        yield f"Caption: {said}" if task == "caption" else f"{asked} {said}"
