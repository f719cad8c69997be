"""Baselines that never look: the majority answer, a constant count, random boxes and choices, everything changed.

Each gives the measures of its suite, so that it stands beside the model's number under the same name. The blind
baseline (the same model without the image) is a run of its own, see run.py.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from eval_suites.cases import Case
from eval_suites.images import frames
from eval_suites.measure import Measure
from eval_suites.models.fakes import say_random, targets_by_category, write_regions
from eval_suites.score_box import THRESHOLD, box_measures
from eval_suites.score_change import change_measures, count_pixels, draw_regions
from eval_suites.scored import Scorer, Training
from vlm.geometry import HBB, OBB, Geometry, iou_matrix
from vlm.records import Region

if TYPE_CHECKING:
    from eval_suites.rules.rule import Number

BLIND = "blind (the same model without the image)"
BOX_DRAWS = 400
SEED = 0


@dataclass(frozen=True, slots=True)
class Baseline:
    """Name a baseline and say how its measures come about: `measure(cases, training, scorer)`."""

    name: str
    measure: Callable[[Sequence[Case], Training, Scorer], Sequence[Measure | Number]]


def measure_majority(cases: Sequence[Case], training: Training, scorer: Scorer) -> Sequence[Measure | Number]:
    """Answer every case with the most frequent answer of its category in the training split."""
    overall: Counter[str] = sum((Counter(counts) for counts in training.values()), Counter())
    outputs = [_most_frequent(training.get(case.category) or overall) for case in cases]
    return scorer(cases, outputs, training=training, dialect="nadir").measures


def measure_median(cases: Sequence[Case], training: Training, scorer: Scorer) -> Sequence[Measure | Number]:
    """Answer every case with the median count of its category in the training split."""
    medians = {name: _median(counts) for name, counts in training.items()}
    outputs = [str(medians.get(case.category, 0)) for case in cases]
    return scorer(cases, outputs, training=training, dialect="nadir").measures


def measure_always_yes(cases: Sequence[Case], training: Training, scorer: Scorer) -> Sequence[Measure | Number]:
    """Answer every case with yes."""
    return scorer(cases, ["yes"] * len(cases), training=training, dialect="nadir").measures


def measure_random_boxes(cases: Sequence[Case], training: Training, scorer: Scorer) -> Sequence[Measure]:
    """Give the expected Acc@.5 and IoU of boxes whose two corners are uniform in the image."""
    del training, scorer
    return _expect(cases, _random_boxes)


def measure_random_obbs(cases: Sequence[Case], training: Training, scorer: Scorer) -> Sequence[Measure]:
    """Give the expected Acc@.5 and IoU of oriented boxes with uniform centre, sides up to the image's, and angle."""
    del training, scorer
    return _expect(cases, _random_obbs)


def measure_all_changed(cases: Sequence[Case], training: Training, scorer: Scorer) -> Sequence[Measure]:
    """Mark every pixel as changed."""
    del training, scorer
    targets = [draw_regions(case, case.regions) for case in cases]
    return change_measures([count_pixels(np.ones_like(target), target) for target in targets])


def measure_test_majority(cases: Sequence[Case], training: Training, scorer: Scorer) -> Sequence[Measure | Number]:
    """Answer every case with the most frequent answer of its category among the targets themselves."""
    found: dict[str, Counter[str]] = {}
    for case in cases:
        found.setdefault(case.category, Counter()).update(case.answers)
    outputs = [_most_frequent(found[case.category]) for case in cases]
    return scorer(cases, outputs, training=training, dialect="nadir").measures


def measure_test_median(cases: Sequence[Case], training: Training, scorer: Scorer) -> Sequence[Measure | Number]:
    """Answer every case with the median of its category's targets."""
    found: dict[str, Counter[str]] = {}
    for case in cases:
        found.setdefault(case.category, Counter())[case.target] += 1
    outputs = [str(_median(found[case.category])) for case in cases]
    return scorer(cases, outputs, training=training, dialect="nadir").measures


def measure_random(cases: Sequence[Case], training: Training, scorer: Scorer) -> Sequence[Measure | Number]:
    """Answer with a random choice, a random box, or the target of a random case of the category; one seeded draw."""
    targets = targets_by_category(cases)
    outputs = [say_random(case, "nadir", targets) for case in cases]
    return scorer(cases, outputs, training=training, dialect="nadir").measures


def measure_everything(cases: Sequence[Case], training: Training, scorer: Scorer) -> Sequence[Measure | Number]:
    """Mark the whole image."""
    outputs = []
    for case in cases:
        width, height = frames(case)[0]
        outputs.append(write_regions(case, [Region(HBB(0, 0, width, height))], "nadir"))
    return scorer(cases, outputs, training=training, dialect="nadir").measures


def measure_nothing(cases: Sequence[Case], training: Training, scorer: Scorer) -> Sequence[Measure | Number]:
    """Say that there is nothing."""
    return scorer(cases, ["none"] * len(cases), training=training, dialect="nadir").measures


def _most_frequent(counts: dict[str, int]) -> str:
    """Give the most frequent answer, of equals the first in the alphabet."""
    return min(counts, key=lambda answer: (-counts[answer], answer), default="")


def _median(counts: dict[str, int]) -> int:
    return statistics.median_low([int(answer) for answer, times in counts.items() for _ in range(times)])


def _expect(
    cases: Sequence[Case], draw: Callable[[np.random.Generator, int, int], Sequence[Geometry]]
) -> tuple[Measure, ...]:
    rng = np.random.default_rng(SEED)
    ious = [iou_matrix(draw(rng, *case.sizes[0]), [case.regions[0].geometry])[:, 0] for case in cases]
    hits = [float((values >= THRESHOLD).mean()) for values in ious]
    return box_measures(cases, [float(values.mean()) for values in ious], hits)


def _random_boxes(rng: np.random.Generator, width: int, height: int) -> list[Geometry]:
    corners = rng.uniform(0, 1, (BOX_DRAWS, 2, 2)) * (width, height)
    low, high = corners.min(axis=1), corners.max(axis=1)
    return [HBB(*map(float, row)) for row in np.concatenate((low, high), axis=1)]


def _random_obbs(rng: np.random.Generator, width: int, height: int) -> list[Geometry]:
    longest = max(width, height)
    rows = rng.uniform((0, 0, 0, 0, -90), (width, height, longest, longest, 90), (BOX_DRAWS, 5))
    return [OBB(*map(float, row)) for row in rows]


MAJORITY = Baseline("majority answer of the training split", measure_majority)
MEDIAN = Baseline("median count of the training split", measure_median)
ALWAYS_YES = Baseline("always yes", measure_always_yes)
RANDOM_BOX = Baseline("random box", measure_random_boxes)
RANDOM_OBB = Baseline("random oriented box", measure_random_obbs)
ALL_CHANGED = Baseline("everything changed", measure_all_changed)
COMMONEST_CAPTION = Baseline("commonest caption of the training split", measure_majority)
MAJORITY_OF_TEST = Baseline("majority answer of the test split itself", measure_test_majority)
MEDIAN_OF_TEST = Baseline("median of the test split itself", measure_test_median)
RANDOM = Baseline("random answer", measure_random)
EVERYTHING = Baseline("everything", measure_everything)
NOTHING = Baseline("nothing", measure_nothing)


def choose_majority(baselines: Sequence[Baseline], training: Training) -> tuple[Baseline, ...]:
    """Take the test split's majority where no training split is at hand, by a name that says so."""
    return tuple(MAJORITY_OF_TEST if one is MAJORITY and not training else one for one in baselines)
