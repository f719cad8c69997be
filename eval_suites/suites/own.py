"""The suites of the public sample data, whose cases data_engine.cases writes; docs/scores.md is made of them."""

from __future__ import annotations

from typing import Final

from eval_suites.baselines import (
    ALL_CHANGED,
    ALWAYS_YES,
    COMMONEST_CAPTION,
    MAJORITY,
    MEDIAN,
    RANDOM_BOX,
    RANDOM_OBB,
)
from eval_suites.score_box import build_box_scorer
from eval_suites.score_caption import score_captions
from eval_suites.score_change import score_change_masks
from eval_suites.score_count import score_counts
from eval_suites.score_words import build_word_scorer
from eval_suites.suites.suite import Suite

ONE_IMAGE: Final = ("flip", "turn", "brightness", "jpeg", "shift")
TWO_DATES: Final = ("swap", *ONE_IMAGE)
_EXACT = "exact match after lower-casing and stripping"
_BOX = "first region of the answer, IoU >= 0.5 in pixels of the image, no region is a miss"

SUITES: Final[dict[str, Suite]] = {
    suite.name: suite
    for suite in (
        Suite("rsicd-scene", "RSICD, scene out of 30 themes", f"{_EXACT}; themes of RSIVQA", "accuracy", 8,
              build_word_scorer(), (MAJORITY,), probes=ONE_IMAGE),
        Suite("rsicd-caption", "RSICD, captions", "pycocoevalcap: PTB tokenizer, CIDEr-D (0..10) and corpus "
              "BLEU against all references", "CIDEr", 40, score_captions, (COMMONEST_CAPTION,),
              running=False, probes=ONE_IMAGE),
        Suite("hit-uav-ground", "HIT-UAV, the only object of its class", _BOX, "Acc@.5", 48,
              build_box_scorer("box"), (RANDOM_BOX,), probes=ONE_IMAGE),
        Suite("hit-uav-unique", "HIT-UAV, objects unique by class, position or size", _BOX, "Acc@.5", 48,
              build_box_scorer("box"), (RANDOM_BOX,), probes=ONE_IMAGE),
        Suite("hit-uav-obb", "HIT-UAV, the only object of its class, oriented", f"{_BOX}; polygon IoU", "Acc@.5", 48,
              build_box_scorer("obb"), (RANDOM_OBB,), probes=ONE_IMAGE),
        Suite("hit-uav-count", "HIT-UAV, counts, classes that are there and one that is not",
              "first integer of the answer; none is wrong and counts as 0", "MAE", 8, score_counts,
              (MEDIAN, MAJORITY), lower_is_better=True, probes=ONE_IMAGE),
        Suite("rsvqa-lr", "RSVQA LR (Sentinel-2)", f"{_EXACT}; counts in RSVQA's five classes", "accuracy", 8,
              build_word_scorer(classed=frozenset({"count"})), (MAJORITY,), probes=ONE_IMAGE),
        Suite("rsvqa-hr", "RSVQA HR (aerial)", f"{_EXACT}; areas in RSVQA's five classes, counts as numbers",
              "accuracy", 8, build_word_scorer(classed=frozenset({"area"})), (MAJORITY,),
              probes=ONE_IMAGE),
        Suite("levir-change", "LEVIR-CD, has anything changed", f"{_EXACT}; as many yes as no", "accuracy", 8,
              build_word_scorer(), (ALWAYS_YES,), probes=TWO_DATES),
        Suite("levir-change-mask", "LEVIR-CD, changed pixels", "pixel-global F1 over all pairs", "F1", 256,
              score_change_masks, (ALL_CHANGED,), probes=TWO_DATES),
    )
}  # fmt: skip
