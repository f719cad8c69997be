"""Write natural captions of a scene from its class and its counted objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from data_engine.synth.records import SceneObject

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
PLACES: dict[str, tuple[str, ...]] = {
    "airport": ("in an airport", "on the apron of an airport", "near the terminal of an airport"),
    "baseball field": ("in a baseball field", "around a baseball field"),
    "bare land": ("in a bare land", "on bare land"),
    "beach": ("near a beach", "along a beach"),
    "bridge": ("near a river with a bridge over it", "beside a river crossed by a bridge"),
    "commercial": ("in a commercial area", "in a busy commercial area"),
    "dense residential": ("in a dense residential area", "in a crowded residential area"),
    "desert": ("in a desert",),
    "farmland": ("in the farmland", "near several pieces of farmland"),
    "forest": ("in a forest",),
    "industrial": ("in an industrial area", "in a factory area"),
    "intersection": ("at an intersection", "at the corners of a crossroads"),
    "meadow": ("in a meadow",),
    "medium residential": ("in a medium residential area", "in a residential area"),
    "park": ("in a park",),
    "parking": ("in a parking lot", "in the parking"),
    "playground": ("beside a playground", "near a playground"),
    "pond": ("near a pond", "around a pond"),
    "port": ("in a port", "in the harbor"),
    "railway station": ("in a railway station", "near a railway station"),
    "river": ("near a river", "on the banks of a river"),
    "sparse residential": ("in a sparse residential area",),
    "storage tanks": ("in a tank farm", "on the ground near a factory"),
    "tennis court": ("near the tennis courts", "beside the tennis courts"),
}
ALONE: dict[str, tuple[str, ...]] = {
    "bare land": ("it is a piece of bare land", "a large piece of yellow bare land"),
    "beach": ("white waves in green sea is near a yellow beach", "a piece of ocean is near a beach"),
    "bridge": ("a bridge is over a river", "a road bridge is on a river with green plants on two sides"),
    "desert": ("it is a piece of yellow desert", "a desert with many dunes"),
    "farmland": ("many pieces of farmland are together", "several fields of different colours make up the farmland"),
    "forest": ("many green trees are in a piece of forest", "a dense green forest"),
    "meadow": ("it is a piece of green meadow", "a large piece of green meadow"),
    "park": ("a park with green trees, paths and a pond", "many green trees and a pond are in a park"),
    "pond": ("a pond is surrounded by green plants", "many trees are around a pond"),
    "river": ("a river with green trees on two sides", "a curved river goes through the land"),
}
ITSELF = {"baseball field": ("baseball field",), "tennis court": ("tennis court",),
          "playground": ("running track", "football field")}  # fmt: skip
BESIDE = ("surrounded by green plants", "next to a road", "near some green trees", "near several buildings")
COLOUR_WORDS = {"green", "white", "yellow"}
LEAD: dict[str, tuple[str, ...]] = {
    "airport": ("plane",), "port": ("ship",), "parking": ("car",), "storage tanks": ("storage tank",),
    "intersection": ("car",),
    "railway station": ("train",), "dense residential": ("building",), "medium residential": ("building",),
    "sparse residential": ("building",), "commercial": ("building",), "industrial": ("building",), **ITSELF,
}  # fmt: skip


def plural(label: str) -> str:
    """Give the plural of an object class."""
    return label + "s"


def counted(count: int, label: str) -> str:
    """Write a count in words as captions do: `two ships`, `many cars`."""
    if count == 1:
        return f"{'an' if label[0] in 'aeiou' else 'a'} {label}"
    if count <= 5:
        return f"{NUMBERS[count]} {plural(label)}"
    return f"{'several' if count <= 8 else 'many'} {plural(label)}"


def write_captions(
    scene_class: str, objects: Sequence[SceneObject], share: dict[str, float], trees: int, rng: np.random.Generator,
    *, colours: bool = True,
) -> tuple[str, ...]:  # fmt: skip
    """Write three captions, lower case, of what is there: the leading class first, then its surroundings.

    `share` is what labels.land_shares gives; without `colours` no word of colour is used (radar).
    """
    counts = Counter(entry.label for entry in objects)
    found = [_caption(scene_class, counts, share, trees, rng) for _ in range(3)]
    if not colours:
        found = [" ".join(word for word in caption.split() if word not in COLOUR_WORDS) for caption in found]
    return tuple(found)


def _caption(
    scene_class: str, counts: Counter[str], share: dict[str, float], trees: int, rng: np.random.Generator
) -> str:
    lead = LEAD.get(scene_class, ())
    ranked = sorted(counts, key=lambda label: (label not in lead, -counts[label]))
    if ranked and ranked[0] in ITSELF.get(scene_class, ()):
        return f"{counted(counts[ranked[0]], ranked[0])} {verb(counts[ranked[0]])} {_choose(BESIDE, rng)}"
    alone = ALONE.get(scene_class, ())
    if alone and (not ranked or rng.random() < 0.7):
        tail = f" with {counted(counts[ranked[0]], ranked[0])}" if ranked and rng.random() < 0.4 else ""
        return _choose(alone, rng) + tail
    place = _choose(PLACES[scene_class], rng)
    if not ranked:
        return f"many green trees are {place}" if trees > 8 else f"it is a picture taken {place}"
    first = counted(counts[ranked[0]], ranked[0])
    parked = " parked" if ranked[0] in ("car", "plane") and scene_class in ("parking", "airport") else ""
    rest = _surroundings(ranked[1:], counts, share, trees, rng)
    return f"{first} {verb(counts[ranked[0]])}{parked} {place}{rest}"


def verb(count: int) -> str:
    """Give `is` or `are`."""
    return "is" if count == 1 else "are"


def _choose(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]


def _surroundings(
    labels: Sequence[str], counts: Counter[str], share: dict[str, float], trees: int, rng: np.random.Generator
) -> str:
    options = [f" with {counted(counts[label], label)}" for label in labels[:2]]
    if trees > 8:
        options.append(" surrounded by many green trees")
    if share["road"] > 0.06:
        options.append(" near a road")
    if 0.25 < share["water"] < 0.9:
        options.append(" beside the water")
    return _choose(options, rng) if options and rng.random() < 0.8 else ""
