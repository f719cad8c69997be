"""Recipe position: in which part of the image is it, is it at the top, what is there, and which way does it point?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from data_engine import generate, templates
from data_engine.annotations import sample_to_scene
from data_engine.objects import Scene
from data_engine.places import PLACES, find_clear_place, join_words, say_place
from data_engine.recipes.recipe import MOST, derive, one_name_each, question, rng_of, size_px, slug
from vlm.geometry.convert import to_obb
from vlm.geometry.shapes import HBB
from vlm.records import Sample

ELONGATED: Final = 2.0
"""The least ratio of long to short side from which an object has a direction."""
DIRECTION_DEG: Final = 15.0
"""How far the long side may lie from one of the four directions that have a name."""
DIRECTIONS: Final = {
    0: "horizontally",
    45: "from the top left to the bottom right",
    90: "vertically",
    135: "from the top right to the bottom left",
}
"""Names by the angle of the long side in degrees, clockwise on the screen from the x axis."""


def position(sample: Sample, seed: int) -> Iterator[Sample]:
    """Yield questions about the part of the image in which uniquely named objects lie, and about their direction."""
    scene = sample_to_scene(sample)
    if scene is None:
        return
    width, height = size_px(scene)
    names = one_name_each(scene, rng_of(sample, "position", seed), bases=("single", "size", "colour", "relation"))
    for index, phrase in list(names.items())[:MOST]:
        place = find_clear_place(scene.boxes[index].geometry, width=width, height=height)
        if place is not None:
            yield from _place(sample, phrase, place, seed)
    yield from _what(sample, scene, names, seed)
    yield from _directions(sample, scene, names, seed)


def _place(sample: Sample, phrase: str, place: str, seed: int) -> Iterator[Sample]:
    yield question(sample, f"position/{slug(phrase)}", "position", place, seed=seed, words={"phrase": phrase})
    for true in (True, False):
        name = f"position-yes/{slug(phrase)}/{'yes' if true else 'no'}"
        rng = rng_of(sample, name, seed)
        asked = place if true else rng.choice([other for other in PLACES if other != place])
        words = {"phrase": phrase, "place": say_place(asked)}
        answer = templates.YES if true else templates.NO
        yield derive(sample, name, generate.ask("position_yes", answer, rng, words=words))
    name = f"position-choice/{slug(phrase)}"
    rng = rng_of(sample, name, seed)
    pair = [say_place(place), say_place(rng.choice([other for other in PLACES if other != place]))]
    rng.shuffle(pair)
    words = {"phrase": phrase, "place": pair[0], "other_place": pair[1]}
    yield derive(sample, name, generate.ask("position_choice", say_place(place), rng, words=words))


def _what(sample: Sample, scene: Scene, names: dict[int, str], seed: int) -> Iterator[Sample]:
    """Offer several named objects, of which exactly one lies in the place that is asked about."""
    width, height = size_px(scene)
    places = {at: find_clear_place(scene.boxes[at].geometry, width=width, height=height) for at in names}
    certain = {at: place for at, place in places.items() if place is not None}
    for place in PLACES:
        there = [at for at, found in certain.items() if found == place]
        others = [at for at, found in certain.items() if found != place]
        name = f"position-what/{slug(place)}"
        rng = rng_of(sample, name, seed)
        if len(there) == 1 and others:
            choices = [names[at] for at in (*there, *rng.sample(others, min(2, len(others))))]
            rng.shuffle(choices)
            words = {"place": say_place(place), "choices": join_words(choices, last="or")}
            yield derive(sample, name, generate.ask("position_what", names[there[0]], rng, words=words))


def _directions(sample: Sample, scene: Scene, names: dict[int, str], seed: int) -> Iterator[Sample]:
    for index, phrase in list(names.items())[:MOST]:
        if not scene.obbs or isinstance(scene.obbs[index].geometry, HBB):
            continue
        obb = to_obb(scene.obbs[index].geometry)
        nearest = 45 * round(obb.angle_deg / 45)
        if obb.w >= ELONGATED * max(obb.h, 1e-9) and abs(obb.angle_deg - nearest) <= DIRECTION_DEG:
            text = DIRECTIONS[nearest % 180]
            yield question(sample, f"direction/{slug(phrase)}", "direction", text, seed=seed, words={"phrase": phrase})
