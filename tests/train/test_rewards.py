"""Rewards: garbage is worth nothing, the truth is worth 1, and what is nearer is worth more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.rewards import (
    REWARDS,
    TASK_REWARDS,
    Truth,
    read_number,
    reward_count,
    reward_exact,
    reward_format,
    reward_overlap,
    score_answer,
)
from vlm.codecs import render_text
from vlm.geometry.shapes import HBB, OBB
from vlm.records import Answer, Region

SIZES = ((500, 400),)
TWO = (Region(HBB(100, 40, 200, 140)), Region(HBB(300, 200, 400, 320)))
BOXES = Truth(Answer("{box:0,1}", TWO), SIZES)
NOTHING = Truth(Answer("none"), SIZES)
WORDS = Truth(Answer("yes"), SIZES)


def say(*regions: Region, kind: str = "box") -> str:
    return render_text(f"{{{kind}:{','.join(map(str, range(len(regions))))}}}", regions, sizes=SIZES)


@pytest.mark.parametrize("text", ["", " ", "<box>", "<box>[[1,2,3", "<box>[[a,b,c,d]]</box>", "}{", "none none"])
def test_garbage_is_worth_nothing(text: str) -> None:
    assert score_answer(text, BOXES, "ground")["total"] == 0.0
    assert score_answer(text, NOTHING, "ground")["total"] == 0.0
    assert score_answer(text, WORDS, "vqa")["total"] == 0.0


def test_the_truth_is_worth_one() -> None:
    assert score_answer(say(*TWO), BOXES, "detect")["total"] == pytest.approx(1.0, abs=0.02)
    assert score_answer(say(*TWO[::-1]), BOXES, "detect")["total"] == pytest.approx(1.0, abs=0.02)
    assert score_answer("none", NOTHING, "detect")["total"] == 1.0
    assert score_answer("Yes.", WORDS, "vqa")["total"] == 1.0
    assert score_answer("3", Truth(Answer("3"), SIZES), "count")["total"] == 1.0


def test_too_many_and_too_few_cost_the_same() -> None:
    one, extra = Region(HBB(10, 300, 60, 380)), Truth(Answer("{box:0}", TWO[:1]), SIZES)
    assert reward_overlap(say(TWO[0]), BOXES) == pytest.approx(0.5, abs=0.02)
    assert reward_overlap(say(TWO[0], one), extra) == pytest.approx(0.5, abs=0.02)
    assert reward_overlap(say(TWO[0], TWO[0]), extra) == pytest.approx(0.5, abs=0.02), "no region counts twice"


@given(st.integers(0, 90), st.integers(0, 90))
def test_nearer_is_worth_more(first: int, second: int) -> None:
    truth = Truth(Answer("{box:0}", TWO[:1]), SIZES)
    near, far = sorted((first, second))
    values = [reward_overlap(say(Region(HBB(100 + d, 40, 200 + d, 140))), truth) for d in (near, far)]
    assert values[0] >= values[1] - 0.02


def test_a_box_of_another_date_is_not_the_one_asked_for() -> None:
    truth = Truth(Answer("{box:0}", (Region(HBB(0, 0, 50, 50), image=1),)), (*SIZES, *SIZES))
    right, wrong = (
        render_text("{box:0}", (Region(HBB(0, 0, 50, 50), image=image),), sizes=truth.sizes) for image in (1, 0)
    )
    assert (reward_overlap(right, truth), reward_overlap(wrong, truth)) == (1.0, 0.0)


def test_the_format_is_that_of_the_true_answer() -> None:
    turned = Truth(Answer("{obb:0}", (Region(OBB(200, 200, 80, 40, 20)),)), SIZES)
    assert reward_format(say(Region(OBB(10, 10, 8, 4, 0)), kind="obb"), turned) == 1.0
    assert reward_format(say(Region(HBB(10, 10, 18, 14))), turned) == 0.0
    assert reward_format("it is there", turned) == 0.0
    assert reward_format("none", NOTHING) == 1.0 and reward_format(say(*TWO), NOTHING) == 0.0


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", 12),
        ("There are three ships.", 3),
        ("-4", -4),
        ("2.5 ha", 2.5),
        ("none", None),
        ("no cars", 0),
        ("", None),
    ],
)
def test_numbers_are_read(text: str, number: float | None) -> None:
    assert read_number(text) == number


def test_a_count_is_worth_less_the_more_it_is_wrong() -> None:
    four = Truth(Answer("4"), SIZES)
    assert [reward_count(str(n), four) for n in (4, 3, 2, 9)] == [1.0, 0.75, 0.5, 0.0]
    assert reward_count("1", Truth(Answer("0"), SIZES)) == 0.0


def test_words_are_compared_without_case_articles_and_marks() -> None:
    assert reward_exact("The Dense-Residential area!", Truth(Answer("dense-residential area"), SIZES)) == 1.0
    assert reward_exact("1.5", Truth(Answer("15"), SIZES)) == 0.0


def test_a_change_in_words_is_right_by_its_words() -> None:
    assert score_answer("no", Truth(Answer("no"), SIZES * 2), "change") == {"exact": 1.0, "total": 1.0}


def test_the_table_is_whole() -> None:
    assert all(
        sum(shares.values()) == pytest.approx(1) and set(shares) <= set(REWARDS) for shares in TASK_REWARDS.values()
    )


@given(st.text(max_size=40), st.sampled_from(["ground", "count", "vqa"]))
def test_any_text_has_a_worth_between_0_and_1(text: str, task: str) -> None:
    assert 0.0 <= score_answer(text, BOXES, task)["total"] <= 1.0  # type: ignore[arg-type]
