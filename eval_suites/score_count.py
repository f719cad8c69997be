"""Counts: the first integer in the text; exact accuracy and mean absolute error."""

from __future__ import annotations

import re
from collections.abc import Sequence

from eval_suites.cases import Case
from eval_suites.measure import build_mean
from eval_suites.scored import Row, Scored, Training, score_rates

INTEGER = re.compile(r"\d{1,9}", re.ASCII)


def parse_count(text: str) -> int | None:
    """Read the first integer of a text, of at most nine digits."""
    match = INTEGER.search(text)
    return int(match[0]) if match else None


def score_counts(
    cases: Sequence[Case], outputs: Sequence[str | None], *, training: Training, dialect: str = "nadir"
) -> Scored:
    """Give MAE and exact accuracy; text without a number is wrong and counts as 0 in the MAE."""
    del training, dialect
    rows = tuple(_judge(case, output or "") for case, output in zip(cases, outputs, strict=True))
    errors = [row.score for row in rows]
    above_none = [case.target != "0" for case in cases]
    measures = (
        build_mean("MAE", errors),
        build_mean("MAE where there are any", errors, where=above_none),
        build_mean("exact", [row.score == 0 and not row.unparsed for row in rows]),
    )
    return Scored(rows, (*measures, *score_rates(rows)))


def _judge(case: Case, output: str) -> Row:
    said, wanted = parse_count(output), int(case.target)
    error = abs((said or 0) - wanted)
    explanation = "no number, taken as 0" if said is None else f"off by {error}"
    return Row("" if said is None else str(said), str(wanted), float(error), explanation, said is None)
