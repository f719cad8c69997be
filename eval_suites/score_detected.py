"""All objects of a class in an image: F1 at IoU 0.5 over all images, in pixels of the image.

Pairs of a found and a true box are taken by falling IoU, each box once; an IoU of 0.5 or more is right. Right, wrong
and missed boxes are summed over all images before the ratios are made. An answer without a region finds nothing, and
counts as unparsed unless it says "none".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eval_suites.cases import Case
from eval_suites.measure import Measure, ratio_or_zero
from eval_suites.score_box import THRESHOLD, parse_regions
from eval_suites.scored import Row, Scored, Training, score_rates
from vlm.geometry import Geometry, iou_matrix, to_hbb

NONE = "none"


def score_detected(
    cases: Sequence[Case], outputs: Sequence[str | None], *, training: Training, dialect: str = "nadir"
) -> Scored:
    """Give F1, precision and recall at IoU 0.5, and F1 by class; a row's score is its own F1, 1 for a right "none"."""
    del training
    rows, counts = [], []
    for case, output in zip(cases, outputs, strict=True):
        parsed = parse_regions(case, output or "", dialect)
        found = [to_hbb(region.geometry) for region in parsed.regions]
        targets = [to_hbb(region.geometry) for region in case.regions]
        right = count_right(found, targets)
        extra, missed = len(found) - right, len(targets) - right
        unparsed = not found and (output or "").strip().lower().rstrip(".") != NONE
        score = 2 * right / (2 * right + extra + missed) if found or targets else float(not unparsed)
        clipped = any(issue.kind == "clipped" for issue in parsed.issues)
        words = f"{right} right, {extra} wrong, {missed} missed"
        rows.append(Row(f"{len(found)} boxes", f"{len(targets)} boxes", score, words, unparsed, clipped))
        counts.append((right, extra, missed))
    numbers = np.asarray(counts, float).reshape(-1, 3)
    tables = {"F1@.5 by class": by_class(cases, numbers)} if len({case.category for case in cases}) > 1 else {}
    return Scored(tuple(rows), (*detection_measures(numbers), *score_rates(rows, geometry=True)), tables)


def count_right(found: Sequence[Geometry], targets: Sequence[Geometry]) -> int:
    """Count the pairs of IoU THRESHOLD or more, by falling IoU, each found and each true box in one pair at most."""
    overlap = iou_matrix(found, targets).reshape(len(found), len(targets)).copy()
    right = 0
    while overlap.size and overlap.max() >= THRESHOLD:
        row, column = np.unravel_index(int(overlap.argmax()), overlap.shape)
        overlap[row, :], overlap[:, column] = 0, 0
        right += 1
    return right


def detection_measures(counts_N3: np.ndarray) -> tuple[Measure, Measure, Measure]:
    """Build F1, precision and recall from right, wrong and missed boxes of each case; 0 where nothing counts."""
    right, extra, missed = counts_N3.T
    pairs = {
        "F1@.5": (2 * right, 2 * right + extra + missed),
        "precision@.5": (right, right + extra),
        "recall@.5": (right, right + missed),
    }
    one, two, three = (Measure(name, np.stack(pair, axis=1), ratio_or_zero) for name, pair in pairs.items())
    return one, two, three


def by_class(cases: Sequence[Case], counts_N3: np.ndarray) -> dict[str, Measure]:
    """Build F1 of each class."""
    found = {}
    for label in sorted({case.category for case in cases}):
        chosen = np.asarray([case.category == label for case in cases], float)[:, None]
        found[label] = detection_measures(counts_N3 * chosen)[0]
    return found
