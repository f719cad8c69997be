"""Samples about two dates whose regions have a class: levir_mci (changed roads and buildings), xbd (damage)."""

from __future__ import annotations

from collections.abc import Sequence

from data_engine import templates
from data_engine.generate import write_slot
from data_engine.objects import seeded
from data_engine.sources.referring import Origin
from vlm.records import Answer, Image, Region, Sample, Turn

Images = tuple[Image, Image]


def locate_change(
    kind: str, slot: str, regions: Sequence[Region], images: Images, origin: Origin, *, key: str, phrase: str = ""
) -> Sample:
    """Ask in a paraphrase of `kind` and answer with the slots of the regions, or "none" where there are none."""
    instruction = templates.write_instruction(kind, seeded(origin.seed, key), phrase=phrase)
    answer = Answer(write_slot(slot, len(regions)), tuple(regions), task="change")
    return origin.wrap(Turn(instruction, answer), images, key=key)


def tell_change(
    kind: str,
    answer: str,
    images: Images,
    origin: Origin,
    *,
    key: str,
    phrase: str = "",
) -> Sample:
    """Ask in a paraphrase of `kind` and answer with plain words."""
    instruction = templates.write_instruction(kind, seeded(origin.seed, key), phrase=phrase)
    return origin.wrap(Turn(instruction, Answer(templates.escape_braces(answer), task="change")), images, key=key)
