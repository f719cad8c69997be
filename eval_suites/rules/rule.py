"""A rule: the suites it is for, the protocol it follows, what it reads, and the function from entries to scores.

Scores are made of `Measure`s (measure.py) wherever the number is a function of sums over rows, so that the bootstrap
gives a standard error; a number with another formula (mAP, a corpus METEOR) is a `Number`, without one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from eval_suites.measure import Measure
from eval_suites.readers.loaded import Field, Loaded, Options, Reader
from eval_suites.readers.pair import read_pairs
from eval_suites.scored import Row, Ties


@dataclass(frozen=True, slots=True)
class Number:
    """Hold a number over n entries whose standard error no bootstrap of sums can give."""

    name: str
    value: float
    n: int


@dataclass(frozen=True, slots=True)
class Scores:
    """Hold one judged row per entry in their order (scored.Row), measures, tables of one measure by category, and ties.

    `measures` start with the rule's headline. `tables`: title ("accuracy by type") -> category -> measure. Names are
    those of the field (`Acc@.5`, `BLEU-4`, `mIoU`); rates are fractions 0..1, whatever the source prints.
    """

    rows: tuple[Row, ...]
    measures: tuple[Measure | Number, ...]
    tables: Mapping[str, Mapping[str, Measure | Number]] = field(default_factory=dict)
    ties: tuple[Ties, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """Describe how a suite is scored.

    `suites`: names as in BENCHMARKS.md 10; `protocol` and its `aliases`: how a user asks for it. `source`: repository,
    commit or paper and the rule in words. `headline`: the measure that is quoted. `fields`: what is read beside
    prediction, target, category and id. `errors`: measures where lower is better. `best` and `empty`: the headline of
    perfect and of empty predictions; `oddity` says why where empty is not the worst.
    """

    suites: tuple[str, ...]
    protocol: str
    source: str
    headline: str
    score: Callable[[Loaded, Options], Scores]
    fields: tuple[Field, ...] = ()
    reader: Reader = read_pairs
    aliases: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    best: float = 1.0
    empty: float = 0.0
    oddity: str = ""
