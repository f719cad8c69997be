"""Recipe presence: is there a ship, is there one at the top, are there both ships and bridges?"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from data_engine import generate, templates
from data_engine.annotations import sample_to_scene
from data_engine.objects import Scene
from data_engine.places import PLACES, may_lie_in, say_place
from data_engine.recipes.recipe import derive, present_and_absent, rng_of, size_px, slug
from vlm.records import Sample


def presence(sample: Sample, seed: int) -> Iterator[Sample]:
    """Yield yes/no questions about classes, classes in a part of the image, and pairs of classes, balanced."""
    scene = sample_to_scene(sample)
    if scene is None:
        return
    present, absent = present_and_absent(scene)
    missing = list(absent)
    rng_of(sample, "presence", seed).shuffle(missing)
    missing = missing[: max(1, len(present))]
    for label, is_there in [(x, True) for x in present] + [(x, False) for x in missing]:
        name = f"presence/{slug(label)}"
        yield derive(sample, name, generate.presence(label, is_there, rng_of(sample, name, seed)))
    for label in present:
        yield from _by_place(sample, scene, label, seed)
    yield from _pairs(sample, present, absent, seed)


def _by_place(sample: Sample, scene: Scene, label: str, seed: int) -> Iterator[Sample]:
    """Ask about one part that holds an object for certain and one that holds none, not even nearly."""
    width, height = size_px(scene)
    shapes = [region.geometry for region in scene.of_class(label)]
    near = {p: [may_lie_in(p, shape, width=width, height=height) for shape in shapes] for p in PLACES}
    certain = [p for p in PLACES if any(hit and _only(p, near, at) for at, hit in enumerate(near[p]))]
    empty = [p for p in PLACES if not any(near[p])]
    for places, answer in ((certain, templates.YES), (empty, templates.NO)):
        name = f"presence-place/{slug(label)}/{answer}"
        rng = rng_of(sample, name, seed)
        if places:
            words = {"phrase": label, "place": say_place(rng.choice(places))}
            yield derive(sample, name, generate.ask("presence_place", answer, rng, words=words))


def _only(place: str, near: dict[str, list[bool]], at: int) -> bool:
    return not any(hits[at] for other, hits in near.items() if other != place)


def _pairs(sample: Sample, present: tuple[str, ...], absent: tuple[str, ...], seed: int) -> Iterator[Sample]:
    """Ask about both and either of two classes: one is there, the other is or is not."""
    for kind in ("presence_both", "presence_either"):
        for mixed in (False, True):
            name = f"{kind.replace('_', '-')}/{'mixed' if mixed else 'same'}"
            rng = rng_of(sample, name, seed)
            pair = _draw_pair(present, absent, rng, mixed=mixed, either=kind == "presence_either")
            if pair is None:
                continue
            there = [label in present for label in pair]
            answer = templates.YES if (all(there) if kind == "presence_both" else any(there)) else templates.NO
            yield derive(sample, name, generate.ask(kind, answer, rng, words={"phrase": pair[0], "other": pair[1]}))


def _draw_pair(
    present: tuple[str, ...], absent: tuple[str, ...], rng: Random, *, mixed: bool, either: bool
) -> list[str] | None:
    """Draw one class that is there and one that is not, or two of a kind: both absent for "either", else present."""
    pool = absent if either else present
    if mixed and present and absent:
        pair = [rng.choice(present), rng.choice(absent)]
    elif not mixed and len(pool) > 1:
        pair = rng.sample(pool, 2)
    else:
        return None
    rng.shuffle(pair)
    return pair
