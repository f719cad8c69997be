"""The suites of a user's own labels, whose cases `nadir finetune` writes of the ground that it held out."""

from __future__ import annotations

from typing import Final

from eval_suites.baselines import EVERYTHING, MAJORITY, MEDIAN, RANDOM, RANDOM_BOX
from eval_suites.score_box import build_box_scorer
from eval_suites.score_change import score_change_masks
from eval_suites.score_count import score_counts
from eval_suites.score_detected import score_detected
from eval_suites.suites.suite import Suite

LABELLED: Final[dict[str, Suite]] = {
    suite.name: suite
    for suite in (
        Suite("labels-detect", "Your labels, all objects of a class",
              "pairs by falling IoU, each box once, IoU >= 0.5 is right; summed over all windows", "F1@.5", 384,
              score_detected, (RANDOM,)),
        Suite("labels-ground", "Your labels, one object by class, position or size",
              "first region of the answer, IoU >= 0.5 in pixels of the image, no region is a miss", "Acc@.5", 48,
              build_box_scorer("box"), (RANDOM_BOX,)),
        Suite("labels-count", "Your labels, counts", "first integer of the answer; none is wrong and counts as 0",
              "MAE", 8, score_counts, (MEDIAN, MAJORITY), lower_is_better=True),
        Suite("labels-mask", "Your labels, the mask of a class", "pixels of all windows, summed", "IoU", 256,
              score_change_masks, (EVERYTHING,)),
    )
}  # fmt: skip
