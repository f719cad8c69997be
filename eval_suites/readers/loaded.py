"""What every reader gives: one entry per question, with its prediction or without, and an account of what was taken.

A reader is a function `(predictions, references, fields, options) -> Loaded`. It pairs predictions with targets, says
which key of the file each field came from, and names the rows that it could not pair. A question without a prediction
stays an entry, with `prediction=None`: the rule counts it as wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eval_suites.rules.judge import Judge, NoJudge


@dataclass(frozen=True, slots=True)
class Field:
    """Name what a rule reads beside prediction and target: its own name, and the files' usual names, best first.

    Keys are compared without case, blanks, underscores and hyphens. A required field that no row has is refused.
    """

    name: str
    keys: tuple[str, ...]
    required: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """Hold one question: id, what the bootstrap draws together (its image), prediction (None: missing) and target.

    `category` is the file's type, category or task ("" without one). `values` holds the rule's own fields by their
    names; a field that this row lacks is not in it. Predictions and targets are what the file held: text, lists,
    masks (bool arrays); a rule for text reads them with `text_of`.
    """

    id: str
    group: str
    prediction: Any
    target: Any
    category: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Loaded:
    """Hold the entries, which key each field was taken from, sentences about rows left out, and whole-file extras.

    `extras` holds what is about all entries: class names, a similarity matrix, a word map.
    """

    entries: tuple[Entry, ...]
    keys: Mapping[str, str] = field(default_factory=dict)
    unpaired: tuple[str, ...] = ()
    extras: Mapping[str, Any] = field(default_factory=dict)

    @property
    def missing(self) -> int:
        """Count the entries without a prediction."""
        return sum(entry.prediction is None for entry in self.entries)


@dataclass(frozen=True, slots=True)
class Options:
    """Say what a user may choose beside the rule.

    `keys`: field name to the file's key, where the reader's choice is not wanted. `files`: extra files by name (a word
    map). `dialect`: whose text the boxes are in. `raw`: read the whole text, not the payload of <answer> tags.
    `judge`: who decides where the rule asks a judge.
    """

    keys: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    dialect: str = ""
    raw: bool = False
    judge: Judge = field(default_factory=NoJudge)


Reader = Callable[[Path, Path | None, tuple[Field, ...], Options], Loaded]


def text_of(value: Any) -> str:
    """Give a value of a file as text: numbers as written, lists joined by ", ", nothing as ""."""
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return ", ".join(text_of(item) for item in value)
    return str(value)
