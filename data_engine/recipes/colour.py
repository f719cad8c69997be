"""Recipe colour: what colour is the left-most ship, is it white? For objects whose colour the annotations name."""

from __future__ import annotations

from collections.abc import Iterator

from data_engine import generate, templates
from data_engine.annotations import sample_to_scene
from data_engine.recipes.negatives import unlike_colours
from data_engine.recipes.recipe import MOST, derive, one_name_each, question, rng_of, slug
from vlm.records import Sample


def colour(sample: Sample, seed: int) -> Iterator[Sample]:
    """Yield the colour, a yes and a no for each uniquely named object of known colour."""
    scene = sample_to_scene(sample)
    if scene is None or not scene.colours:
        return
    bases = ("single", "position", "size", "order", "place", "relation")
    names = one_name_each(scene, rng_of(sample, "colour", seed), bases=bases)
    for index, phrase in list(names.items())[:MOST]:
        known = scene.colours[index]
        if known is None:
            continue
        yield question(sample, f"colour/{slug(phrase)}", "colour", known, seed=seed, words={"phrase": phrase})
        for true in (True, False):
            name = f"colour-yes/{slug(phrase)}/{'yes' if true else 'no'}"
            rng = rng_of(sample, name, seed)
            asked = known if true else rng.choice(unlike_colours([known]))
            answer = templates.YES if true else templates.NO
            words = {"phrase": phrase, "colour": asked}
            yield derive(sample, name, generate.ask("colour_yes", answer, rng, words=words))
