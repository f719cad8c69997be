"""Grounding by oriented boxes: EarthDial's precision, one-to-one F1, generalised REC, and one box per answer.

EarthDial's rule is about predicted boxes, not about questions: a row without a box costs nothing, several boxes on one
object all count, and only boxes of plain digits inside square brackets exist, on both sides. The one-to-one F1 beside
it reads signed numbers and pairs each box with one object at most.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from eval_suites.readers.loaded import Entry, Field, Loaded, Options, text_of
from eval_suites.rules.overlap import clockwise, divide, exceeds, match_quads, overlap_quads, reaches
from eval_suites.rules.rule import Rule, Scores
from eval_suites.rules.shape_values import (
    SIZE_FIELDS,
    Numbers,
    payload,
    quads_of,
    read_dialect_quads,
    read_shapes,
    require_size,
)
from eval_suites.rules.tables import group_by, mean_of, sum_ratio
from eval_suites.rules.ties import HIT, overlap_ties, that_matter
from eval_suites.scored import Row, Ties

DIGITS = re.compile(r"\[\s*(\d+(?:,\s*\d+)*)\s*\]")
GEOCHAT = re.compile(r"\{<")
BOX_NUMBERS = 5
BOX_LENGTHS = (4, 5, 8)


@dataclass(frozen=True, slots=True, eq=False)
class Sets:
    """Hold the boxes of all rows in flat arrays: row index (n,) and corners (n, 4, 2), of found and wanted ones."""

    found_rows: np.ndarray
    found: np.ndarray
    wanted_rows: np.ndarray
    wanted: np.ndarray
    rows: int

    def count_found(self) -> np.ndarray:
        """Count the found boxes of each row."""
        return np.bincount(self.found_rows, minlength=self.rows)

    def count_wanted(self) -> np.ndarray:
        """Count the wanted boxes of each row."""
        return np.bincount(self.wanted_rows, minlength=self.rows)


def score_earthdial(loaded: Loaded, options: Options, *, threshold: float = 0.5, flat: bool = False) -> Scores:
    """Score the share of predicted boxes that lie on an object, in EarthDial's reading of both texts.

    `flat` leaves the angle of predicted boxes out (its xBD script). Predicted boxes of another length than five
    numbers are wrong. The one-to-one F1 of the signed reading stands beside.
    """
    entries = loaded.entries
    said = [_digit_boxes(payload(entry.prediction, options)) for entry in entries]
    wanted = [_digit_boxes(entry.target) for entry in entries]
    five = [[(*box[:4], 0.0) if flat else box for box in boxes if len(box) == BOX_NUMBERS] for boxes in said]
    sets = _collect(five, [[box for box in boxes if len(box) == BOX_NUMBERS] for boxes in wanted])
    i, _, iou = match_quads(sets.found, sets.found_rows, sets.wanted, sets.wanted_rows, threshold=threshold)
    hits = np.bincount(sets.found_rows[np.unique(i)], minlength=sets.rows)
    predicted = np.array([len(boxes) for boxes in said])
    single = np.array([len(boxes) == 1 for boxes in wanted], bool)
    tables = dict(
        group_by(entries, lambda where: sum_ratio("precision", hits * where, predicted * where), title="precision")
    )
    tables["precision by number of objects"] = {
        name: sum_ratio("precision", hits * where, predicted * where)
        for name, where in (("single", single), ("multiple", ~single))
    }
    one_to_one = score_one_to_one(loaded, options, threshold=threshold)
    measures = (sum_ratio("precision", hits, predicted), *one_to_one.measures)
    rows = tuple(
        Row(
            f"{count} boxes",
            f"{len(boxes)} boxes",
            hit / count if count else 0.0,
            f"{hit} of {count} boxes on an object",
            not count,
        )
        for hit, count, boxes in zip(hits.tolist(), predicted.tolist(), wanted, strict=True)
    )
    sure, total = len(np.unique(i[exceeds(iou, threshold)])), max(1, int(predicted.sum()))
    ties = Ties("precision", HIT, int(hits.sum()) - sure, sure / total, float(hits.sum()) / total)
    return Scores(rows, measures, tables, (ties,))


def score_one_to_one(loaded: Loaded, options: Options, *, threshold: float = 0.5) -> Scores:
    """Score F1 over all boxes of all rows, each box paired with one object at most, as many pairs as possible."""
    sets = read_sets(loaded, options)
    i, j, iou = match_quads(sets.found, sets.found_rows, sets.wanted, sets.wanted_rows, threshold=threshold)
    paired = _most_pairs(i, j, len(sets.found), len(sets.wanted))
    right = np.bincount(sets.found_rows[paired], minlength=sets.rows)
    above = exceeds(iou, threshold)
    sure = paired if above.all() else _most_pairs(i[above], j[above], len(sets.found), len(sets.wanted))
    found, wanted = sets.count_found(), sets.count_wanted()
    measures = (
        sum_ratio("F1", 2 * right, found + wanted),
        sum_ratio("precision, one to one", right, found),
        sum_ratio("recall, one to one", right, wanted),
    )
    tables = group_by(
        loaded.entries, lambda where: sum_ratio("F1", 2 * right * where, (found + wanted) * where), title="F1"
    )
    total = max(1, len(sets.found) + len(sets.wanted))
    ties = Ties("F1", HIT, len(paired) - len(sure), 2 * len(sure) / total, 2 * len(paired) / total)
    return Scores(_f1_rows(right, found, wanted), measures, tables, (ties,))


def score_grec(loaded: Loaded, options: Options) -> Scores:
    """Score the share of rows whose boxes all pair with all objects, by RSCoVLM's greedy matching on GIoU >= 0.5."""
    sets = read_sets(loaded, options)
    i, j, _ = match_quads(sets.found, sets.found_rows, sets.wanted, sets.wanted_rows, threshold=0.5)
    giou = generalised_iou(sets.found[i], sets.wanted[j])
    right = np.bincount(sets.found_rows[_greedy_pairs(i, j, giou)], minlength=sets.rows)
    found, wanted = sets.count_found(), sets.count_wanted()
    perfect = (right == found) & (right == wanted)
    tables = dict(group_by(loaded.entries, lambda where: mean_of("F1=1", perfect, where=where), title="F1=1"))
    single = wanted == 1
    tables["F1=1 by number of objects"] = {
        "single": mean_of("F1=1", perfect, where=single),
        "multiple": mean_of("F1=1", perfect, where=~single),
    }
    measures = (mean_of("F1=1", perfect), sum_ratio("F1", 2 * right, found + wanted))
    return Scores(_f1_rows(right, found, wanted), measures, tables)


