"""Overlaps of many shapes at once equal shapely's one by one; box rules treat ties and misses as their sources do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from eval_suites.measure import Measure, score_measure
from eval_suites.readers.loaded import Entry, Loaded, Options
from eval_suites.rules import boxes, refgeo
from eval_suites.rules.overlap import (
    exceeds,
    match_quads,
    overlap_boxes,
    overlap_quads,
    pairs_that_may_meet,
    reaches,
    rectangles,
    turned_quads,
)
from eval_suites.rules.rule import Rule, Scores
from eval_suites.rules.shape_values import read_box, read_shapes, size_of
from vlm.errors import DataError
from vlm.geometry import OBB


def load(*rows: tuple[Any, Any], **values: Any) -> Loaded:
    """Make entries of (prediction, target) pairs, an image each."""
    return Loaded(tuple(Entry(str(n), f"image {n}", *row, values=values) for n, row in enumerate(rows)))


def numbers(scores: Scores) -> dict[str, float]:
    """Give the measures' numbers by name."""
    groups = [str(n) for n in range(len(scores.rows))]
    return {m.name: score_measure(m, groups, draws=2).value for m in scores.measures if isinstance(m, Measure)}


def rule(rules: tuple[Rule, ...], suite: str, protocol: str) -> Rule:
    return next(one for one in rules if suite in one.suites and one.protocol == protocol)


def turned(draw_count: int, seed: int) -> np.ndarray:
    low, high = (0, 0, 5, 5, -90), (60, 60, 40, 30, 90)
    rows = np.random.default_rng(seed).uniform(low, high, (draw_count, 5)).tolist()
    return np.array([OBB(*row).corners() for row in rows])


@settings(max_examples=15)
@given(st.integers(0, 10**6))
def test_overlap_of_quads_is_shapelys(seed: int) -> None:
    first, second = turned(12, seed), turned(12, seed + 1)
    second = second[:, ::-1]  # the direction of the corners must not matter
    ours = overlap_quads(first, second).iou
    for a, b, value in zip(map(shapely.Polygon, first), map(shapely.Polygon, second), ours, strict=True):
        assert value == pytest.approx(a.intersection(b).area / a.union(b).area, abs=1e-9)


def test_matches_are_those_of_all_pairs_of_a_group() -> None:
    first, second = turned(40, 3), turned(50, 4)
    rows, columns = np.arange(40) % 4, np.arange(50) % 5
    i, j, iou = match_quads(first, rows, second, columns, threshold=0.3)
    every = {
        (a, b): overlap_quads(first[a : a + 1], second[b : b + 1]).iou[0]
        for a in range(40)
        for b in range(50)
        if rows[a] == columns[b]
    }
    expected = {pair: value for pair, value in every.items() if value >= 0.3}
    assert expected and dict(zip(zip(i.tolist(), j.tolist(), strict=True), iou, strict=True)) == pytest.approx(expected)


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(0, 12), st.integers(0, 12))
def test_every_pair_of_a_group_that_meets_is_looked_at(seed: int, rows: int, columns: int) -> None:
    generator = np.random.default_rng(seed)
    first, second = (
        np.sort(generator.integers(-20, 20, (count, 2, 2)) * 1.0, axis=1).reshape(-1, 4) for count in (rows, columns)
    )
    groups = generator.integers(0, 4, rows), generator.integers(1, 6, columns)
    found = [
        pair for i, j in pairs_that_may_meet(first, groups[0], second, groups[1]) for pair in zip(i, j, strict=True)
    ]
    assert len(found) == len(set(found)) and all(groups[0][i] == groups[1][j] for i, j in found)
    meeting = {
        (i, j)
        for i in range(rows)
        for j in range(columns)
        if groups[0][i] == groups[1][j]
        and (np.minimum(first[i, 2:], second[j, 2:]) > np.maximum(first[i, :2], second[j, :2])).all()
    }
    assert meeting <= set(found)


def test_nothing_matches_nothing() -> None:
    none = match_quads(np.zeros((0, 4, 2)), np.zeros(0, int), turned(2, 0), np.zeros(2, int), threshold=0.5)
    assert not any(len(part) for part in none)


def test_smallest_rectangle_of_a_rectangle_is_itself() -> None:
    quads = turned(20, 5)
    assert overlap_quads(rectangles(quads), quads).iou == pytest.approx(1, abs=1e-4)


def test_geochats_turn_is_counter_clockwise_on_the_screen() -> None:
    (corners,) = turned_quads(np.array([[0, 0, 4, 2, 90]]))
    assert np.allclose(corners, [[1, 3], [1, -1], [3, -1], [3, 3]])


def test_a_tie_reaches_the_threshold_and_does_not_exceed_it() -> None:
    half = overlap_boxes(np.array([[0, 0, 10, 10.0]]), np.array([[0, 0, 10, 5.0]])).iou
    shifted = half - 1e-12
    assert reaches(shifted, 0.5).all() and not exceeds(half + 1e-12, 0.5).any()


