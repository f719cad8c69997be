"""Referring expressions of the datasets -> noun phrases that fit an instruction, and samples of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from data_engine import generate
from data_engine.generate import BoxKind
from data_engine.objects import seeded
from vlm.errors import DataError
from vlm.records import Image, Region, Sample

_COMMAND: Final = re.compile(r"^(?:find|search(?: for)?|locate|identify|detect)\s+", re.IGNORECASE)
_ARTICLE: Final = re.compile(r"^(?:the|an?)\s+", re.IGNORECASE)


def tidy_phrase(text: str) -> str:
    """Turn an expression into a noun phrase that fits "Where is the ...?"; an empty one raises DataError.

    Blanks are joined, a command ("Find the ..."), the first article and the last period go, and the first letter
    becomes small unless the word is no ordinary one ("T junction", "A220", "SUV").
    """
    words = " ".join(text.split()).strip(" .?")
    words = _ARTICLE.sub("", _COMMAND.sub("", words))
    if not any(letter.isalnum() for letter in words):
        raise DataError(f"the expression {text!r} names nothing: expected words")
    ordinary = words[1:2].islower()
    return words[0].lower() + words[1:] if ordinary else words


@dataclass(frozen=True, slots=True)
class Origin:
    """Say which dataset, split and licence a sample has, and the seed that its wording is drawn with."""

    source: str
    split: str
    licence: str
    seed: int = 0

    def ground(self, phrase: str, region: Region, image: Image, *, key: str, kind: BoxKind = "box") -> Sample:
        """Make a grounding sample of a noun phrase and the one object that it names."""
        turn = generate.ground(phrase, region, seeded(self.seed, key), kind=kind)
        return self.wrap(turn, (image,), key=key)

    def detect(
        self, phrase: str, regions: Sequence[Region], image: Image, *, key: str, kind: BoxKind = "box"
    ) -> Sample:
        """Make a detection sample of a noun phrase and the objects that it names."""
        turn = generate.detect(phrase, regions, seeded(self.seed, key), kind=kind)
        return self.wrap(turn, (image,), key=key)

    def segment(self, phrase: str, region: Region | None, image: Image, *, key: str) -> Sample:
        """Make a mask sample of a noun phrase and the one thing that it names, or that is not there (None)."""
        return self.wrap(generate.segment(phrase, region, seeded(self.seed, key)), (image,), key=key)

    def wrap(self, turn: generate.Turn, images: tuple[Image, ...], *, key: str) -> Sample:
        """Make a sample of one turn."""
        return generate.wrap_turn(
            turn, sample_id=key, images=images, source=self.source, split=self.split, licence=self.licence
        )