def score_obb(loaded: Loaded, options: Options) -> Scores:
    """Score the first oriented box of each answer against the object's polygon: Acc@.5, Acc@.7 and mean IoU."""
    entries = loaded.entries
    said = [read_answer(entry, options)[:1] for entry in entries]
    found = quads_of([shapes[0] if shapes else () for shapes in said])
    wanted = quads_of([next(iter(read_shapes(entry.target)), ()) for entry in entries])
    iou = overlap_quads(by_angle(found), by_angle(wanted)).iou
    hits = {f"Acc@{name}": reaches(iou, step) for name, step in ((".5", 0.5), (".7", 0.7))}
    measures = tuple(mean_of(name, hit) for name, hit in hits.items())
    tables = group_by(entries, lambda where: mean_of("Acc@.5", hits["Acc@.5"], where=where), title="Acc@.5")
    rows = tuple(
        Row(text_of(shapes), text_of(entry.target), float(value), f"IoU {value:.3f}", unparsed=not shapes)
        for entry, shapes, value in zip(entries, said, iou, strict=True)
    )
    half, more = (overlap_ties(f"Acc@.{tenths}", iou, tenths / 10, rule=HIT) for tenths in (5, 7))
    return Scores(rows, (*measures, mean_of("mIoU", iou)), tables, that_matter(half, [more]))


def read_sets(loaded: Loaded, options: Options) -> Sets:
    """Read all boxes of predictions and targets: signed numbers in lists or GeoChat's braces, or a dialect's text."""
    return _collect(
        [read_answer(entry, options) for entry in loaded.entries],
        [read_shapes(entry.target) for entry in loaded.entries],
    )


def read_answer(entry: Entry, options: Options) -> list[Numbers]:
    """Give the boxes in an answer as 4, 5 or 8 numbers each."""
    said = payload(entry.prediction, options)
    if options.dialect and isinstance(said, str):
        return read_dialect_quads(said, require_size(entry, options), options.dialect)
    return [shape for shape in read_shapes(said) if len(shape) in BOX_LENGTHS]


def generalised_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Give the GIoU of p pairs of quadrilaterals: IoU less the share of the common hull that neither covers."""
    import shapely

    overlap = overlap_quads(first, second)
    points = np.concatenate([first, second], axis=1).reshape(-1, 2)
    hulls = shapely.convex_hull(shapely.multipoints(points, indices=np.repeat(np.arange(len(first)), 8)))
    area = shapely.area(hulls) if len(first) else np.zeros(0)
    giou: np.ndarray = overlap.iou - divide(area - overlap.union, area)
    return giou


def by_angle(quads: np.ndarray) -> np.ndarray:
    """Put the corners of quadrilaterals in the order of their angle about their mean, so that no sides cross."""
    around = quads - quads.mean(axis=1, keepdims=True)
    order = np.argsort(np.arctan2(around[..., 1], around[..., 0]), axis=1, kind="stable")
    return clockwise(np.take_along_axis(quads, order[..., None], axis=1))


def _digit_boxes(value: Any) -> list[Numbers]:
    """Read the lists of whole numbers in square brackets, as EarthDial does: a list with a minus sign is none.

    GeoChat's own braces, and numbers that are no text, are written in that form first.
    """
    text = value if isinstance(value, str) else json.dumps(_whole(value)) if value is not None else ""
    if GEOCHAT.search(text) and not DIGITS.search(text):
        text = json.dumps([_whole(shape) for shape in read_shapes(text)])
    return [tuple(float(number) for number in found.split(",")) for found in DIGITS.findall(text)]


def _whole(value: Any) -> Any:
    """Write floats that are whole numbers as such, so that a JSON reader's 5.0 is EarthDial's 5."""
    if isinstance(value, list | tuple | np.ndarray):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _collect(found: list[list[Numbers]], wanted: list[list[Numbers]]) -> Sets:
    rows = [np.repeat(np.arange(len(sets)), [len(shapes) for shapes in sets]) for sets in (found, wanted)]
    flat = [quads_of([shape for shapes in sets for shape in shapes]) for sets in (found, wanted)]
    return Sets(rows[0], flat[0], rows[1], flat[1], len(found))


def _most_pairs(i: np.ndarray, j: np.ndarray, found: int, wanted: int) -> np.ndarray:
    """Give the found boxes of a largest set of pairs in which nobody occurs twice (Hopcroft and Karp, 1973)."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    if not len(i):
        return np.zeros(0, int)
    chosen = maximum_bipartite_matching(csr_array((np.ones(len(i)), (i, j)), shape=(found, wanted)), "column")
    return np.flatnonzero(chosen >= 0)


