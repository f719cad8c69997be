"""Recipe box_caption: RemoteCLIP's box-to-caption and mask-to-box (Liu et al., 2024), as pure functions.

Box-to-caption writes up to five sentences: the objects in the middle of the image, those away from it, and three that
name some classes with their numbers ("many" above ten). Mask-to-box turns the masks of a class into boxes, one for each
connected part; a detection of the boxes comes out.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from data_engine import generate
from data_engine.annotations import sample_to_scene
from data_engine.cover import sample_to_cover
from data_engine.labels import split_components
from data_engine.objects import MAX_DETECTED, Scene
from data_engine.places import find_clear_place, join_words, may_lie_in
from data_engine.recipes.recipe import clear_classes, derive, rng_of, size_px, slug
from data_engine.templates import write_article, write_plural
from vlm.records import Region, Sample

NUMBERS: Final = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
COUNTED: Final = 3
"""How many sentences name numbers of classes."""
MIN_PART_PX: Final = 16
"""The least size of a connected part of a mask that becomes a box."""


def box_caption(sample: Sample, seed: int) -> Iterator[Sample]:
    """Yield captions from the boxes of a scene; from masks of classes, detections of their connected parts."""
    scene = sample_to_scene(sample)
    if scene is not None and scene.boxes:
        name = "box-caption"
        for number, text in enumerate(boxes_to_captions(scene, rng_of(sample, name, seed))):
            turn = generate.caption(text, rng_of(sample, f"{name}/{number}", seed))
            yield derive(sample, f"{name}/{number}", turn)
    cover = sample_to_cover(sample) if scene is None else None
    for label in cover.classes if cover is not None else ():
        assert cover is not None
        regions = masks_to_boxes(cover.bits(label), label)
        name = f"mask-box/{slug(label)}"
        if 0 < len(regions) <= MAX_DETECTED:
            yield derive(sample, name, generate.detect(label, regions, rng_of(sample, name, seed)))


def boxes_to_captions(scene: Scene, rng: random.Random) -> list[str]:
    """Write the sentences of a scene; a number is left out where objects may be missing or lie in between."""
    width, height = size_px(scene)
    labels = [region.phrase for region in scene.boxes]
    middle, around, clear = Counter[str](), Counter[str](), set(clear_classes(scene))
    certain = set(clear)
    for region in scene.boxes:
        if find_clear_place(region.geometry, width=width, height=height) == "center":
            middle[region.phrase] += 1
        elif not may_lie_in("center", region.geometry, width=width, height=height):
            around[region.phrase] += 1
        else:
            certain.discard(region.phrase)
    sentences = []
    if middle:
        sentences.append(f"{_list(middle, certain)} in the center of the image")
    if around and middle:
        sentences.append(f"{_list(around, certain)} away from the center of the image")
    counts = Counter(labels)
    for _ in range(COUNTED):
        chosen = rng.sample(sorted(counts), rng.randint(1, min(3, len(counts))))
        verb = "is" if counts[chosen[0]] == 1 else "are"
        sentences.append(f"there {verb} {_list(Counter({label: counts[label] for label in chosen}), clear)}")
    return list(dict.fromkeys(sentences))


def masks_to_boxes(bits: np.ndarray, label: str) -> list[Region]:
    """Give the boxes around the connected parts of a boolean mask (rows, cols), those below MIN_PART_PX left out."""
    return [Region(mask.box, label) for mask in split_components(bits, min_px=MIN_PART_PX)]


def say_number(count: int, label: str, *, exact: bool = True) -> str:
    """Write how many: "a ship", "two ships", "many ships" above ten, "ships" where the number is not certain."""
    if not exact:
        return write_plural(label) if count > 1 else f"{write_article(label)} {label}"
    if count == 1:
        return f"{write_article(label)} {label}"
    return f"{NUMBERS[count] if count <= 10 else 'many'} {write_plural(label)}"


def _list(counts: Counter[str], clear: set[str] | Sequence[str]) -> str:
    return join_words([say_number(count, label, exact=label in clear) for label, count in counts.items()])
