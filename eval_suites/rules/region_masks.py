"""Referring and reasoning segmentation: RMSIN's rule, LISA's rule, and VisTA's over all pixels.

The same masks give different numbers: an empty union is a miss for RMSIN and a hit for LISA, RMSIN's steps include the
threshold and LISA's do not, and RMSIN's script measures on a grid of 480 x 480. So each is a protocol of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from eval_suites.measure import Measure
from eval_suites.readers.loaded import Loaded, Options
from eval_suites.readers.masks import MASK_FIELDS, read_masks
from eval_suites.rules.overlap import exceeds, reaches
from eval_suites.rules.pixels import count_set, lay_on, read_mask, resize_nearest, to_binary
from eval_suites.rules.rule import Rule, Scores
from eval_suites.rules.tables import group_by, mean_of, sum_ratio
from eval_suites.rules.ties import HIT, MISS, mean_ties, overlap_ties, that_matter
from eval_suites.scored import Row, Ties

STEPS = (0.5, 0.6, 0.7, 0.8, 0.9)
LISA_EPSILON = 1e-5
RMSIN_GRID = (480, 480)


@dataclass(frozen=True, slots=True, eq=False)
class Areas:
    """Hold pixel counts of n masks, (n,) each: common, united, found and wanted."""

    common: np.ndarray
    union: np.ndarray
    found: np.ndarray
    wanted: np.ndarray


def count_areas(loaded: Loaded, *, grid: tuple[int, int] | None = None) -> Areas:
    """Count the pixels of each pair; only one pair is in memory at a time, a missing prediction is empty.

    Pixels are the target's own, or those of a `grid` (rows, columns) to which both masks are resized.
    """
    counts = np.zeros((len(loaded.entries), 3))
    for place, entry in enumerate(loaded.entries):
        target = read_mask(entry.target, where=f"the target of {entry.id}")
        if target is None:
            continue
        said = read_mask(entry.prediction, where=f"the prediction of {entry.id}")
        wanted = to_binary(target)
        found = lay_on(None if said is None else to_binary(said), wanted.shape).astype(bool)
        if grid is not None:
            found, wanted = resize_nearest(found, grid), resize_nearest(wanted, grid)
        counts[place] = count_set(found, wanted)
    common, found_px, wanted_px = counts.T
    return Areas(common, found_px + wanted_px - common, found_px, wanted_px)


def score_rmsin(loaded: Loaded, options: Options, *, grid: tuple[int, int] | None = None) -> Scores:
    """Score mean and overall IoU and the share of masks at each step; an empty union is a miss."""
    del options
    areas = count_areas(loaded, grid=grid)
    iou = np.divide(areas.common, areas.union, out=np.zeros(len(areas.union)), where=areas.union > 0)
    measures = [mean_of("mIoU", iou), sum_ratio("oIoU", areas.common, areas.union)]
    measures += [mean_of(_step(step), reaches(iou, step)) for step in STEPS]
    tables = group_by(loaded.entries, lambda where: mean_of("mIoU", iou, where), title="mIoU")
    ties = _ties("mIoU", iou, areas.union == 0, empty="where both masks are empty IoU is 0", exact=HIT)
    return Scores(_rows(loaded, areas, iou), tuple(measures), tables, ties)


def score_lisa(loaded: Loaded, options: Options) -> Scores:
    """Score gIoU (the mean IoU, 1 for an empty union that was asked) and cIoU; steps are to be exceeded.

    A missing prediction for an empty target is no answer, and so a miss.
    """
    del options
    areas = count_areas(loaded)
    there = np.array([entry.prediction is not None for entry in loaded.entries], bool)
    iou = np.where(areas.union > 0, areas.common / (areas.union + LISA_EPSILON), there.astype(float))
    measures: list[Measure] = [mean_of("gIoU", iou), sum_ratio("cIoU", areas.common, areas.union)]
    measures += [mean_of(_step(step), exceeds(iou, step)) for step in STEPS]
    tables = group_by(loaded.entries, lambda where: mean_of("gIoU", iou, where), title="gIoU")
    ties = _ties("gIoU", iou, there & (areas.union == 0), empty="where both masks are empty IoU is 1", exact=MISS)
    return Scores(_rows(loaded, areas, iou), tuple(measures), tables, ties)


def _ties(name: str, iou: np.ndarray, blank: np.ndarray, *, empty: str, exact: str) -> tuple[Ties, ...]:
    """Count the pairs of empty masks, and the overlaps of exactly a step."""
    means = mean_ties(name, np.where(blank, 0.0, iou), np.where(blank, 1.0, iou), rule=empty)
    return that_matter(means, [overlap_ties(_step(step), iou, step, rule=exact) for step in STEPS])


def _step(step: float) -> str:
    return f"P@{step:g}".replace("0.", ".")


def _rows(loaded: Loaded, areas: Areas, iou: np.ndarray) -> tuple[Row, ...]:
    columns = (areas.found.tolist(), areas.wanted.tolist(), areas.common.tolist(), iou.tolist())
    return tuple(
        Row(
            f"{found:.0f} px",
            f"{wanted:.0f} px",
            value,
            f"IoU {value:.3f}, {common:.0f} px in common",
            unparsed=entry.prediction is None,
        )
        for entry, found, wanted, common, value in zip(loaded.entries, *columns, strict=True)
    )


_mask_rule = partial(Rule, fields=MASK_FIELDS, reader=read_masks)

RULES: tuple[Rule, ...] = (
    _mask_rule(
        suites=("rrsisd", "refsegrs", "risbench"),
        protocol="rmsin",
        source=(
            "Lsan2401/RMSIN test.py (LAVT): every sentence is one row; IoU is 0 where both masks are empty; mIoU, "
            "oIoU, P@.5 to .9 with >=; measured on the target's own pixels, where the source has 480 x 480 of them"
        ),
        headline="mIoU",
        score=score_rmsin,
        aliases=("lavt", "mIoU"),
    ),
    _mask_rule(
        suites=("rrsisd", "refsegrs", "risbench"),
        protocol="rmsin-480",
        source=(
            "Lsan2401/RMSIN test.py (LAVT) to the letter: both masks are resized to 480 x 480 by the nearest pixel and "
            "measured there as by rmsin"
        ),
        headline="mIoU",
        score=partial(score_rmsin, grid=RMSIN_GRID),
        aliases=("lavt-480", "resized"),
    ),
    _mask_rule(
        suites=("earthreason", "rrsisd", "refsegrs", "risbench"),
        protocol="lisa",
        source=(
            "earth-insights/SegEarth-R1 segearth_r1/eval_and_test/eval.py (LISA): gIoU is the mean of I / (U + 1e-5), "
            "1 where both masks are empty; cIoU the sum of I over that of U; P@ with >"
        ),
        headline="gIoU",
        score=score_lisa,
        aliases=("LISA gIoU/cIoU", "segearth", "segearth-r1", "gIoU"),
        oddity="an empty mask is right where the target is empty; IoU stays a hair below 1 by the 1e-5 of the source",
    ),
)
