"""The bootstrap: seeded, by groups, equal to textbook errors; paired gains."""

from __future__ import annotations

import math

import numpy as np
import pytest

from eval_suites.measure import build_macro_mean, build_mean, score_gain, score_measure


def test_same_seed_same_error_and_other_seed_another() -> None:
    measure = build_mean("m", list(np.random.default_rng(1).random(40)))
    groups = [str(index) for index in range(40)]
    assert score_measure(measure, groups) == score_measure(measure, groups)
    assert score_measure(measure, groups).standard_error != score_measure(measure, groups, seed=9).standard_error


def test_error_of_a_mean_is_the_textbook_one() -> None:
    values = np.random.default_rng(2).random(300)
    found = score_measure(build_mean("m", list(values)), [str(index) for index in range(300)], draws=4000)
    assert found.standard_error == pytest.approx(values.std() / math.sqrt(300), rel=0.06)


def test_questions_about_one_image_are_drawn_together() -> None:
    values = [float(index // 10 % 2) for index in range(200)]
    alone = score_measure(build_mean("m", values), [str(index) for index in range(200)])
    together = score_measure(build_mean("m", values), [str(index // 10) for index in range(200)])
    assert alone.standard_error is not None
    assert together.standard_error == pytest.approx(alone.standard_error * math.sqrt(10), rel=0.15)


def test_one_group_has_no_error() -> None:
    assert score_measure(build_mean("m", [0.0, 1.0]), ["a", "a"]).standard_error is None


def test_a_part_of_the_cases_says_its_n() -> None:
    found = score_measure(build_mean("m", [1.0, 0.0, 0.0], where=[True, True, False]), ["a", "b", "c"])
    assert (found.value, found.n) == (0.5, 2)


def test_nothing_counted_is_not_a_number() -> None:
    assert math.isnan(score_measure(build_mean("m", [1.0, 0.0], where=[False, False]), ["a", "b"]).value)


def test_gain_over_itself_is_nothing_without_error() -> None:
    values = list(np.random.default_rng(3).random(30))
    measure = build_macro_mean("m", values, ["a", "b", "c"] * 10)
    gain = score_gain(measure, measure, [str(index) for index in range(30)])
    assert (gain.value, gain.standard_error) == (0, pytest.approx(0, abs=1e-12))
