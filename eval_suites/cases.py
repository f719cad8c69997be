"""Cases: the questions of a suite with their targets, read from JSON lines.

The file is written by data_engine/cases.py, whose docstring says what a line holds.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vlm.errors import DataError
from vlm.geometry.shapes import HBB, OBB, Geometry, Mask, Window
from vlm.records import Region

Form = Literal["", "box", "boxes", "obb", "obbs", "mask"]


@dataclass(frozen=True, slots=True)
class Case:
    """Hold one question: images (paths, sizes in pixels), a window of them, and its targets in pixels of the image.

    `sizes` may be empty where no answer holds geometry. `form` is the geometry that is asked for and `phrase` what it
    is asked of; `options` are the choices of a multiple choice question. `truth` is the target as the suite's rule
    takes it (None: the answers) and `values` are the fields beside it that the rule reads.
    """

    id: str
    group: str
    images: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]
    window: Window | None
    instruction: str
    category: str
    answers: tuple[str, ...]
    regions: tuple[Region, ...]
    form: Form = ""
    phrase: str = ""
    options: tuple[str, ...] = ()
    truth: Any = None
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def target(self) -> str:
        """Give the first accepted answer, or nothing."""
        return self.answers[0] if self.answers else ""


@dataclass(frozen=True, slots=True)
class CaseFile:
    """Hold the cases of a suite, its split, and how often each answer occurs in the training split by category."""

    suite: str
    split: str
    training: dict[str, dict[str, int]]
    cases: tuple[Case, ...]
    digest: str


def load_cases(path: Path) -> CaseFile:
    """Read a case file; raises DataError that names the file and line when it is missing, broken or incomplete."""
    if not path.exists():
        raise DataError(f"{path} does not exist: write it with `python -m data_engine.cases SUITE DATA {path.parent}`")
    content = path.read_text(encoding="utf-8")
    rows = [_parse_line(path, number, line) for number, line in enumerate(content.splitlines(), start=1)]
    if not rows or not {"suite", "split", "cases", "training"} <= rows[0].keys():
        raise DataError(f"{path} does not start with a line of suite, split, cases and training: write it again")
    head = rows[0]
    cases = tuple(_read_case(path, number, row) for number, row in enumerate(rows[1:], start=2))
    if len(cases) != head["cases"] or not cases:
        raise DataError(f"{path} holds {len(cases)} cases, its first line says {head['cases']}: write it again")
    if len({case.id for case in cases}) != len(cases):
        raise DataError(f"{path} gives two cases the same id: every id must be unique")
    digest = hashlib.sha256(content.encode()).hexdigest()[:16]
    return CaseFile(head["suite"], head["split"], head["training"], cases, digest)


def pick_cases(cases: Sequence[Case], limit: int | None, *, seed: int) -> tuple[Case, ...]:
    """Give a random subset of `limit` cases in their order, or all."""
    if limit is None or limit >= len(cases):
        return tuple(cases)
    chosen = sorted(random.Random(seed).sample(range(len(cases)), limit))
    return tuple(cases[index] for index in chosen)


def parse_geometry(values: dict[str, Any]) -> Geometry:
    """Read a box, an oriented box or a mask from plain JSON; raises DataError for another kind."""
    kind, numbers = values.get("kind"), values.get("values", ())
    if kind == "box":
        return HBB(*numbers)
    if kind == "obb":
        return OBB(*numbers)
    if kind == "mask":
        runs = np.asarray(values["runs"])
        bits = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(values["shape"])
        return Mask(bits, HBB(*numbers))
    raise DataError(f"case region has kind {kind!r}: known are box, obb and mask")


def count_groups(cases: Iterable[Case]) -> int:
    """Count what a bootstrap draws: images, or pairs of dates."""
    return len({case.group for case in cases})


def _parse_line(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{path} line {number} is not JSON ({error}): write the file again") from error
    if not isinstance(row, dict):
        raise DataError(f"{path} line {number} is {line[:40]!r}: expected a JSON object")
    return row


def _read_case(path: Path, number: int, row: dict[str, Any]) -> Case:
    try:
        regions = tuple(Region(parse_geometry(entry), entry["phrase"]) for entry in row["regions"])
        form, phrase = _form_of(regions) if not row["answers"] else ("", "")
        return Case(
            id=row["id"],
            group=row["group"],
            images=tuple(row["images"]),
            sizes=tuple((int(width), int(height)) for width, height in row["sizes"]),
            window=Window(*row["window"]) if row["window"] else None,
            instruction=row["instruction"],
            category=row["category"],
            answers=tuple(row["answers"]),
            regions=regions,
            form=form,
            phrase=phrase,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} line {number} is no case ({type(error).__name__}: {error}): write it again") from error


def _form_of(regions: tuple[Region, ...]) -> tuple[Form, str]:
    """Say which geometry of what is asked for where the target is one box, so that any dialect can word it."""
    if len(regions) != 1 or not isinstance(regions[0].geometry, HBB | OBB):
        return "", ""
    return ("box" if isinstance(regions[0].geometry, HBB) else "obb"), regions[0].phrase
