"""What a recipe is, and what all of them share: derived ids, random numbers of one's own, objects with unique names.

A recipe is a pure function (sample, seed) -> samples. It reads the annotations that it needs from the sample and yields
nothing where there are none. Every sample that it yields draws from its own generator, seeded by the caller's seed and
the sample's id, so that recipes, samples and shards may be run in any order and combination.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from data_engine import generate
from data_engine.objects import Scene, seeded
from data_engine.phrases import UniquePhrase
from data_engine.referring import find_referring_phrases, name_each
from vlm.records import Image, Region, Sample, Task, Turn

Recipe = Callable[[Sample, int], Iterator[Sample]]

MOST: Final = 8
"""The most samples that a recipe makes of one kind from one image, where pairs of objects would give thousands."""


def rng_of(sample: Sample, name: str, seed: int) -> random.Random:
    """Give the random numbers of the sample `name` that is derived from `sample`."""
    return seeded(seed, f"{sample.id}/{name}")


def derive(sample: Sample, name: str, *turns: Turn, images: Sequence[Image] = ()) -> Sample:
    """Make a sample of turns about the same images (or other ones); several turns are a chat."""
    task = turns[0].answer.task if len(turns) == 1 else "chat"
    return Sample(
        f"{sample.id}/{name}",
        tuple(images) or sample.images,
        turns,
        task or sample.task,
        sample.source,
        sample.split,
        sample.licence,
    )


def question(
    sample: Sample,
    name: str,
    kind: str,
    text: str,
    *,
    seed: int,
    words: Mapping[str, str] = MappingProxyType({}),
    task: Task = "vqa",
    given: Sequence[Region] = (),
) -> Sample:
    """Make a sample of one question of `kind` (generate.ask) that is answered with plain text."""
    return derive(
        sample, name, generate.ask(kind, text, rng_of(sample, name, seed), words=words, task=task, given=given)
    )


def slug(phrase: str) -> str:
    """Write a phrase as a part of an id."""
    return phrase.replace(" ", "-").replace("/", "-")


def size_px(scene: Scene) -> tuple[int, int]:
    """Give the width and height of a scene's image."""
    return scene.image.width or 0, scene.image.height or 0


def named_objects(scene: Scene, *, bases: Sequence[str] = ()) -> list[UniquePhrase]:
    """List the phrases that name exactly one object of a scene; objects of doubtful classes have none.

    Sizes are compared by oriented boxes or outlines where the scene has them.
    """
    width, height = size_px(scene)
    found = find_referring_phrases(scene.obbs or scene.boxes, width=width, height=height, colours=scene.colours)
    return [
        unique
        for unique in found
        if scene.boxes[unique.index].phrase not in scene.doubtful and (not bases or unique.basis in bases)
    ]


def one_name_each(scene: Scene, rng: random.Random, *, bases: Sequence[str] = ()) -> dict[int, str]:
    """Choose one unique phrase for each object that has any."""
    return {index: rng.choice(found).phrase for index, found in name_each(named_objects(scene, bases=bases)).items()}


def some(items: Sequence[tuple[int, int]], rng: random.Random, *, most: int = MOST) -> list[tuple[int, int]]:
    """Draw at most `most` of the items, in their order."""
    if len(items) <= most:
        return list(items)
    return [items[at] for at in sorted(rng.sample(range(len(items)), most))]


def clear_classes(scene: Scene) -> tuple[str, ...]:
    """Give the classes that are completely labelled and whose name is not the end of another one ("vehicle")."""
    labels = [label for label in scene.classes if label not in scene.doubtful]
    return tuple(label for label in labels if not any(other.endswith(f" {label}") for other in scene.classes))


def present_and_absent(scene: Scene) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Give the clear classes that the image holds and those that it certainly does not hold."""
    found = {region.phrase for region in scene.boxes}
    clear = clear_classes(scene)
    return tuple(label for label in clear if label in found), tuple(label for label in clear if label not in found)
