"""Recipe ladder: one geometry for another, GeoGround's PAL (box -> oriented box -> mask) and GGL (the way back).

PAL gives the sparser geometry in the instruction and asks for the denser one; GGL asks for all, the densest first, so
that each follows from the one before. An object needs a shape that is more than a box; masks are asked where it is
known by its outline. The object is the one that a detection, a grounding or a segmentation answers with.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from data_engine import generate, templates
from data_engine.annotations import sample_to_scene
from data_engine.change_map import is_countable
from data_engine.recipes.mask import are_outlined, has_outline
from data_engine.recipes.recipe import MOST, derive, named_objects, rng_of, slug
from vlm.geometry.convert import to_hbb, to_obb
from vlm.geometry.shapes import HBB
from vlm.records import Region, Sample, Task, Turn

TASKS: Final[dict[str, Task]] = {"box": "ground", "obb": "ground", "seg": "segment"}
KINDS: Final = {"box": "refine_box", "obb": "refine_obb", "seg": "refine_mask"}


def ladder(sample: Sample, seed: int) -> Iterator[Sample]:
    """Yield the steps up and down the ladder for up to MOST objects, and both ladders as one answer each."""
    for phrase, region, outlined in list(find_objects(sample))[:MOST]:
        forms = give_forms(region, phrase, outlined=outlined)
        if len(forms) < 2:
            continue
        for given in forms:
            for wanted in forms:
                if given != wanted:
                    name = f"ladder-{given}-{wanted}/{slug(phrase)}"
                    turn = _step(sample, name, forms, given, wanted, seed)
                    yield derive(sample, name, turn)
        if len(forms) == 3:
            yield from _whole(sample, phrase, forms, seed)


def find_objects(sample: Sample) -> Iterator[tuple[str, Region, bool]]:
    """Give single objects with a phrase of their own and whether they are known by their outline.

    They are those of a scene, or the one that a sample is about.
    """
    scene = sample_to_scene(sample)
    if scene is not None:
        shapes, seen = scene.obbs or scene.boxes, set[int]()
        outlined = are_outlined(shapes)
        for unique in named_objects(scene):
            if unique.index not in seen:
                seen.add(unique.index)
                yield unique.phrase, shapes[unique.index], outlined
        return
    for turn in sample.turns:
        task = turn.answer.task or sample.task
        if task in ("ground", "segment") and len(turn.answer.regions) == 1 and asks_for_one(turn, task):
            region = turn.answer.regions[0]
            yield region.phrase, region, has_outline(region)


def asks_for_one(turn: Turn, task: Task) -> bool:
    """Tell whether the one region of an answer is one thing: not all roads of an image, and no water."""
    phrase = turn.answer.regions[0].phrase
    if task == "ground" or not phrase:
        return bool(phrase)
    named = re.search(rf"\bthe {re.escape(templates.escape_braces(phrase))}\b", turn.instruction)
    return named is not None and is_countable(phrase)


def give_forms(region: Region, phrase: str, *, outlined: bool) -> dict[str, Region]:
    """Give the forms in which an object is known: its box, its oriented box, its outline; sparser ones first."""
    forms = {"box": Region(to_hbb(region.geometry), phrase, region.image)}
    if not isinstance(region.geometry, HBB):
        forms["obb"] = Region(to_obb(region.geometry), phrase, region.image)
    if outlined:
        forms["seg"] = Region(region.geometry, phrase, region.image)
    return forms


def _step(sample: Sample, name: str, forms: dict[str, Region], given: str, wanted: str, seed: int) -> Turn:
    return generate.locate(
        KINDS[wanted], f"{{{wanted}:0}}", (forms[wanted],), rng_of(sample, name, seed),
        task=TASKS[wanted], words={"region": f"{{{given}:0}}"}, given=(forms[given],),
    )  # fmt: skip


def _whole(sample: Sample, phrase: str, forms: dict[str, Region], seed: int) -> Iterator[Sample]:
    for kind, order in (("ladder_up", ("box", "obb", "seg")), ("ladder_down", ("seg", "obb", "box"))):
        name = f"{kind.replace('_', '-')}/{slug(phrase)}"
        template = " ".join(f"{{{form}:{at}}}" for at, form in enumerate(order))
        regions = [forms[form] for form in order]
        rng = rng_of(sample, name, seed)
        yield derive(
            sample, name, generate.locate(kind, template, regions, rng, task="segment", words={"phrase": phrase})
        )
