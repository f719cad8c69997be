"""Each rule against a table made by hand: unparsable, empty, several, ties."""

from __future__ import annotations

import numpy as np
import pytest

from eval_suites.measure import score_measure
from eval_suites.score_box import score_boxes
from eval_suites.score_change import score_change_masks
from eval_suites.score_count import parse_count, score_counts
from eval_suites.score_words import number_class, score_words
from eval_suites.scored import Scored
from tests.eval_suites.made_cases import make_case
from vlm.geometry import HBB, OBB, Mask


def value(scored: Scored, name: str) -> float:
    return score_measure(scored.find(name), [str(index) for index in range(len(scored.rows))]).value


@pytest.mark.parametrize(
    ("output", "right", "unparsed"),
    [
        ("airport", 1, False),
        (" Airport\n", 1, False),
        ("airport.", 0, True),
        ("beach", 0, False),
        ("an airport", 0, True),
        ("", 0, True),
    ],
)
def test_words_are_equal_after_lower_and_strip(output: str, right: int, unparsed: bool) -> None:
    scored = score_words([make_case(0, answers=["airport"])], [output], training={"any": {"beach": 3}})
    assert (scored.rows[0].score, scored.rows[0].unparsed) == (right, unparsed)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", "0"), ("0m2", "0"), ("1", "1"), ("10", "1"), ("11", "2"), ("100m2", "2"), ("101", "3"), ("1000", "3"),
        ("1001m2", "4"), ("1-10", "1"), ("11-100m2", "2"), ("101-1000m2", "3"), ("more than 1000m2", "4"),
        ("between 0 and 10", "1"), ("between 10m2 and 100m2", "2"), ("between 100 and 1000", "3"),
        ("many", "many"), ("", ""), ("-5", "-5"), ("5 cars", "5 cars"), ("9" * 40, "9" * 40),
    ],
)  # fmt: skip
def test_rsvqa_classes_in_every_writing(text: str, expected: str) -> None:
    assert number_class(text) == expected


def test_classed_categories_compare_classes_and_others_numbers() -> None:
    cases = [make_case(0, answers=["17"], category="count"), make_case(1, answers=["0m2"], category="area")]
    classes = score_words(cases, ["90", "0"], training={}, classed=frozenset({"count", "area"}))
    assert [row.score for row in classes.rows] == [1, 1]
    exact = score_words(cases, ["90", "0"], training={})
    assert [row.score for row in exact.rows] == [0, 0]


def test_mean_of_categories_weighs_categories_equally() -> None:
    cases = [make_case(n, answers=["yes"], category="a" if n < 3 else "b") for n in range(4)]
    scored = score_words(cases, ["yes", "yes", "yes", "no"], training={})
    assert value(scored, "accuracy") == 0.75
    assert value(scored, "mean of categories") == 0.5
    assert value(scored, "accuracy: b") == 0


@pytest.mark.parametrize(
    ("text", "count"), [("7", 7), ("there are 12 cars", 12), ("3 or 4", 3), ("none", None), ("", None), ("007", 7)]
)
def test_counts_are_the_first_integer(text: str, count: int | None) -> None:
    assert parse_count(text) == count


def test_count_errors_keep_the_unparsed() -> None:
    cases = [make_case(n, answers=[target]) for n, target in enumerate(("3", "0", "5", "0"))]
    scored = score_counts(cases, ["3", "2", "many", "none"], training={})
    assert value(scored, "MAE") == (0 + 2 + 5 + 0) / 4
    assert value(scored, "exact") == 0.25
    assert value(scored, "unparsed") == 0.5


@pytest.mark.parametrize(
    ("output", "iou", "unparsed", "clipped"),
    [
        ("<box>[[0,0,500,1000]]</box>", 1.0, False, False),
        ("<box>[[0,0,1000,1000]]</box>", 0.5, False, False),
        ("<box>[[0,0,500,1000],[0,0,1,1]]</box>", 1.0, False, False),
        ("<box>[[600,0,700,9],[0,0,500,1000]]</box>", 0.0, False, False),
        ("<box>[[0,0,500,1400]]</box>", 1.0, False, True),
        ("<obb>[[250,500,500,500,-90]]</obb>", 1.0, False, False),
        ("here", 0.0, True, False),
        ("", 0.0, True, False),
        ("<box>[[0,0,5", 0.0, True, False),
    ],
)
def test_boxes_take_the_first_region_and_miss_without_one(
    output: str, iou: float, unparsed: bool, clipped: bool
) -> None:
    row = score_boxes([make_case(0, geometry=HBB(0, 0, 50, 50))], [output], training={}).rows[0]
    assert row.score == pytest.approx(iou, abs=1e-9)
    assert (row.unparsed, row.clipped) == (unparsed, clipped)


def test_an_iou_of_exactly_a_half_is_a_hit_and_misses_count() -> None:
    cases = [make_case(n, geometry=HBB(0, 0, 50, 50)) for n in range(2)]
    scored = score_boxes(cases, ["<box>[[0,0,1000,1000]]</box>", "no"], training={})
    assert value(scored, "Acc@.5") == 0.5
    assert value(scored, "mean IoU") == pytest.approx(0.25)


def test_oriented_boxes_are_compared_as_polygons() -> None:
    target = OBB(50, 25, 40, 10, 45)
    cases = [make_case(n, geometry=target) for n in range(2)]
    outputs = ["<obb>[[500,500,400,100,45]]</obb>", "<obb>[[500,500,400,100,-45]]</obb>"]
    rows = score_boxes(cases, outputs, training={}, kind="obb").rows
    assert rows[0].score == pytest.approx(1, abs=1e-6)
    assert rows[1].score == pytest.approx(100 / 700, abs=1e-6)


def test_change_masks_sum_pixels_over_all_pairs() -> None:
    left = Mask(np.ones((50, 50), bool), HBB(0, 0, 50, 50))
    cases = [make_case(n, geometry=left) for n in range(2)]
    scored = score_change_masks(cases, ["<box>[[0,0,1000,1000]]</box>", "none"], training={})
    assert value(scored, "F1") == pytest.approx(2 * 2500 / (2 * 2500 + 2500 + 2500))
    assert value(scored, "IoU") == pytest.approx(2500 / 7500)
    assert [row.unparsed for row in scored.rows] == [False, False]
