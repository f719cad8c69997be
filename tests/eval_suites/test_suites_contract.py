"""The laws of all suites of the public sample data: perfect is best, empty worst, order irrelevant, missing wrong.

The benchmarks of the field have theirs in test_benchmarks.py, the rules that both stand on in test_rules_*_contract.py.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence

import pytest

from eval_suites.cases import Case
from eval_suites.measure import Measure
from eval_suites.models.fakes import FakeAnswerer
from eval_suites.suites import SUITES
from eval_suites.suites.suite import Suite
from tests.eval_suites.made_cases import make_case
from vlm.geometry import HBB

WORDS = ("airport", "beach", "port", "river")
CAPTIONS = (
    "many white planes are parked near a long terminal",
    "two green rivers flow through a dark forest",
    "some small boats lie in the old stone harbor",
    "several grey roads cross between tall city houses",
)
MADE = {
    "accuracy": [make_case(n, answers=[word], category="any") for n, word in enumerate(WORDS)],
    "CIDEr": [make_case(n, answers=[caption] * 5) for n, caption in enumerate(CAPTIONS)],
    "MAE": [make_case(n, answers=[str(count)]) for n, count in enumerate((3, 1, 7, 2))],
    "Acc@.5": [make_case(n, geometry=HBB(10 * n, 5, 10 * n + 20, 40)) for n in range(4)],
    "F1": [make_case(n, geometry=HBB(10 * n, 5, 10 * n + 20, 40)) for n in range(4)],
}
"""Cases by the headline of the suites that they fit: a suite with another headline brings its own here."""
BEST = {"CIDEr": 10.0, "MAE": 0.0}


def headline(suite: Suite, cases: Sequence[Case], outputs: Sequence[str | None]) -> float:
    scored = suite.scorer(cases, outputs, training={}, dialect="nadir")
    assert len(scored.rows) == len(cases)
    assert all(row.unparsed for row, output in zip(scored.rows, outputs, strict=True) if not output)
    measure = scored.find(suite.headline)
    assert isinstance(measure, Measure)
    assert len(measure.parts) == len(cases)
    return float(measure.combine(measure.parts.sum(axis=0)))


@pytest.mark.parametrize("name", SUITES)
def test_perfect_is_best_empty_is_worst_order_is_irrelevant_and_missing_is_wrong(name: str) -> None:
    suite = SUITES[name]
    if suite.headline == "CIDEr" and shutil.which("java") is None:
        pytest.skip("the PTB tokenizer needs Java")
    cases = MADE[suite.headline]
    perfect: list[str | None] = [*FakeAnswerer("perfect").ask(cases, max_new_tokens=9, blind=False)]
    sign = -1 if suite.lower_is_better else 1
    best, empty = headline(suite, cases, perfect), headline(suite, cases, [""] * 4)
    assert best == pytest.approx(BEST.get(suite.headline, 1.0), abs=0.03)
    assert empty == (pytest.approx(13 / 4) if suite.headline == "MAE" else 0)
    assert headline(suite, cases[::-1], perfect[::-1]) == pytest.approx(best)
    half = [perfect[0], None, perfect[2], ""]
    lost = headline(suite, cases, half)
    assert sign * empty < sign * lost < sign * best
    assert headline(suite, cases[::-1], half[::-1]) == pytest.approx(lost)
    there = headline(suite, [cases[0], cases[2]], [perfect[0], perfect[2]])
    assert sign * lost < sign * there, "what has no answer stays in the denominator"
    assert suite.baselines
    training = {"any": {"3" if suite.headline == "MAE" else "airport": 1}}
    for baseline in suite.baselines:
        measures = baseline.measure(cases, training, suite.scorer)
        assert suite.headline in {measure.name for measure in measures}, baseline.name
