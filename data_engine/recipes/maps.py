"""Recipe maps: SkyScript's and RSTeller's captions and RSVQA's questions, from objects and surfaces of a map.

Objects are those of a detection, surfaces (forest, water, roads of a width) those of a segmentation (data_engine.maps).
Presence and counts are facts of the map; areas need a ground sampling distance and are written in RSVQA's classes.
Rural and urban are told by the density of buildings, and not asked in between.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from data_engine import generate, templates
from data_engine.amounts import write_area_class, write_number, write_percent
from data_engine.annotations import read_classes, sample_to_scene
from data_engine.change_map import is_countable
from data_engine.cover import draw
from data_engine.objects import Scene
from data_engine.places import PLACES, join_words, say_place, share_by_place
from data_engine.recipes.box_caption import say_number
from data_engine.recipes.count import count
from data_engine.recipes.presence import presence
from data_engine.recipes.recipe import derive, question, rng_of, slug, some
from vlm.records import Region, Sample

URBAN_SHARE: Final = 0.10
RURAL_SHARE: Final = 0.01
"""Share of the image that buildings cover, from which it is urban and below which it is rural."""
AREA_RATIO: Final = 1.3
"""How many times larger an area must be to be called the larger one."""
PARAPHRASES: Final = 3
MIN_SHARE: Final = 0.002
"""The least share of the image from which a surface is spoken of."""


@dataclass(frozen=True, slots=True, eq=False)
class MapView:
    """Hold what a map shows in one image: its objects, the share of the image and the main place of each class."""

    objects: Scene | None
    shares: dict[str, float]
    places: dict[str, str]
    absent: tuple[str, ...]
    gsd_m: float | None
    area_px: int


def maps(sample: Sample, seed: int) -> Iterator[Sample]:
    """Yield captions, presence, counts, comparisons, areas and rural or urban of an annotated map image."""
    view = view_map(sample)
    if view is None:
        return
    for number in range(PARAPHRASES):
        name = f"map-caption/{number}"
        rng = rng_of(sample, name, seed)
        text = write_map_caption(view, rng)
        if text:
            yield derive(sample, name, generate.caption(text, rng))
    if view.objects is not None:
        yield from count(sample, seed)
        yield from presence(sample, seed)
    yield from _surfaces(sample, view, seed)
    yield from _areas(sample, view, seed)
    land = find_land(view)
    if land is not None:
        yield question(sample, "map-land", "scene_land", land, seed=seed)


def view_map(sample: Sample) -> MapView | None:
    """Read objects and surfaces of a map image; None where the sample has neither or no place on the earth."""
    image = sample.images[0]
    if len(sample.images) != 1 or not image.width or not image.height or image.crs is None:
        return None
    scene = sample_to_scene(sample)
    groups: dict[str, list[Region]] = {}
    asked: list[str] = []
    for turn in sample.turns:
        if (turn.answer.task or sample.task) == "segment":
            asked += read_classes(turn.instruction)
            for region in turn.answer.regions:
                groups.setdefault(region.phrase, []).append(region)
    if scene is not None:
        for region in scene.boxes:
            groups.setdefault(region.phrase, []).append(region)
    if scene is None and not groups:
        return None
    shares, places = {}, {}
    for label, regions in groups.items():
        bits = draw([region.geometry for region in regions], width=image.width, height=image.height)
        shares[label] = float(bits.mean())
        by_place = share_by_place(bits) if min(bits.shape) >= 3 else None
        if by_place is not None and by_place.max() >= 0.6 * by_place.sum() > 0:
            places[label] = PLACES[int(by_place.argmax())]
    absent = tuple(label for label in asked if label not in groups)
    return MapView(scene, shares, places, absent, image.gsd_m, image.width * image.height)


def write_map_caption(view: MapView, rng: random.Random) -> str:
    """Describe a map image: the focus first (the most conspicuous class), then what surrounds it and how much."""
    said = {label: text for label in view.shares if (text := _say_class(view, label, rng))}
    if not said:
        return ""
    ranked = sorted(said, key=lambda label: -view.shares[label])
    focus = rng.choice(ranked[:2])
    others = [said[label] for label in ranked if label != focus][:3]
    lead = rng.choice(("", "an aerial view of ", "a satellite image of ", "a remote sensing image of "))
    if not others:
        return f"{lead}{said[focus]}"
    link = rng.choice((" with ", ", surrounded by ", ", together with "))
    land = find_land(view)
    tail = f" in {'an urban' if land == 'urban' else 'a rural'} area" if land and rng.random() < 0.5 else ""
    return f"{lead}{said[focus]}{link}{join_words(others)}{tail}"


def find_land(view: MapView) -> str | None:
    """Say "urban" or "rural" by the share that buildings cover; None in between and where buildings are not mapped."""
    scene = view.objects
    if scene is None or "building" not in scene.classes:
        return None
    share = view.shares.get("building", 0.0)
    return "urban" if share >= URBAN_SHARE else "rural" if share <= RURAL_SHARE else None


def _say_class(view: MapView, label: str, rng: random.Random) -> str:
    """Say one class: objects by number, surfaces by share now and then, both with their place where they have one."""
    where = f" {say_place(view.places[label])}" if label in view.places and rng.random() < 0.7 else ""
    scene = view.objects
    members = scene.of_class(label) if scene is not None else ()
    if members:
        return say_number(len(members), label) + where
    if view.shares[label] < MIN_SHARE:
        return ""
    several = is_countable(label) and rng.random() < 0.5
    noun = templates.write_plural(label) if several else label
    if is_countable(label) and not several:
        noun = f"{templates.write_article(label)} {label}"
    share = f" ({write_percent(view.shares[label])} of the image)" if rng.random() < 0.4 else ""
    return f"{noun}{where}{share}"


def _surfaces(sample: Sample, view: MapView, seed: int) -> Iterator[Sample]:
    """Ask for the presence of surfaces: those of at least MIN_SHARE, and those that the map has none of."""
    objects = view.objects.classes if view.objects is not None else ()
    present = [label for label, share in view.shares.items() if share >= MIN_SHARE and label not in objects]
    absent = list(view.absent)
    rng_of(sample, "map-presence", seed).shuffle(absent)
    for label, is_there in [(x, True) for x in present] + [(x, False) for x in absent[: max(1, len(present))]]:
        name = f"map-presence/{slug(label)}"
        yield derive(sample, name, generate.presence(label, is_there, rng_of(sample, name, seed)))


def _areas(sample: Sample, view: MapView, seed: int) -> Iterator[Sample]:
    labels = [label for label in view.shares if view.shares[label] >= MIN_SHARE]
    if view.gsd_m is not None:
        for label in labels:
            area_m2 = view.shares[label] * view.area_px * view.gsd_m**2
            words = {"phrase": label}
            yield question(
                sample, f"map-area/{slug(label)}", "map_area", write_area_class(area_m2), seed=seed, words=words
            )
            text = f"{write_number(area_m2)} m2"
            yield question(sample, f"map-area-m2/{slug(label)}", "map_area", text, seed=seed, words=words)
    rng = rng_of(sample, "map-area-more", seed)
    for first, second in some(list(combinations(range(len(labels)), 2)), rng):
        pair = [labels[first], labels[second]]
        rng.shuffle(pair)
        areas = [view.shares[label] for label in pair]
        if max(areas) >= AREA_RATIO * min(areas):
            answer = templates.YES if areas[0] > areas[1] else templates.NO
            name = f"map-area-more/{slug(pair[0])}/{slug(pair[1])}"
            words = {"phrase": pair[0], "other": pair[1]}
            yield question(sample, name, "map_area_more", answer, seed=seed, words=words)
