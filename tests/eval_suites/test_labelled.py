"""The suites of a user's own labels: F1 over windows, and the laws of test_suites_contract.py for all four."""

from __future__ import annotations

import pytest

from eval_suites.__main__ import main
from eval_suites.models.fakes import FakeAnswerer
from eval_suites.score_detected import count_right, score_detected
from eval_suites.suites import LABELLED
from tests.eval_suites.made_cases import make_case
from tests.eval_suites.test_suites_contract import MADE, headline
from vlm.geometry import HBB

MADE_LABELS = {**MADE, "F1@.5": MADE["Acc@.5"], "IoU": MADE["F1"]}


@pytest.mark.parametrize("name", LABELLED)
def test_perfect_is_best_and_missing_is_wrong(name: str) -> None:
    suite = LABELLED[name]
    cases, sign = MADE_LABELS[suite.headline], -1 if suite.lower_is_better else 1
    perfect: list[str | None] = [*FakeAnswerer("perfect").ask(cases, max_new_tokens=9, blind=False)]
    best = headline(suite, cases, perfect)
    assert best == pytest.approx(0.0 if suite.lower_is_better else 1.0, abs=0.03)
    assert headline(suite, cases[::-1], perfect[::-1]) == pytest.approx(best)
    assert sign * headline(suite, cases, [""] * 4) < sign * headline(suite, cases, [perfect[0], None, perfect[2], ""])
    assert sign * headline(suite, cases, [perfect[0], None, perfect[2], ""]) < sign * best
    for baseline in suite.baselines:
        measures = baseline.measure(cases, {"any": {"3": 1}}, suite.scorer)
        assert suite.headline in {measure.name for measure in measures}


def test_boxes_are_paired_once_and_counts_are_summed_before_the_ratio() -> None:
    one, two = HBB(0, 0, 10, 10), HBB(50, 0, 60, 10)
    assert count_right([one, one], [one]) == 1
    assert count_right([HBB(0, 0, 10, 20)], [one]) == 1, "an IoU of 0.5 is right"
    assert count_right([HBB(0, 0, 10, 21), two], [one]) == 0
    assert count_right([], [one]) == count_right([one], []) == 0
    first = make_case(0, geometry=one, size=(100, 100))
    empty = make_case(1, answers=["none"], size=(100, 100))
    said = ["<box>[[0,0,100,100],[500,0,600,100]]</box>", "none"]
    scored = score_detected([first, empty], said, training={})
    f1, precision, recall = scored.measures[:3]
    assert [float(m.combine(m.parts.sum(axis=0))) for m in (f1, precision, recall)] == pytest.approx([2 / 3, 0.5, 1])  # type: ignore[union-attr, operator]
    assert [row.score for row in scored.rows] == pytest.approx([2 / 3, 1])
    wrong = score_detected([empty], ["no idea"], training={})
    assert wrong.rows[0].unparsed and wrong.rows[0].score == 0


def test_describe_says_where_their_data_comes_from(capsys: pytest.CaptureFixture[str]) -> None:
    main(["describe", "labels-detect"])
    assert "nadir finetune IMAGES LABELS" in capsys.readouterr().out
