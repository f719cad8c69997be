"""Measures: a number over a set of cases, with a standard error from a bootstrap that draws whole groups.

Every measure is a function of sums: `parts` has a row for each case (N, K), and `combine` turns the column sums (...,
K) into the number. A mean is sum / count, a corpus F1 or BLEU is a longer formula of the same kind. So one matrix
product gives every bootstrap draw. Groups are images (or pairs of dates): questions about one image are not
independent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 1000
SEED = 0
MOST_WEIGHTS = 4_000_000
Numbers = Sequence[float] | np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Measure:
    """Hold what a number is made of: parts (N, K), one row a case, and the formula on their column sums."""

    name: str
    parts: np.ndarray
    combine: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, slots=True)
class Value:
    """Hold a number, its standard error (None for a single group) and the number of cases it is about."""

    value: float
    standard_error: float | None
    n: int


def build_mean(name: str, values: Numbers, *, where: Sequence[bool] | np.ndarray | None = None) -> Measure:
    """Build the mean of one value per case, over the cases `where` is true."""
    chosen = np.ones(len(values)) if where is None else np.asarray(where, float)
    return Measure(name, np.stack((np.asarray(values, float) * chosen, chosen), axis=1), ratio)


def build_macro_mean(name: str, values: Numbers, categories: Sequence[str]) -> Measure:
    """Build the mean over categories of each category's mean."""
    known = sorted(set(categories))
    chosen = np.asarray([[category == other for other in known] for category in categories], float)
    parts = np.concatenate((chosen * np.asarray(values, float)[:, None], chosen), axis=1)

    def combine(sums: np.ndarray) -> np.ndarray:
        top, bottom = sums[..., : len(known)], sums[..., len(known) :]
        means = np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom > 0)
        there = np.maximum(1, (bottom > 0).sum(axis=-1))
        total: np.ndarray = np.nansum(means, axis=-1) / there
        return total

    return Measure(name, parts, combine)


def ratio(sums: np.ndarray) -> np.ndarray:
    """Divide the first sum by the second; NaN where nothing was counted."""
    top, bottom = sums[..., 0], sums[..., 1]
    return np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom > 0)


def ratio_or_zero(sums: np.ndarray) -> np.ndarray:
    """Divide the first sum by the second; 0 where nothing was counted."""
    top, bottom = sums[..., 0], sums[..., 1]
    return np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)


def row_shares(measure: object, rows: int) -> list[tuple[float, float] | None]:
    """Give what each of the rows adds to the two sums of a ratio, such as (1, 1) for a hit; None for other formulas."""
    if not isinstance(measure, Measure) or measure.combine not in (ratio, ratio_or_zero):
        return [None] * rows
    return [(float(top), float(bottom)) for top, bottom in measure.parts]


def score_measure(measure: Measure, groups: Sequence[str], *, draws: int = DRAWS, seed: int = SEED) -> Value:
    """Give a measure's number (NaN for no cases) and the standard deviation of `draws` seeded draws of groups."""
    return score_measures([measure], groups, draws=draws, seed=seed)[0]


def score_measures(
    measures: Sequence[Measure], groups: Sequence[str], *, draws: int = DRAWS, seed: int = SEED
) -> list[Value]:
    """Give several measures of the same cases with one set of draws; memory stays flat in their number of groups."""
    numbers = {group: index for index, group in enumerate(dict.fromkeys(groups))}
    parts = np.concatenate([measure.parts for measure in measures], axis=1) if measures else np.zeros((len(groups), 0))
    sums = np.zeros((len(numbers), parts.shape[1]))
    np.add.at(sums, [numbers[group] for group in groups], parts)
    drawn = np.concatenate(list(_draw_sums(sums, draws, seed))) if len(numbers) > 1 else None
    values, first = [], 0
    for measure in measures:
        columns = slice(first, first := first + measure.parts.shape[1])
        value = float(measure.combine(sums[:, columns].sum(axis=0)))
        n = round(float(measure.parts[:, -1].sum())) if measure.combine is ratio else len(measure.parts)
        spread = None if drawn is None or not np.isfinite(value) else np.nanstd(measure.combine(drawn[:, columns]))
        values.append(Value(value, None if spread is None else float(spread), n))
    return values


def _draw_sums(sums: np.ndarray, draws: int, seed: int) -> Iterator[np.ndarray]:
    """Yield the column sums (block, K) of seeded draws of groups, as many as there are, with replacement."""
    generator, groups = np.random.default_rng(seed), len(sums)
    block = max(1, MOST_WEIGHTS // groups)
    for start in range(0, draws, block):
        count = min(block, draws - start)
        drawn = generator.integers(groups, size=(count, groups)) + groups * np.arange(count)[:, None]
        yield np.bincount(drawn.ravel(), minlength=count * groups).reshape(count, groups) @ sums


def score_gain(
    measure: Measure, other: Measure, groups: Sequence[str], *, draws: int = DRAWS, seed: int = SEED
) -> Value:
    """Give how much a measure exceeds another one of the same cases, with the error of paired bootstrap draws."""
    both = Measure(
        f"{measure.name} minus {other.name}",
        np.concatenate((measure.parts, other.parts), axis=1),
        lambda sums: (
            measure.combine(sums[..., : measure.parts.shape[1]]) - other.combine(sums[..., measure.parts.shape[1] :])
        ),
    )
    return score_measure(both, groups, draws=draws, seed=seed)
