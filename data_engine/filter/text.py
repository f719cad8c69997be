"""Rules for the words of a sample: answers that say nothing, run on, repeat themselves, or are in another language.

The rules look at the answers of samples of the tasks CHECKED; the words of other answers come from templates. A text is
what stands in the template between its slots.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from data_engine.filter.language import find_other_language
from vlm.codecs import Slot, split_template
from vlm.errors import DataError
from vlm.records import Sample, Task, Turn

CHECKED: Final[tuple[Task, ...]] = ("caption", "region", "change", "chat", "vqa")
"""Tasks whose answers are language."""
MOST_WORDS: Final = 400
"""Words of the longest answer that is kept by default."""
_MARKUP: Final = re.compile(
    r"https?://|www\.|</?[a-z][^>]*>|&[a-z]+;|\.(?:jpe?g|png|tiff?|gif)\b|[A-Za-z]:\\|\{\{|\}\}|[�\x00-\x08]",
    re.IGNORECASE,
)
_WORD: Final = re.compile(r"\w+(?:['’-]\w+)*")


@dataclass(frozen=True, slots=True)
class TextRules:
    """Hold the bounds that a text has to keep; None for `language` accepts every language.

    `most_words` bounds the length; `most_in_row` how often one word may follow itself; `most_share` which share of the
    words one word may have, and one three-word group, in texts of at least `long_words` words.
    """

    language: str | None = "en"
    most_words: int = MOST_WORDS
    most_in_row: int = 2
    most_share: float = 0.4
    long_words: int = 10


def find_text_fault(sample: Sample, rules: TextRules) -> tuple[str, str] | None:
    """Give the reason and a sentence for the first answer of a sample that breaks a rule; None for a good sample."""
    for turn in sample.turns:
        if (turn.answer.task or sample.task) not in CHECKED:
            continue
        try:
            text, slots = _read_text(turn)
        except DataError as error:
            return "broken template", str(error)
        fault = judge_text(text, rules, beside_geometry=slots)
        if fault is not None:
            return fault
    return None


def judge_text(text: str, rules: TextRules, *, beside_geometry: bool = False) -> tuple[str, str] | None:
    """Give the reason and a sentence when a text breaks a rule, else None; `beside_geometry` may say nothing."""
    words = [word.lower() for word in _WORD.findall(text)]
    checks = (
        () if beside_geometry and not words else _judge_emptiness(text, words),
        _judge_length(words, rules),
        _judge_repetition(words, rules),
        _judge_markup(text),
        _judge_language(text, rules),
    )
    return next((fault for check in checks for fault in check), None)


def _read_text(turn: Turn) -> tuple[str, bool]:
    """Give the words of an answer and whether geometry stands among them."""
    pieces = list(split_template(turn.answer.template))
    return "".join(piece for piece in pieces if isinstance(piece, str)), any(isinstance(p, Slot) for p in pieces)


def _judge_emptiness(text: str, words: list[str]) -> Iterator[tuple[str, str]]:
    if not words:
        yield "empty text", f"the answer {text[:40]!r} has no word"
    elif text.isalpha() and len(text) > 2 and len(set(text.lower())) == 1:
        yield "degenerate text", f"the answer {text[:40]!r} is one character over and over"


def _judge_length(words: list[str], rules: TextRules) -> Iterator[tuple[str, str]]:
    if len(words) > rules.most_words:
        yield "long text", f"an answer of {len(words)} words is longer than {rules.most_words}"
    elif words and max(map(len, words)) > 60:
        yield "degenerate text", f"the answer has a word of {max(map(len, words))} characters"


def _judge_repetition(words: list[str], rules: TextRules) -> Iterator[tuple[str, str]]:
    spoken = [word for word in words if not word.isdigit()]
    run, word = max(((len(list(group)), word) for word, group in groupby(spoken)), default=(0, ""))
    if run > rules.most_in_row:
        yield "repeated words", f"{word!r} follows itself {run - 1} times"
    if len(spoken) < rules.long_words:
        return
    for size in (1, 3):
        groups = [" ".join(spoken[at : at + size]) for at in range(len(spoken) - size + 1)]
        said, count = Counter(groups).most_common(1)[0]
        if count > 2 and count * size > rules.most_share * len(spoken):
            yield "repeated words", f"{said!r} makes {count * size} of {len(spoken)} words"


def _judge_markup(text: str) -> Iterator[tuple[str, str]]:
    found = _MARKUP.search(text)
    if found is not None:
        yield "markup in text", f"the answer holds {found.group()!r}, which is no language"


def _judge_language(text: str, rules: TextRules) -> Iterator[tuple[str, str]]:
    other = None if rules.language is None else find_other_language(text, wanted=rules.language)
    if other is not None:
        yield "other language", f"the answer {text[:40]!r} is written in {other}, wanted is {rules.language}"
