"""Recipe ground: where is the one object that a phrase names? Boxes, and oriented boxes where they are known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from data_engine import generate
from data_engine.annotations import sample_to_scene
from data_engine.generate import BoxKind
from data_engine.phrases import UniquePhrase
from data_engine.recipes.recipe import derive, named_objects, rng_of, slug
from vlm.records import Sample


def ground(sample: Sample, seed: int) -> Iterator[Sample]:
    """Yield one grounding sample per object and per reason for which it can be named."""
    scene = sample_to_scene(sample)
    if scene is None:
        return
    by_reason: dict[tuple[int, str], list[UniquePhrase]] = {}
    for unique in named_objects(scene):
        by_reason.setdefault((unique.index, unique.basis), []).append(unique)
    kinds: tuple[BoxKind, ...] = ("box", "obb") if scene.obbs else ("box",)
    for (index, basis), found in by_reason.items():
        phrase = rng_of(sample, f"ground/{index}/{basis}", seed).choice(found).phrase
        for kind in kinds:
            name = f"ground-{kind}/{slug(phrase)}"
            region = replace(scene.regions(kind)[index], phrase=phrase)
            yield derive(sample, name, generate.ground(phrase, region, rng_of(sample, name, seed), kind=kind))
