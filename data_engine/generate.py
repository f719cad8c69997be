"""From geometry to turns: pure functions of regions, a phrase and a generator of random numbers.

Every function gives one vlm.records.Turn whose answer holds the geometry it was given, untouched, and a short
template: a slot for geometry, digits for counts, "yes" or "no", a sentence for captions, "none" where nothing is found.
`ask` and `locate` make a turn of any kind of instruction, the others of the kind that they are named after.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Literal

from data_engine import templates
from vlm.errors import DataError
from vlm.geometry.convert import to_hbb
from vlm.records import Answer, Image, Region, Sample, Task, Turn

BoxKind = Literal["box", "obb"]


def write_slot(kind: str, count: int) -> str:
    """Write the slot of the first `count` regions, `{box:0,1}`, or "none" where there are none."""
    return f"{{{kind}:{','.join(map(str, range(count)))}}}" if count else templates.NONE


def sort_regions(regions: Sequence[Region]) -> tuple[Region, ...]:
    """Sort regions by class, then from top to bottom, then from left to right (the order of LMMRotate)."""

    def key(region: Region) -> tuple[str, float, float]:
        box = to_hbb(region.geometry)
        return region.phrase, (box.y1 + box.y2) / 2, (box.x1 + box.x2) / 2

    return tuple(sorted(regions, key=key))


def wrap_turn(
    turn: Turn, *, sample_id: str, images: tuple[Image, ...], source: str, split: str, licence: str
) -> Sample:
    """Make a sample of one turn; its task is the one that the turn's answer states (DataError where it states none)."""
    if turn.answer.task is None:
        raise DataError(f"the turn of sample {sample_id} states no task: give its answer one")
    return Sample(sample_id, images, (turn,), turn.answer.task, source, split, licence)


def ask(
    kind: str,
    text: str,
    rng: random.Random,
    *,
    words: Mapping[str, str] = MappingProxyType({}),
    task: Task = "vqa",
    given: Sequence[Region] = (),
) -> Turn:
    """Ask in one of the paraphrases of `kind`, filled with `words`, and answer with plain text.

    `given` are the regions that the instruction points at, through a slot in the word `region`.
    """
    instruction = templates.write_instruction(kind, rng, **words)
    return Turn(instruction, Answer(templates.escape_braces(text), task=task), tuple(given))


def locate(
    kind: str,
    template: str,
    regions: Sequence[Region],
    rng: random.Random,
    *,
    task: Task,
    words: Mapping[str, str] = MappingProxyType({}),
    given: Sequence[Region] = (),
) -> Turn:
    """Ask in one of the paraphrases of `kind` and answer with a template whose slots hold the regions."""
    instruction = templates.write_instruction(kind, rng, **words)
    return Turn(instruction, Answer(template, tuple(regions), task=task), tuple(given))


def caption(sentence: str, rng: random.Random) -> Turn:
    """Ask for a description and answer with the sentence."""
    return Turn(templates.write_instruction("caption", rng), Answer(templates.write_sentence(sentence), task="caption"))


def classify(theme: str, rng: random.Random) -> Turn:
    """Ask for the scene class and answer with its name."""
    return Turn(templates.write_instruction("theme", rng), Answer(templates.escape_braces(theme), task="classify"))


def ground(phrase: str, region: Region, rng: random.Random, *, kind: BoxKind = "box") -> Turn:
    """Ask where the one object is that the phrase names and answer with its box or oriented box."""
    instruction = templates.write_instruction(f"ground_{kind}", rng, phrase=phrase)
    return Turn(instruction, Answer(write_slot(kind, 1), (replace(region, phrase=phrase),), task="ground"))


def detect(label: str, regions: Sequence[Region], rng: random.Random, *, kind: BoxKind = "box") -> Turn:
    """Ask for all objects of a class and answer with their boxes, sorted, or "none"."""
    instruction = templates.write_instruction(f"detect_{kind}", rng, phrase=label)
    return Turn(instruction, Answer(write_slot(kind, len(regions)), sort_regions(regions), task="detect"))


def count(label: str, number: int, rng: random.Random) -> Turn:
    """Ask how many objects of a class there are and answer in digits."""
    return Turn(templates.write_instruction("count", rng, phrase=label), Answer(str(number), task="count"))


def presence(label: str, present: bool, rng: random.Random) -> Turn:
    """Ask whether there is an object of a class and answer yes or no."""
    instruction = templates.write_instruction("presence", rng, phrase=label)
    return Turn(instruction, Answer(templates.YES if present else templates.NO, task="vqa"))


def segment(phrase: str, region: Region | None, rng: random.Random) -> Turn:
    """Ask for the mask of the one thing that the phrase names and answer with it, or "none"."""
    instruction = templates.write_instruction("segment", rng, phrase=phrase)
    return _answer_with_mask(instruction, region, task="segment")


def segment_all(label: str, region: Region | None, rng: random.Random) -> Turn:
    """Ask for the common mask of all objects of a class and answer with it, or "none"."""
    instruction = templates.write_instruction("segment_all", rng, phrase=label)
    return _answer_with_mask(instruction, region, task="segment")


def describe_region(region: Region, rng: random.Random, *, kind: BoxKind = "box") -> Turn:
    """Point at a region in the instruction and answer with its phrase."""
    instruction = templates.write_instruction("region", rng, region=write_slot(kind, 1))
    return Turn(instruction, Answer(templates.escape_braces(region.phrase), task="region"), (region,))


def change_presence(changed: bool, rng: random.Random) -> Turn:
    """Ask whether two dates differ and answer yes or no."""
    answer = Answer(templates.YES if changed else templates.NO, task="change")
    return Turn(templates.write_instruction("change_presence", rng), answer)


def change_boxes(regions: Sequence[Region], rng: random.Random) -> Turn:
    """Ask where two dates differ and answer with boxes on the first date's grid, sorted, or "none"."""
    answer = Answer(write_slot("box", len(regions)), sort_regions(regions), task="change")
    return Turn(templates.write_instruction("change_box", rng), answer)


def change_mask(region: Region | None, rng: random.Random) -> Turn:
    """Ask for the mask of all changes and answer with it on the first date's grid, or "none"."""
    return _answer_with_mask(templates.write_instruction("change_mask", rng), region, task="change")


def change_caption(sentence: str | None, rng: random.Random) -> Turn:
    """Ask what has changed and answer with the sentence, or that nothing has (None)."""
    answer = Answer(templates.write_sentence(sentence or templates.NO_CHANGE), task="change")
    return Turn(templates.write_instruction("change_caption", rng), answer)


def _answer_with_mask(instruction: str, region: Region | None, *, task: Literal["segment", "change"]) -> Turn:
    regions = () if region is None else (region,)
    return Turn(instruction, Answer(write_slot("seg", len(regions)), regions, task=task))
