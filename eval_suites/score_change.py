"""Change masks: pixel-global precision and recall over all pairs, as F1 and IoU of the class "changed".

Averages per image would be wrong (ChangeFormer's metric_tool sums one confusion matrix). All regions of an answer are
laid over the image's own pixels; text without a region says that nothing changed, and counts as unparsed unless it
says "none".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eval_suites.cases import Case
from eval_suites.measure import Measure
from eval_suites.score_box import parse_regions
from eval_suites.scored import Row, Scored, Training, score_rates
from vlm.geometry import HBB, to_mask
from vlm.records import Region


def score_change_masks(
    cases: Sequence[Case], outputs: Sequence[str | None], *, training: Training, dialect: str = "nadir"
) -> Scored:
    """Give F1 and IoU of the changed pixels; a row's score is its own F1."""
    del training
    rows, counts = [], []
    for case, output in zip(cases, outputs, strict=True):
        said = output or ""
        parsed = parse_regions(case, said, dialect)
        counted = count_pixels(draw_regions(case, parsed.regions), draw_regions(case, case.regions))
        clipped = any(issue.kind == "clipped" for issue in parsed.issues)
        unparsed = not parsed.regions and said.strip().lower() != "none"
        true, extra, missed = counted
        words = f"{true} px right, {extra} px too much, {missed} px missed"
        score = 2 * true / max(1, 2 * true + extra + missed)
        rows.append(
            Row(f"{len(parsed.regions)} regions", f"{true + missed} px changed", score, words, unparsed, clipped)
        )
        counts.append(counted)
    return Scored(tuple(rows), (*change_measures(counts), *score_rates(rows, geometry=True)))


def draw_regions(case: Case, regions: Sequence[Region]) -> np.ndarray:
    """Draw regions as a boolean array (height, width) in the pixels of the case's first image."""
    width, height = case.sizes[0]
    drawn = np.zeros((height, width), bool)
    for region in regions:
        drawn |= to_mask(region.geometry, box=HBB(0, 0, width, height), rows=height, cols=width).bits
    return drawn


def count_pixels(found: np.ndarray, target: np.ndarray) -> tuple[int, int, int]:
    """Count the pixels that are right, too much and missed."""
    return int((found & target).sum()), int((found & ~target).sum()), int((~found & target).sum())


def change_measures(counts: Sequence[tuple[int, int, int]]) -> tuple[Measure, Measure]:
    """Build F1 and IoU from the three pixel counts of each case; 0 where nothing is right."""
    parts = np.asarray(counts, float).reshape(-1, 3)
    return Measure("F1", parts, _f1), Measure("IoU", parts, _iou)


def _f1(sums: np.ndarray) -> np.ndarray:
    value: np.ndarray = 2 * sums[..., 0] / np.maximum(1, 2 * sums[..., 0] + sums[..., 1] + sums[..., 2])
    return value


def _iou(sums: np.ndarray) -> np.ndarray:
    value: np.ndarray = sums[..., 0] / np.maximum(1, sums.sum(axis=-1))
    return value
