"""Recipe size: which is larger, how long is it in metres, how much of the image is covered?

Comparisons need areas that differ by data_engine.phrases.SIZE_RATIO. Lengths and areas are measured from geometry and
the image's ground sampling distance, and are asked only of objects of at least MIN_SIDE_PX, rounded to two digits.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from data_engine import templates
from data_engine.amounts import write_number, write_percent
from data_engine.annotations import sample_to_scene
from data_engine.cover import draw
from data_engine.objects import Scene
from data_engine.phrases import SIZE_RATIO, area_of
from data_engine.recipes.recipe import MOST, one_name_each, present_and_absent, question, rng_of, size_px, slug, some
from vlm.geometry.convert import to_obb
from vlm.geometry.shapes import HBB, Mask
from vlm.records import Sample

MIN_SIDE_PX = 10.0
"""The least length of an object in pixels from which its length in metres is asked."""


def size(sample: Sample, seed: int) -> Iterator[Sample]:
    """Yield size questions about uniquely named objects, and the shares of the image that classes with masks cover."""
    scene = sample_to_scene(sample)
    if scene is None:
        return
    rng = rng_of(sample, "size", seed)
    names = one_name_each(scene, rng, bases=("single", "position", "order", "place", "colour"))
    for first, second in some(list(combinations(names, 2)), rng):
        pair = [first, second]
        rng.shuffle(pair)
        yield from _pair(sample, scene, names, (pair[0], pair[1]), seed)
    yield from _metres(sample, scene, dict(list(names.items())[:MOST]), seed)
    yield from _shares(sample, scene, seed)


def _pair(sample: Sample, scene: Scene, names: dict[int, str], pair: tuple[int, int], seed: int) -> Iterator[Sample]:
    areas = [area_of((scene.obbs or scene.boxes)[index].geometry) for index in pair]
    if max(areas) < SIZE_RATIO * max(min(areas), 1e-9):
        return
    phrase, other = (names[index] for index in pair)
    words = {"phrase": phrase, "other": other}
    where = f"{slug(phrase)}/{slug(other)}"
    name = f"size-which/{where}"
    larger = phrase if areas[0] > areas[1] else other
    yield question(sample, name, "size_which", larger, seed=seed, words=words)
    for kind, true in (("larger", areas[0] > areas[1]), ("smaller", areas[0] < areas[1])):
        name = f"size-{kind}/{where}"
        answer = templates.YES if true else templates.NO
        yield question(sample, name, f"size_{kind}", answer, seed=seed, words=words)


def _metres(sample: Sample, scene: Scene, names: dict[int, str], seed: int) -> Iterator[Sample]:
    """Ask for lengths and areas on the ground; an upright box says neither."""
    gsd_m = scene.image.gsd_m
    if gsd_m is None or not scene.obbs:
        return
    for index, phrase in names.items():
        geometry = scene.obbs[index].geometry
        length_px = to_obb(geometry).w
        if isinstance(geometry, HBB) or length_px < MIN_SIDE_PX:
            continue
        name = f"size-length/{slug(phrase)}"
        text = f"{write_number(length_px * gsd_m)} m"
        yield question(sample, name, "size_length", text, seed=seed, words={"phrase": phrase})
        name = f"size-area/{slug(phrase)}"
        text = f"{write_number(area_of(geometry) * gsd_m**2)} m2"
        yield question(sample, name, "size_area", text, seed=seed, words={"phrase": phrase})


def _shares(sample: Sample, scene: Scene, seed: int) -> Iterator[Sample]:
    width, height = size_px(scene)
    for label in present_and_absent(scene)[0]:
        masks = [region.geometry for region in scene.of_class(label) if isinstance(region.geometry, Mask)]
        if len(masks) == len(scene.of_class(label)):
            name = f"size-share/{slug(label)}"
            text = write_percent(float(draw(masks, width=width, height=height).mean()))
            yield question(sample, name, "size_share", text, seed=seed, words={"phrase": label})
