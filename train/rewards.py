"""Verifiable rewards: what a sampled answer is worth, read from its text by the codecs and compared with the truth.

Each is a pure function (text, truth) -> number in [0, 1]; which of them count for a task, and how much, is one table.
An answer that says nothing readable is worth nothing; more regions than there are cost as much as missing ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from data_engine.templates import NONE
from vlm.codecs import ParsedText, Slot, parse_text, split_template
from vlm.geometry import iou_matrix
from vlm.records import Answer, Region, Task

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_MARKS = re.compile(r"[^\w\s.-]|\.(?!\d)")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_NUMBER_WORDS: Final = {
    "no": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Truth:
    """Hold what an answer is compared with: the true one, the images' (width, height) in pixels, and the dialect."""

    answer: Answer
    sizes: tuple[tuple[int, int], ...]
    dialect: str = "nadir"

    def parse(self, text: str) -> ParsedText:
        """Read an answer back to geometry."""
        return parse_text(text, sizes=self.sizes, dialect=self.dialect)


Reward = Callable[[str, Truth], float]


def reward_format(text: str, truth: Truth) -> float:
    """Give 1 to an answer that reads without a fault and writes places as the true one does, or none as it does."""
    parsed = truth.parse(text)
    if not text.strip() or any(issue.kind in ("unparsed", "truncated", "unknown_image") for issue in parsed.issues):
        return 0.0
    if truth.answer.template == NONE:
        return float(_both_none(parsed.template, truth))
    return float(_kinds(parsed.template) == _kinds(truth.answer.template))


def reward_overlap(text: str, truth: Truth) -> float:
    """Give the mean IoU of regions paired best first, over the larger number of them: 1 for all right and no more.

    Regions of different images never pair. Where nothing is to be found, saying so is right.
    """
    parsed = truth.parse(text)
    found, wanted = parsed.regions, truth.answer.regions
    if not wanted:
        return float(not found and _both_none(parsed.template, truth))
    if not found:
        return 0.0
    return pair_overlaps(found, wanted) / max(len(found), len(wanted))


def pair_overlaps(found: tuple[Region, ...], wanted: tuple[Region, ...]) -> float:
    """Sum the IoU of pairs, taken greedily from the best on; each region pairs once."""
    overlaps = iou_matrix([region.geometry for region in found], [region.geometry for region in wanted])
    same = np.array([region.image for region in found])[:, None] == np.array([region.image for region in wanted])
    overlaps = np.where(same, overlaps, 0.0)
    total = 0.0
    while overlaps.size and overlaps.max() > 0:
        row, column = np.unravel_index(overlaps.argmax(), overlaps.shape)
        total += float(overlaps[row, column])
        overlaps = np.delete(np.delete(overlaps, row, 0), column, 1)
    return total


def reward_exact(text: str, truth: Truth) -> float:
    """Give 1 to the true words, whatever their case, articles and punctuation."""
    return float(bool(text.strip()) and plain_words(text) == plain_words(truth.answer.template))


def reward_count(text: str, truth: Truth) -> float:
    """Give 1 to the true number and, to another, 1 minus its error as a share of it (of 1, where it is 0)."""
    found, wanted = read_number(text), read_number(truth.answer.template)
    if found is None or wanted is None:
        return 0.0
    return max(0.0, 1.0 - abs(found - wanted) / max(1.0, abs(wanted)))


def plain_words(text: str) -> str:
    """Write a text without case, articles, punctuation and doubled spaces."""
    return " ".join(_ARTICLES.sub(" ", _MARKS.sub(" ", text.lower())).split())


def read_number(text: str) -> float | None:
    """Read the first number of a text, in digits or words up to twelve; None where there is none."""
    for word in plain_words(text).split():
        if _NUMBER.fullmatch(word):
            return float(word)
        if word in _NUMBER_WORDS:
            return float(_NUMBER_WORDS[word])
    return None


REWARDS: Final[dict[str, Reward]] = {
    "format": reward_format,
    "overlap": reward_overlap,
    "exact": reward_exact,
    "count": reward_count,
}
PLACES: Final = {"overlap": 0.9, "format": 0.1}
TASK_REWARDS: Final[dict[Task, Mapping[str, float]]] = {
    "ground": PLACES,
    "detect": PLACES,
    "segment": PLACES,
    "change": PLACES,
    "count": {"count": 0.6, "exact": 0.4},
    "vqa": {"exact": 1.0},
    "classify": {"exact": 1.0},
}
"""What counts for each task, and how much; the shares of a task sum to 1. Tasks of free words have no such truth."""


def score_answer(text: str, truth: Truth, task: Task) -> dict[str, float]:
    """Give each part of a task's reward and their weighted "total", in [0, 1]; KeyError for a task without a truth.

    A change that is asked for in words is right when the words are.
    """
    shares = TASK_REWARDS[task]
    if task == "change" and not _kinds(truth.answer.template) and truth.answer.template != NONE:
        shares = TASK_REWARDS["vqa"]
    parts = {name: REWARDS[name](text, truth) for name in shares}
    return parts | {"total": sum(shares[name] * value for name, value in parts.items())}


def _kinds(template: str) -> set[str]:
    return {piece.kind for piece in split_template(template) if isinstance(piece, Slot)}


def _both_none(template: str, truth: Truth) -> bool:
    return plain_words(template) == plain_words(NONE) == plain_words(truth.answer.template)