def _greedy_pairs(i: np.ndarray, j: np.ndarray, giou: np.ndarray) -> np.ndarray:
    """Give the found boxes that are paired when the best pair of all is taken again and again, down to 0.5."""
    order = np.lexsort((j, i, -giou))
    taken_i, taken_j = set(), set()
    for place in order[reaches(giou[order], 0.5)].tolist():
        if i[place] not in taken_i and j[place] not in taken_j:
            taken_i.add(i[place])
            taken_j.add(j[place])
    return np.array(sorted(taken_i), int)


def _f1_rows(right: np.ndarray, found: np.ndarray, wanted: np.ndarray) -> tuple[Row, ...]:
    return tuple(
        Row(f"{n} boxes", f"{m} boxes", 2 * k / (n + m) if n + m else 1.0, f"{k} pairs of {n} boxes and {m} objects",
            unparsed=not n)
        for k, n, m in zip(right.tolist(), found.tolist(), wanted.tolist(), strict=True)
    )  # fmt: skip


_FIELDS = (
    Field("target", ("gt_bbox", "ground_truth", "obj_corner", "gt", "poly")),
    Field("size_group", ("size_group",)),
    *SIZE_FIELDS,
)
_NO_BOX = "the denominator is the number of predicted boxes: a row without one costs nothing, no box at all is 0"

_XBD_SOURCE = (
    "hiyamdebary/EarthDial src/earthdial/eval/rs_change_detection/eval_detection.py: hits over predicted boxes at "
    "polygon IoU >= 0.25, the predicted angle left out"
)
_XBD_FIELDS = (Field("target", ("caption0", "gt_bbox", "ground_truth", "gt_boxes")), *_FIELDS[1:])
_score_xbd = partial(score_earthdial, threshold=0.25, flat=True)

RULES: tuple[Rule, ...] = (
    Rule(
        suites=("geochat-refer",),
        protocol="earthdial",
        source=(
            "hiyamdebary/EarthDial src/earthdial/eval/rs_detection/eval.py: polygon IoU >= 0.5 of [x1, y1, x2, y2, "
            "degrees] boxes, whole numbers in square brackets only; hits over predicted boxes, each once, several may "
            "lie on one object; rows with other than one readable object are `multiple`; one-to-one F1 beside"
        ),
        headline="precision",
        score=score_earthdial,
        fields=_FIELDS,
        aliases=("EarthDial precision AND one-to-one F1", "earthdial precision", "precision"),
        oddity=_NO_BOX,
    ),
    Rule(
        suites=("geochat-refer",),
        protocol="one-to-one",
        source="F1 over all boxes, polygon IoU >= 0.5, each box paired with one object at most",
        headline="F1",
        score=score_one_to_one,
        fields=_FIELDS,
        aliases=("one-to-one F1", "F1"),
    ),
    Rule(
        suites=("geochat-refer",),
        protocol="grec",
        source=(
            "VisionXLab/RSCoVLM eval/metric/metric.py: generalised REC, greedy matching on GIoU >= 0.5, a row is "
            "right if and only if its F1 is 1"
        ),
        headline="F1=1",
        score=score_grec,
        fields=_FIELDS,
        aliases=("grec(F1=1)", "rscovlm"),
    ),
    Rule(
        suites=("xbd",),
        protocol="earthdial",
        source=_XBD_SOURCE,
        headline="precision",
        score=_score_xbd,
        fields=_XBD_FIELDS,
        aliases=("precision", "xbd precision"),
        oddity=_NO_BOX,
    ),
    Rule(
        suites=("geochat-refer",),
        protocol="xbd",
        source=_XBD_SOURCE,
        headline="precision",
        score=_score_xbd,
        fields=_XBD_FIELDS,
        aliases=("xbd precision",),
        oddity=_NO_BOX,
    ),
)