@pytest.mark.parametrize(
    ("value", "shapes"),
    [
        ("[[83, 58, 87, 62, 37]]", [(83, 58, 87, 62, 37)]),
        ("[[1,2,3,4,5]][[-2,3,4,5,6]]", [(1, 2, 3, 4, 5), (-2, 3, 4, 5, 6)]),
        ("<p>a ship</p> {<25><40><33><60>|<90>}", [(25, 40, 33, 60, 90)]),
        ('```json\n[{"bbox_2d": [1, 2, 3, 4], "label": "7 ships"}]\n```', [(1, 2, 3, 4)]),
        ('{"bbox": [1, 2, 3, 4]}', [(1, 2, 3, 4)]),
        ("from (10,20) to (30,40)", [(10, 20, 30, 40)]),
        ("10,20,30,40 ship", [(10, 20, 30, 40)]),
        ([[1, 2], [3, 2], [3, 4], [1, 4]], [(1, 2, 3, 2, 3, 4, 1, 4)]),
        (np.array([[1.0, 2, 3, 4]]), [(1, 2, 3, 4)]),
        ({"x1": 1, "y1": 2, "x2": 3, "y2": 4}, [(1, 2, 3, 4)]),
        ("3 ships", []),
        ("", []),
        (None, []),
        ([float("nan")] * 4, []),
    ],
)
def test_shapes_are_read_as_files_hold_them(value: Any, shapes: list[tuple[float, ...]]) -> None:
    assert read_shapes(value) == shapes


def test_a_box_is_read_around_a_polygon() -> None:
    assert read_box([[1, 5], [3, 2], [3, 4], [0, 4]]) == (0, 2, 3, 5)


def test_vrsbench_adds_one_on_its_grid_and_keeps_what_it_cannot_read() -> None:
    official = rule(boxes.RULES, "vrsbench-ref", "official")
    rows = load(("{<0><0><9><9>}", "{<0><0><9><4>}"), ("no idea", "{<0><0><9><9>}"))
    scores = numbers(official.score(rows, Options()))
    assert scores["Acc@.5"] == 0.5, "10 x 5 of 10 x 10 cells are a tie, the second row is a miss"
    assert scores["meanIoU"] == 0.25 and scores["cumIoU"] == 0.5


def test_lpva_decides_a_tie_in_float32_and_the_exact_rule_as_a_hit() -> None:
    rows = load(((0, 0, 10, 10), (0, 0, 10, 5)), ((7, 3, 17, 9), (7, 3, 17, 6)))
    exact = numbers(rule(boxes.RULES, "dior-rsvg", "exact").score(rows, Options()))
    lpva = numbers(rule(boxes.RULES, "dior-rsvg", "lpva").score(rows, Options()))
    assert exact["Pr@.5"] == 1.0 and lpva["Pr@.5"] <= 1.0
    assert lpva["meanIoU"] == pytest.approx(exact["meanIoU"], abs=1e-6)


def test_lpva_clamps_predictions_to_the_image() -> None:
    lpva = rule(boxes.RULES, "dior-rsvg", "lpva")
    assert numbers(lpva.score(load(((700, 0, 1600, 800), (700, 0, 800, 800))), Options()))["meanIoU"] == pytest.approx(
        1
    )


def test_rscovlm_wants_more_than_half_and_more_than_a_pixel() -> None:
    rscovlm = rule(boxes.RULES, "refgeo", "rscovlm")
    rows = load(((0, 0, 10, 10), (0, 0, 10, 5)), ((0, 0, 1, 9), (0, 0, 1, 9)), ((0, 0, 9, 9), (0, 0, 9, 9)))
    assert numbers(rscovlm.score(rows, Options()))["Acc@.5"] == pytest.approx(1 / 3)


def test_vleo_scores_what_was_answered_and_counts_the_rest() -> None:
    vleo = rule(boxes.RULES, "vleo", "vleo-grounding")
    scores = numbers(vleo.score(load(((0, 0, 9, 9), (0, 0, 9, 9)), ("I cannot", (0, 0, 9, 9))), Options()))
    assert scores["Pr@.5"] == 1.0 and scores["refusals"] == 0.5
    assert numbers(vleo.score(load((None, (0, 0, 9, 9))), Options()))["Pr@.5"] == 0.0


def test_refgeo_scores_polygons_beside_boxes() -> None:
    poly = [[0, 0], [10, 0], [10, 10], [0, 10]]
    scored = refgeo.score_refgeo(load(([0, 0, 10, 10], [0, 0, 10, 10]), poly=poly), Options())
    assert numbers(scored)["Acc@.5"] == 1.0 and numbers(scored)["Acc@.5 OBB"] == 1.0


def test_text_in_a_dialect_is_compared_in_pixels() -> None:
    qwen = '[{"bbox_2d": [100, 100, 500, 500], "label": "ship"}]'
    rows = load((qwen, [80, 80, 400, 400]))
    scores = numbers(rule(boxes.RULES, "dior-rsvg", "lpva").score(rows, Options(dialect="qwen3")))
    assert scores["meanIoU"] == pytest.approx(1, abs=1e-5)
    with pytest.raises(DataError, match="image_size"):
        rule(boxes.RULES, "xlrs", "grounding").score(rows, Options(dialect="qwen3"))


@pytest.mark.parametrize("values", [{"size": [400, 200]}, {"size": "400 x 200"}, {"width": 400, "height": "200"}])
def test_the_size_of_an_image_is_read_as_rows_hold_it(values: dict[str, Any]) -> None:
    assert size_of(Entry("1", "1", None, None, values=values)) == (400, 200)
    assert size_of(Entry("1", "1", None, None), (8, 9)) == (8, 9)


def test_an_answer_counts_without_its_thoughts() -> None:
    text = "<think>[0, 0, 1, 1]</think><answer>[0, 0, 9, 9]</answer>"
    exact = rule(boxes.RULES, "dior-rsvg", "exact")
    assert numbers(exact.score(load((text, [0, 0, 9, 9])), Options()))["Pr@.5"] == 1.0
    assert numbers(exact.score(load((text, [0, 0, 9, 9])), Options(raw=True)))["Pr@.5"] == 0.0
