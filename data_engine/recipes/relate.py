"""Recipe relate: where one thing lies as seen from another, what lies on that side, and which of two is nearer."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Final

from data_engine import generate, templates
from data_engine.annotations import sample_to_scene
from data_engine.objects import Scene
from data_engine.places import RELATIONS, distance_px, find_relation, join_words
from data_engine.recipes.recipe import MOST, derive, one_name_each, question, rng_of, slug, some
from data_engine.referring import NEAREST_RATIO
from vlm.records import Sample

BASES: Final = ("single", "size", "colour", "position", "order")
"""Names that may stand in a question about a relation; one that speaks of a relation itself would give it away."""


def relate(sample: Sample, seed: int) -> Iterator[Sample]:
    """Yield questions about the direction from one named object to another, and about the nearer of two."""
    scene = sample_to_scene(sample)
    if scene is None:
        return
    rng = rng_of(sample, "relate", seed)
    names = one_name_each(scene, rng, bases=BASES)
    for first, second in some(list(combinations(names, 2)), rng):
        pair = [first, second]
        rng.shuffle(pair)
        yield from _pair(sample, scene, names, (pair[0], pair[1]), seed)
    for index in list(names)[:MOST]:
        yield from _what(sample, scene, names, index, seed)
        yield from _nearest(sample, scene, names, index, seed)


def say_relation(relation: str) -> str:
    """Give a relation as an answer, without "of" at its end: "to the left", "above"."""
    return relation.removesuffix(" of")


def _pair(sample: Sample, scene: Scene, names: dict[int, str], pair: tuple[int, int], seed: int) -> Iterator[Sample]:
    relation = find_relation(scene.boxes[pair[0]].geometry, scene.boxes[pair[1]].geometry)
    if relation is None or gives_away(scene, names, pair):
        return
    phrase, other = (names[index] for index in pair)
    where = f"{slug(phrase)}/{slug(other)}"
    words = {"phrase": phrase, "other": other}
    yield question(sample, f"relation/{where}", "relation", say_relation(relation), seed=seed, words=words)
    for true in (True, False):
        name = f"relation-yes/{where}/{'yes' if true else 'no'}"
        rng = rng_of(sample, name, seed)
        asked = relation if true else rng.choice(_contradictions(relation))
        answer = templates.YES if true else templates.NO
        turn = generate.ask("relation_yes", answer, rng, words={**words, "relation": asked})
        yield derive(sample, name, turn)


def gives_away(scene: Scene, names: dict[int, str], pair: tuple[int, int]) -> bool:
    """Tell whether the names alone say how two objects lie: the left-most and the right-most of one class."""
    same = scene.boxes[pair[0]].phrase == scene.boxes[pair[1]].phrase
    return same and all("-most" in names[at] or " from the " in names[at] for at in pair)


def _contradictions(relation: str) -> list[str]:
    """Give the relations that are surely wrong: those more than 90 degrees away."""
    (x, y) = next(step for step, words in RELATIONS.items() if words == relation)
    return [words for (u, v), words in RELATIONS.items() if x * u + y * v < 0]


def _what(sample: Sample, scene: Scene, names: dict[int, str], index: int, seed: int) -> Iterator[Sample]:
    """Offer several named objects, of which exactly one lies on the side that is asked about."""
    anchor = scene.boxes[index].geometry
    others = [at for at in names if at != index and not gives_away(scene, names, (at, index))]
    found = {at: find_relation(scene.boxes[at].geometry, anchor) for at in others}
    name = f"relation-what/{slug(names[index])}"
    rng = rng_of(sample, name, seed)
    certain = [at for at, relation in found.items() if relation is not None]
    if not certain:
        return
    right = rng.choice(certain)
    relation = str(found[right])
    wrong = [at for at in certain if found[at] in _contradictions(relation)]
    if wrong:
        choices = [names[at] for at in (right, *rng.sample(wrong, min(2, len(wrong))))]
        rng.shuffle(choices)
        words = {"phrase": names[index], "relation": relation, "choices": join_words(choices, last="or")}
        yield derive(sample, name, generate.ask("relation_what", names[right], rng, words=words))


def _nearest(sample: Sample, scene: Scene, names: dict[int, str], index: int, seed: int) -> Iterator[Sample]:
    anchor = scene.boxes[index].geometry
    others = [at for at in names if at != index]
    name = f"nearest/{slug(names[index])}"
    rng = rng_of(sample, name, seed)
    if len(others) < 2:
        return
    pair = rng.sample(others, 2)
    distances = [distance_px(scene.boxes[at].geometry, anchor) for at in pair]
    if max(distances) >= NEAREST_RATIO * max(min(distances), 1.0):
        near = names[pair[0] if distances[0] < distances[1] else pair[1]]
        words = {"phrase": names[index], "other": names[pair[0]], "third": names[pair[1]]}
        yield derive(sample, name, generate.ask("nearest", near, rng, words=words))
