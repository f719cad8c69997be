"""What every scorer gives: one judged row a case, and the measures that are made of all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from eval_suites.cases import Case
from eval_suites.measure import Measure, build_mean

if TYPE_CHECKING:
    from eval_suites.rules.rule import Number

Training = dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class Row:
    """Hold one judged answer: what was read from it, the target, its score (higher is better, except errors) and why.

    `unparsed`: no answer of the expected form was found; it counts as wrong. `clipped`: coordinates left the image.
    """

    parsed: str
    target: str
    score: float
    explanation: str
    unparsed: bool = False
    clipped: bool = False


@dataclass(frozen=True, slots=True)
class Ties:
    """Say how a rule breaks the ties of a measure: in words, how many there are, and the measure at both ends.

    `lowest`: all are broken against the answers, `highest`: all for them. The measure lies between the two.
    """

    measure: str
    rule: str
    n: int
    lowest: float
    highest: float


@dataclass(frozen=True, slots=True)
class Scored:
    """Hold the rows in the order of the cases, the measures over them, tables of one measure by category, and ties."""

    rows: tuple[Row, ...]
    measures: tuple[Measure | Number, ...]
    tables: Mapping[str, Mapping[str, Measure | Number]] = field(default_factory=dict)
    ties: tuple[Ties, ...] = ()

    def find(self, name: str) -> Measure | Number:
        """Give the measure of that name."""
        return next(measure for measure in self.measures if measure.name == name)


class Scorer(Protocol):
    """Judge the outputs of a model, one a case in their order (None: no answer); `training` is CaseFile.training."""

    def __call__(
        self, cases: Sequence[Case], outputs: Sequence[str | None], *, training: Training, dialect: str
    ) -> Scored: ...


def score_rates(rows: Sequence[Row], *, geometry: bool = False) -> tuple[Measure, ...]:
    """Give the share of answers that did not parse and, for geometry, of those whose coordinates were clipped."""
    unparsed = build_mean("unparsed", [row.unparsed for row in rows])
    return (unparsed, build_mean("clipped", [row.clipped for row in rows])) if geometry else (unparsed,)
