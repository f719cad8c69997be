"""Ranks in cross-modal retrieval, block by block: memory does not grow with the number of pairs.

A similarity matrix is given as a function of a row range, so that it may be an array on disk or a product of two sets
of embeddings. What ranks before the right item is counted instead of sorted, which is what makes it fast. Equal
similarities are the difference between the sources: AMFMN reverses an ascending argsort, so that the later index comes
first; clip_benchmark takes torch.topk, where the earlier one does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Block = Callable[[int, int], np.ndarray]
_VALUES = 1 << 18  # similarities compared at once, so that they stay in the cache


@dataclass(frozen=True, slots=True, eq=False)
class Ranks:
    """Hold for n queries how many others rank before the right one, (n,) integers; 0 is a hit at 1.

    `rank`: ties broken as the source does; `best` and `worst`: all for the right one, all against it.
    """

    rank: np.ndarray
    best: np.ndarray
    worst: np.ndarray


def rank_right(block: Block, right: Sequence[np.ndarray], columns: int, *, later_first: bool) -> Ranks:
    """Rank for each row the best of its right columns.

    `block(start, stop)` gives similarities (stop - start, columns), `right` the right columns of each row. A row
    without a right column, or with NaN for it, ranks last.
    """
    rows = max(1, _VALUES // max(1, columns))
    order = np.arange(columns)
    out = np.empty((3, len(right)), int)
    for start in range(0, len(right), rows):
        values = np.ascontiguousarray(block(start, min(start + rows, len(right))), np.float32)
        best, place, alike = _best_right(values, right[start : start + len(values)], later_first=later_first)
        ahead, equal = _count_rows(values > best[:, None]), values == best[:, None]
        level = _count_rows(equal)
        tied = np.flatnonzero(level > 1)
        before = order > place[tied, None] if later_first else order < place[tied, None]
        own = ahead.copy()
        own[tied] += _count_rows(equal[tied] & before)
        found = (own, ahead, ahead + level - alike)
        out[:, start : start + len(values)] = np.where(np.isfinite(best), found, columns)
    return Ranks(*out)


def rank_columns(matrix: np.ndarray, right: np.ndarray, *, later_first: bool) -> Ranks:
    """Rank for each column of a matrix (n, m) its only right row, right (m,); NaN ranks last.

    Equals rank_right of the transposed matrix, and reads the matrix in its own order.
    """
    rows, columns = matrix.shape
    best = np.asarray(matrix[right, np.arange(columns)], np.float32)
    ahead, equal = np.zeros(columns, int), np.zeros(columns, int)
    step = min(255, max(1, _VALUES // max(1, columns)))  # as many rows as a byte can count
    for start in range(0, rows, step):
        values = np.asarray(matrix[start : start + step], np.float32)
        ahead += np.add.reduce((values > best).view(np.uint8), axis=0, dtype=np.uint8)
        equal += np.add.reduce((values == best).view(np.uint8), axis=0, dtype=np.uint8)
    tied, own = np.flatnonzero(equal > 1), ahead.copy()
    own[tied] = rank_right(
        lambda start, stop: matrix[:, tied[start:stop]].T, [right[[place]] for place in tied], rows,
        later_first=later_first,
    ).rank  # fmt: skip
    return Ranks(*np.where(np.isnan(best), rows, (own, ahead, ahead + equal - 1)))


def block_of_matrix(matrix: np.ndarray) -> Block:
    """Read blocks of rows from a matrix, which may lie on disk."""
    return lambda start, stop: matrix[start:stop]


def block_of_embeddings(rows: np.ndarray, columns: np.ndarray) -> Block:
    """Multiply blocks of row embeddings (n, d) with column embeddings (m, d); both are normalised first."""
    rows, columns = normalise(rows), normalise(columns)
    return lambda start, stop: rows[start:stop] @ columns.T


def normalise(vectors: np.ndarray) -> np.ndarray:
    """Scale vectors (..., d) to length 1, as float32; zero vectors stay zero."""
    vectors = np.asarray(vectors, np.float32)
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)


def _count_rows(bits: np.ndarray) -> np.ndarray:
    """Count the set values of each row; row by row, because numpy's count along an axis converts to integers first."""
    return np.array([np.count_nonzero(row) for row in bits], int)


def _best_right(
    values: np.ndarray, right: Sequence[np.ndarray], *, later_first: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give each row's largest right similarity, its column (of equal ones the first in rank) and how many are equal."""
    counts = np.array([len(columns) for columns in right])
    row = np.repeat(np.arange(len(right)), counts)
    column = np.concatenate([np.asarray(columns, int) for columns in right]) if len(row) else np.zeros(0, int)
    own = values[row, column]
    row, column, own = (part[~np.isnan(own)] for part in (row, column, own))
    order = np.lexsort((-column if later_first else column, -own, row))
    row, column, own = row[order], column[order], own[order]
    first = np.unique(row, return_index=True)[1]
    best, place = np.full(len(right), np.nan, np.float32), np.zeros(len(right), int)
    best[row[first]], place[row[first]] = own[first], column[first]
    alike = np.bincount(row[own == best[row]], minlength=len(right))
    return best, place, alike
