"""VLEO-Bench: counts as the first integer of an answer whose number words were replaced, refusals told apart.

Earth-Intelligence-Lab/vleo-bench @bc5ff150 src/utils/counting.py: zero to ten are replaced even inside words ("none"
becomes n1, that is 1); an answer without a number is a refusal, -1. MAE, MAPE and R2 (squared correlation) count it as
0, and stand again without refusals. Rows whose target is no number (classes, letters) are compared as words.
"""

from __future__ import annotations

import re
from typing import Any, Final

import numpy as np

from eval_suites.measure import Measure, build_mean
from eval_suites.readers.loaded import Entry, Field, Loaded, Options, text_of
from eval_suites.rules.judged import NO_PREDICTION, read_text, tabulate
from eval_suites.rules.matches import match_exact
from eval_suites.rules.rule import Number, Rule, Scores
from eval_suites.scored import Row, score_rates

WORDS: Final = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
REFUSAL: Final = -1
TINY: Final = np.finfo(np.float64).eps
DIGITS = re.compile(r"\d+")
TARGET = Field("target", ("count", "true_count"))
PREDICTION = Field("prediction", ("response", "prediction", "output"))


def parse_count(text: str) -> int:
    """Read the first integer of a text after replacing number words; -1 without one."""
    text = text.strip().lower()
    for number, word in enumerate(WORDS):
        text = text.replace(word, str(number))
    match = DIGITS.search(text)
    return int(match[0]) if match else REFUSAL


def score_counting(loaded: Loaded, options: Options) -> Scores:
    """Give MAE, MAPE and R2 with and without refusals, the refusal rate, and accuracy."""
    counts = [_number(entry.target) for entry in loaded.entries]
    said = [_said(entry, options) for entry in loaded.entries]
    rows = tuple(
        _row(entry, options, count, number) for entry, count, number in zip(loaded.entries, counts, said, strict=True)
    )
    counted = np.array([count is not None for count in counts])
    true = np.array([count or 0 for count in counts], float)
    answered = counted & (np.array(said) != REFUSAL)
    found = np.maximum(np.array(said, float), 0)
    values = [row.score for row in rows]
    measures: list[Measure | Number] = []
    if counted.any():
        measures += [*_errors(true, found, counted, ""), *_errors(true, found, answered, " without refusals")]
        measures.append(build_mean("refusal rate", np.array(said) == REFUSAL, where=counted))
    measures += [build_mean("accuracy", values), *score_rates(rows)]
    categories = [entry.category for entry in loaded.entries]
    return Scores(rows, tuple(measures), {"accuracy by task": tabulate(values, categories)})


def _errors(true: np.ndarray, found: np.ndarray, where: np.ndarray, suffix: str) -> list[Measure]:
    error = np.abs(true - found)
    sums = np.stack((true, found, true**2, found**2, true * found, np.ones(len(true))), axis=1)
    return [
        build_mean(f"MAE{suffix}", error, where=where),
        build_mean(f"MAPE{suffix}", error / np.maximum(true, TINY), where=where),
        Measure(f"R2{suffix}", sums * where[:, None], _squared_correlation),
    ]


def _squared_correlation(sums: np.ndarray) -> np.ndarray:
    x, y, xx, yy, xy, n = np.moveaxis(sums, -1, 0)
    spread = (n * xx - x**2) * (n * yy - y**2)
    value: np.ndarray = np.divide((n * xy - x * y) ** 2, spread, out=np.full_like(spread, np.nan), where=spread > 0)
    return value


def _number(target: Any) -> int | None:
    text = text_of(target).strip()
    return int(float(text)) if re.fullmatch(r"\d+(\.0+)?", text) else None


def _said(entry: Entry, options: Options) -> int:
    text = read_text(entry, options)
    return REFUSAL if text is None else parse_count(text)


def _row(entry: Entry, options: Options, count: int | None, said: int) -> Row:
    text, target = read_text(entry, options), text_of(entry.target)
    if text is None:
        return Row("", target, 0.0, NO_PREDICTION, unparsed=True)
    if count is None:
        score = match_exact(target, text)
        return Row(text.strip(), target, score, "equal" if score else "not equal")
    refused = said == REFUSAL
    why = "no number: a refusal, taken as 0" if refused else f"off by {abs(said - count)}"
    return Row("" if refused else str(said), target, float(said == count), why, refused)


RULES: Final = (
    Rule(
        ("vleo",),
        "counting",
        "Earth-Intelligence-Lab/vleo-bench @bc5ff150 src/utils/counting.py: first integer, number words replaced; with "
        "and without refusals",
        "MAE",
        score_counting,
        (PREDICTION, TARGET),
        aliases=("official", "count", "vleo"),
        errors=("MAE", "MAPE", "MAE without refusals", "MAPE without refusals", "refusal rate"),
        best=0.0,
    ),
)
