"""Cases and outputs of a run, scored by a published rule (eval_suites/rules): the same code that scores files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from eval_suites.cases import Case
from eval_suites.images import frames
from eval_suites.readers.loaded import Entry, Loaded, Options
from eval_suites.rules.judge import Judge
from eval_suites.rules.rule import Rule
from eval_suites.scored import Row, Scored, Scorer, Training, score_rates
from vlm.codecs import parse_text
from vlm.dialects import DIALECTS

Translate = Callable[[Case, str | None, str, str], tuple[Any, Any]]


def pass_on(case: Case, output: str | None, dialect: str, protocol: str) -> tuple[Any, Any]:
    """Give prediction and target as they are: text, and the target as the rule takes it."""
    del dialect, protocol
    return output, target_of(case)


def target_of(case: Case) -> Any:
    """Give a case's target: what the rule takes, else the accepted answers, or the only one."""
    if case.truth is not None:
        return case.truth
    return list(case.answers) if len(case.answers) > 1 else case.target


def build_rule_scorer(
    rule: Rule, *, translate: Translate, extras: Mapping[str, Any], files: Mapping[str, Path], judge: Judge
) -> Scorer:
    """Build the scorer that makes entries of cases and outputs and scores them by a rule."""

    def score(
        cases: Sequence[Case], outputs: Sequence[str | None], *, training: Training, dialect: str = "nadir"
    ) -> Scored:
        del training
        paired = list(zip(cases, outputs, strict=True))
        entries = tuple(_entry(case, translate(case, output, dialect, rule.protocol)) for case, output in paired)
        geometry = any(case.form for case in cases)
        read_by_rule = geometry and translate is pass_on and dialect in DIALECTS
        options = Options(files=files, dialect=dialect if read_by_rule else "", judge=judge)
        scores = rule.score(Loaded(entries, extras=extras), options)
        rows = tuple(
            _noted(row, case, output, dialect) for row, (case, output) in zip(scores.rows, paired, strict=True)
        )
        known = {measure.name for measure in scores.measures}
        rates = [rate for rate in score_rates(rows, geometry=geometry) if rate.name not in known]
        return Scored(rows, (*scores.measures, *rates), scores.tables, scores.ties)

    return score


def _entry(case: Case, pair: tuple[Any, Any]) -> Entry:
    prediction, target = pair
    values = dict(case.values)
    if case.form:
        width, height = frames(case)[0]
        values |= {"width": width, "height": height}
    return Entry(case.id, case.group, prediction, target, case.category, values)


def _noted(row: Row, case: Case, output: str | None, dialect: str) -> Row:
    """Add to a judged row whether coordinates of the answer lay outside the image."""
    if not case.form or dialect not in DIALECTS or not output:
        return row
    issues = parse_text(output, sizes=frames(case), dialect=dialect).issues
    clipped = any(issue.kind == "clipped" for issue in issues)
    return Row(row.parsed, row.target, row.score, row.explanation, row.unparsed, clipped)
