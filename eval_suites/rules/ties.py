"""Ties: where a rule must break one, how many rows stand on it, and how far the measure could move.

An overlap of exactly the threshold, an answer that names several letters, two captions of one similarity, masks that
are both empty: published code breaks each in its own way, often by accident. A score says beside itself what it would
be if every tie were broken against the answers (`lowest`) and for them (`highest`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eval_suites.readers.loaded import Loaded, Options, text_of
from eval_suites.rules.judged import read_text
from eval_suites.rules.letters import named_letters
from eval_suites.rules.overlap import TIE
from eval_suites.scored import Row, Ties

HIT = "an overlap of exactly the threshold is a hit (>=)"
MISS = "an overlap of exactly the threshold is a miss (>)"
_NEAR = 1e-5  # what float32 makes of boxes that are small beside their image


def overlap_ties(name: str, iou: np.ndarray, threshold: float, *, rule: str, where: np.ndarray | None = None) -> Ties:
    """Count the overlaps (n,) that are the threshold but for rounding, among the rows `where` is true."""
    values = iou if where is None else iou[where]
    tie = _NEAR if values.dtype == np.float32 else TIE
    above, reached = values > threshold + tie, values >= threshold - tie
    return mean_ties(name, above, reached, rule=rule)


def mean_ties(name: str, lowest: np.ndarray, highest: np.ndarray, *, rule: str) -> Ties:
    """Build the ties of a mean over rows from each row's value at both ends."""
    ends = [float(np.mean(values)) if len(values) else 0.0 for values in (lowest, highest)]
    return Ties(name, rule, int(np.count_nonzero(lowest != highest)), *ends)


def letter_ties(name: str, loaded: Loaded, rows: Sequence[Row], options: Options, *, rule: str) -> Ties:
    """Count the answers that name several letters where one is right; wrong at one end, right at the other."""
    lowest, highest = (np.array([row.score for row in rows], float) for _ in range(2))
    for place, entry in enumerate(loaded.entries):
        target = named_letters(text_of(entry.target))
        said = named_letters(read_text(entry, options) or "")
        if len(said) > 1 and len(target) == 1:
            lowest[place], highest[place] = 0.0, max(highest[place], float(target <= said))
    return mean_ties(name, lowest, highest, rule=rule)


def that_matter(headline: Ties, others: Sequence[Ties]) -> tuple[Ties, ...]:
    """Give the headline's ties, also where there are none, and those of other measures where there are some."""
    return (headline, *(one for one in others if one.n))
