"""Measures that many rules share: ratios of sums, and one measure for each group of rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from eval_suites.measure import Measure, ratio, ratio_or_zero
from eval_suites.readers.loaded import Entry, text_of

GROUP_FIELDS = ("size_group", "unique", "obj_count")


def mean_of(name: str, values: np.ndarray, where: np.ndarray | None = None) -> Measure:
    """Build the mean of one value a row, over the rows `where` is true; 0 where it never is."""
    chosen = np.ones(len(values)) if where is None else where.astype(float)
    parts = np.stack((np.where(chosen > 0, values, 0.0), chosen), axis=1)
    return Measure(name, parts, ratio if chosen.any() else ratio_or_zero)


def sum_ratio(name: str, top: np.ndarray, bottom: np.ndarray) -> Measure:
    """Build the sum of one number a row over the sum of another; 0 where there is nothing to divide by."""
    parts = np.stack((np.asarray(top, float), np.asarray(bottom, float)), axis=1)
    return Measure(name, parts, ratio_or_zero)


def group_by(
    entries: Sequence[Entry], build: Callable[[np.ndarray], Measure], *, title: str
) -> Mapping[str, Mapping[str, Measure]]:
    """Build one measure for each value of the category and of the fields that group rows, where there are several."""
    columns = {"category": [entry.category for entry in entries]}
    columns |= {name: [_value(entry, name) for entry in entries] for name in GROUP_FIELDS}
    tables = {}
    for name, values in columns.items():
        known = sorted(set(values) - {""})
        if len(known) > 1:
            tables[f"{title} by {name.replace('_', ' ')}"] = {
                one: build(np.array([value == one for value in values])) for one in known
            }
    return tables


def _value(entry: Entry, name: str) -> str:
    return text_of(entry.values.get(name)).strip().lower()
