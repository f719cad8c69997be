"""What rules for text share: the payload of an answer, one verdict per entry, and accuracy over all and by category.

A missing prediction is judged here, before any rule sees it: it is wrong, also where a rule takes empty text as right.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eval_suites.measure import Measure, build_macro_mean, build_mean
from eval_suites.readers.loaded import Entry, Loaded, Options, text_of
from eval_suites.rules.rule import Number, Scores
from eval_suites.scored import Row, score_rates

ANSWER = re.compile(r"<answer>(.*?)(?:</answer>|\Z)", re.DOTALL | re.IGNORECASE)
THOUGHT = re.compile(r"\A.*</think>", re.DOTALL | re.IGNORECASE)
NO_PREDICTION = "no prediction: counts as wrong"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Hold how an answer is judged: score 0..1, what was read from it, why, and whether nothing could be read."""

    score: float
    parsed: str
    why: str
    unparsed: bool = False


Decide = Callable[[str, Entry], Verdict]


def payload(text: str) -> str:
    """Give the text of the last <answer>, else what stands behind </think>, else the text as it is."""
    found = ANSWER.findall(text)
    return found[-1].strip() if found else THOUGHT.sub("", text).lstrip() if "</think>" in text.lower() else text


def read_text(entry: Entry, options: Options) -> str | None:
    """Give a prediction as text, its payload unless the raw text is asked for; none where it is missing."""
    if entry.prediction is None:
        return None
    text = text_of(entry.prediction)
    return text if options.raw else payload(text)


def judge_entries(loaded: Loaded, options: Options, decide: Decide) -> tuple[Row, ...]:
    """Judge every entry; a missing prediction is wrong."""
    return tuple(_judge(entry, read_text(entry, options), decide) for entry in loaded.entries)


def score_accuracy(
    loaded: Loaded, rows: Sequence[Row], *, by: str = "type", name: str = "accuracy", macro: str = "mean of types"
) -> Scores:
    """Give the mean of the rows' scores, its mean over categories where there are several, and a table of them."""
    values, categories = [row.score for row in rows], [entry.category for entry in loaded.entries]
    measures: list[Measure | Number] = [build_mean(name, values)]
    tables: dict[str, Mapping[str, Measure | Number]] = {}
    if len(set(categories)) > 1:
        measures.append(build_macro_mean(macro, values, categories))
        tables[f"{name} by {by}"] = tabulate(values, categories)
    return Scores(tuple(rows), (*measures, *score_rates(rows)), tables)


def tabulate(values: Sequence[float], categories: Sequence[str]) -> dict[str, Measure | Number]:
    """Give the mean of the values of each category, in the order of their names."""
    return {
        name or "(none)": build_mean(name, values, where=[category == name for category in categories])
        for name in sorted(set(categories))
    }


def build_fixed_macro(
    name: str, values: Sequence[float], categories: Sequence[str], known: Sequence[str], *, epsilon: float = 0.0
) -> Measure:
    """Build the mean over fixed categories of value / (number + epsilon); one that no row has counts as 0."""
    chosen = np.asarray([[category == one for one in known] for category in categories], float).reshape(-1, len(known))
    parts = np.concatenate((chosen * np.asarray(values, float)[:, None], chosen), axis=1)

    def combine(sums: np.ndarray) -> np.ndarray:
        top, bottom = sums[..., : len(known)], sums[..., len(known) :]
        means = np.divide(top, bottom + epsilon, out=np.zeros_like(top), where=bottom > 0)
        mean: np.ndarray = means.mean(axis=-1)
        return mean

    return Measure(name, parts, combine)


def _judge(entry: Entry, text: str | None, decide: Decide) -> Row:
    target = text_of(entry.target)
    if text is None:
        return Row("", target, 0.0, NO_PREDICTION, unparsed=True)
    verdict = decide(text, entry)
    return Row(verdict.parsed, target, verdict.score, verdict.why, verdict.unparsed)
