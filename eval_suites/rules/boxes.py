"""Grounding by one horizontal box: the rules of VRSBench, LPVA (DIOR-RSVG, OPT-RSVG), RSCoVLM, refGeo and VLEO-Bench.

They differ in what a width is (VRSBench adds one), in float32 or exact arithmetic, and in what an overlap of exactly
the threshold is; each is a `BoxProtocol` here. A row without a readable box is a miss and stays in the denominator,
except where the source counts answered rows only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from eval_suites.measure import Measure
from eval_suites.readers.loaded import Entry, Field, Loaded, Options
from eval_suites.rules.overlap import Overlap, divide, exceeds, overlap_boxes, reaches
from eval_suites.rules.rule import Rule, Scores
from eval_suites.rules.shape_values import (
    SIZE_FIELDS,
    Numbers,
    Size,
    payload,
    read_box,
    read_dialect_boxes,
    require_size,
    size_of,
)
from eval_suites.rules.tables import group_by, mean_of, sum_ratio
from eval_suites.rules.ties import HIT, MISS, overlap_ties, that_matter
from eval_suites.scored import Row
from vlm.errors import DataError

DIOR_SIZE = (800, 800)
VRSBENCH_SIZE = (512, 512)
LETTERBOX = 800.0  # the side that stands for an unknown image
MISSING: Numbers = (0.0, 0.0, 0.0, 0.0)
Read = Callable[[Entry, Options], tuple[Numbers | None, Numbers]]


@dataclass(frozen=True, slots=True)
class BoxProtocol:
    """State how boxes are read and measured: read(entry, options), overlap(found, target, sizes), hit(iou, threshold).

    `prefix` names the hits (`Acc@`, `Pr@`). `cumulate_misses`: whether a miss adds the target's area to the united
    area of cumIoU. `answered`: rows without a box leave every denominator, and their share is the refusal rate.
    """

    read: Read
    overlap: Callable[[np.ndarray, np.ndarray, np.ndarray], Overlap]
    hit: Callable[[np.ndarray, float], np.ndarray]
    thresholds: tuple[float, ...]
    prefix: str = "Acc@"
    usual: Size | None = None
    cumulate_misses: bool = True
    answered: bool = False


def score_boxes(loaded: Loaded, options: Options, *, protocol: BoxProtocol) -> Scores:
    """Score one box a row by a protocol: hits at each threshold, mean and cumulative IoU, tables of the first hit."""
    entries = loaded.entries
    pairs = [protocol.read(entry, options) for entry in entries]
    there = np.array([found is not None for found, _ in pairs], bool)
    found = np.array([found or MISSING for found, _ in pairs], float).reshape(-1, 4)
    target = np.array([wanted for _, wanted in pairs], float).reshape(-1, 4)
    sizes = np.array([size_of(entry, protocol.usual) or (0, 0) for entry in entries], float).reshape(-1, 2)
    overlap = protocol.overlap(found, target, sizes)
    iou = np.where(there, overlap.iou, 0.0)
    where = there if protocol.answered else np.ones(len(entries), bool)
    hits = {_name(protocol, step): protocol.hit(overlap.iou, step) & there for step in protocol.thresholds}
    measures = [mean_of(name, hit, where=where) for name, hit in hits.items()]
    measures += [mean_of("meanIoU", iou, where=where), _cumulative(overlap, there, target, protocol)]
    if protocol.answered:
        measures.append(mean_of("refusals", ~there))
    first = next(iter(hits))
    tables = group_by(entries, lambda where: mean_of(first, hits[first], where=where), title=first)
    ties = [
        overlap_ties(name, np.where(there, overlap.iou, 0), step, rule=TIE_RULES[protocol.hit], where=where)
        for name, step in zip(hits, protocol.thresholds, strict=True)
    ]
    return Scores(_rows(found, target, there, iou), tuple(measures), tables, that_matter(ties[0], ties[1:]))


def read_plain(entry: Entry, options: Options, *, usual: Size | None = None) -> tuple[Numbers | None, Numbers]:
    """Read the first box of prediction and target; text in a dialect becomes pixels of the image."""
    wanted = read_box(entry.target)
    if wanted is None:
        raise DataError(f"row {entry.id} has the target {str(entry.target)[:60]!r}: expected a box x1, y1, x2, y2")
    said = payload(entry.prediction, options)
    if options.dialect and isinstance(said, str):
        boxes = read_dialect_boxes(said, require_size(entry, options, usual), options.dialect)
        return (boxes[0] if boxes else None), wanted
    return read_box(said), wanted


def read_hundredths(entry: Entry, options: Options) -> tuple[Numbers | None, Numbers]:
    """Read VRSBench's boxes: the first four whole numbers of the text, hundredths of the image's sides.

    Text in a dialect becomes pixels and then int(100 x / side), as the benchmark wrote its targets.
    """
    wanted = _whole_numbers(entry.target)
    if wanted is None:
        raise DataError(f"row {entry.id} has the target {str(entry.target)[:60]!r}: expected {{<x1><y1><x2><y2>}}")
    said = payload(entry.prediction, options)
    if options.dialect and isinstance(said, str):
        width, height = require_size(entry, options, VRSBENCH_SIZE)
        boxes = read_dialect_boxes(said, (width, height), options.dialect)
        sides = (width, height) * 2
        return (tuple(float(int(100 * x / side)) for x, side in zip(boxes[0], sides, strict=True)), wanted) if boxes \
            else (None, wanted)  # fmt: skip
    return _whole_numbers(said), wanted


def overlap_plus_one(found: np.ndarray, target: np.ndarray, sizes: np.ndarray) -> Overlap:
    """Measure as VRSBench's computeIoU: every width and height is one larger, on the grid of hundredths."""
    del sizes
    return overlap_boxes(found, target, added=1.0)


def overlap_exact(found: np.ndarray, target: np.ndarray, sizes: np.ndarray) -> Overlap:
    """Measure in float64, without an added pixel."""
    del sizes
    return overlap_boxes(found, target)


def overlap_letterboxed(found: np.ndarray, target: np.ndarray, sizes: np.ndarray) -> Overlap:
    """Measure as LPVA: both boxes in a square frame of side 1, as centre and size in float32, predictions clamped.

    The frame is the image with margins to a square; where the image's size is unknown, nothing is clamped.
    """
    known = sizes.max(axis=1, initial=0) > 0
    side = np.where(known, sizes.max(axis=1, initial=0), LETTERBOX)[:, None]
    margin = np.where(known[:, None], (side - sizes) / 2, 0.0)
    boxes = [_through_float32((box + np.tile(margin, 2)) / side) for box in (found, target)]
    first = np.where(known[:, None], np.clip(boxes[0], np.float32(0), np.float32(1)), boxes[0])
    second = boxes[1]
    span = np.clip(np.minimum(first[:, 2:], second[:, 2:]) - np.maximum(first[:, :2], second[:, :2]), 0, None)
    common = span[:, 0] * span[:, 1]
    areas = [(box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1]) for box in (first, second)]
    union = areas[0] + areas[1] - common
    return Overlap(common / (union + np.float32(1e-16)), common, union)


def overlap_shortened(found: np.ndarray, target: np.ndarray, sizes: np.ndarray) -> Overlap:
    """Measure as RSCoVLM and VLM-R1: no common area where the common box is one pixel wide or high, or less.

    The source takes one off the common right and bottom edges, asks whether anything is left, and adds it again.
    """
    del sizes
    low, high = np.maximum(found[:, :2], target[:, :2]), np.minimum(found[:, 2:], target[:, 2:])
    common = np.where((high - 1 > low).all(axis=1), (high - low).prod(axis=1), 0.0)
    areas = [(box[:, 2:] - box[:, :2]).prod(axis=1) for box in (found, target)]
    union = areas[0] + areas[1] - common
    return Overlap(divide(common, union), common, union)


def at_least(iou: np.ndarray, threshold: float) -> np.ndarray:
    """Compare as the source does, float32 with float32 where the overlaps are: no tie rule."""
    return iou >= iou.dtype.type(threshold)


def _through_float32(boxes: np.ndarray) -> np.ndarray:
    """Give boxes as they come back from centre and size in float32."""
    centre = ((boxes[:, :2] + boxes[:, 2:]) / 2).astype(np.float32)
    half = np.float32(0.5) * (boxes[:, 2:] - boxes[:, :2]).astype(np.float32)
    return np.concatenate([centre - half, centre + half], axis=1)


def _whole_numbers(value: object) -> Numbers | None:
    """Give the first four runs of digits of a text, or the whole part of the numbers of a list."""
    if value is None:
        return None
    if isinstance(value, str):
        digits = re.findall(r"\d+", value)
        return tuple(float(number) for number in digits[:4]) if len(digits) >= 4 else None
    box = read_box(value)
    return None if box is None else tuple(float(int(number)) for number in box)


def _cumulative(overlap: Overlap, there: np.ndarray, target: np.ndarray, protocol: BoxProtocol) -> Measure:
    """Build cumIoU: the sum of common areas over the sum of united ones."""
    missed = np.zeros(len(target))
    if protocol.cumulate_misses and not protocol.answered:
        blank = protocol.overlap(np.zeros_like(target), target, np.zeros((len(target), 2)))
        missed = blank.union
    common, union = np.where(there, overlap.common, 0.0), np.where(there, overlap.union, missed)
    return sum_ratio("cumIoU", common, union)


def _name(protocol: BoxProtocol, threshold: float) -> str:
    return f"{protocol.prefix}{threshold:g}".replace("@0.", "@.")


def _rows(found: np.ndarray, target: np.ndarray, there: np.ndarray, iou: np.ndarray) -> tuple[Row, ...]:
    return tuple(
        Row(
            _text(box) if seen else "",
            _text(wanted),
            float(value),
            f"IoU {value:.3f}" if seen else "no box in the answer",
            unparsed=not seen,
        )
        for box, wanted, seen, value in zip(found, target, there, iou, strict=True)
    )


def _text(box: Sequence[float]) -> str:
    return ", ".join(f"{number:g}" for number in box)


TIE_RULES: dict[Callable[[np.ndarray, float], np.ndarray], str] = {
    reaches: HIT,
    exceeds: MISS,
    at_least: "float32 decides an overlap within 1e-5 of the threshold (>=)",
}
VRSBENCH = BoxProtocol(
    read_hundredths, overlap_plus_one, reaches, (0.5, 0.7), usual=VRSBENCH_SIZE, cumulate_misses=False
)
STEPS = (0.5, 0.6, 0.7, 0.8, 0.9)
LPVA = BoxProtocol(read_plain, overlap_letterboxed, at_least, STEPS, prefix="Pr@")
LPVA_DIOR = BoxProtocol(
    partial(read_plain, usual=DIOR_SIZE), overlap_letterboxed, at_least, STEPS, prefix="Pr@", usual=DIOR_SIZE
)
EXACT = BoxProtocol(partial(read_plain, usual=DIOR_SIZE), overlap_exact, reaches, STEPS, prefix="Pr@")
RSCOVLM = BoxProtocol(partial(read_plain, usual=DIOR_SIZE), overlap_shortened, exceeds, (0.5,))
VLEO = BoxProtocol(partial(read_plain, usual=DIOR_SIZE), overlap_exact, exceeds, (0.5,), prefix="Pr@", answered=True)
XLRS = BoxProtocol(read_plain, overlap_exact, reaches, (0.5, 0.7))
BOX_TARGET = Field("target", ("bbox", "gt_bbox", "ground_truth", "hbox", "hbb", "gt", "solution", "answer_bbox"))
GROUPS = (Field("size_group", ("size_group", "size_type")), Field("unique", ("unique", "is_unique")))
_LPVA_SOURCE = (
    "like413/OPT-RSVG (LPVA) utils/eval_utils.py: boxes as centre and size in a square frame, float32, predictions "
    "clamped to it, no added pixel, IoU >= 0.5 ... 0.9; float32 decides exact ties"
)

RULES: tuple[Rule, ...] = (
    Rule(
        suites=("vrsbench-ref",),
        protocol="official",
        source="lx709/VRSBench eval_fianl/eval_utils.py: first four whole numbers, +1 on the grid of hundredths, >=",
        headline="Acc@.5",
        score=partial(score_boxes, protocol=VRSBENCH),
        fields=(Field("target", ("ground_truth", "gt")), *GROUPS, *SIZE_FIELDS),
        aliases=("vrsbench", "plus-one", "official; vqa rule-only + judge hook"),
    ),
    Rule(
        suites=("dior-rsvg",),
        protocol="lpva",
        source=_LPVA_SOURCE,
        headline="Pr@.5",
        score=partial(score_boxes, protocol=LPVA_DIOR),
        fields=(BOX_TARGET, *GROUPS, *SIZE_FIELDS),
        aliases=("LPVA Pr@.5-.9, meanIoU, cumIoU", "transvg"),
    ),
    Rule(
        suites=("opt-rsvg",),
        protocol="lpva",
        source=_LPVA_SOURCE,
        headline="Pr@.5",
        score=partial(score_boxes, protocol=LPVA),
        fields=(BOX_TARGET, *GROUPS, *SIZE_FIELDS),
        aliases=("LPVA Pr@.5-.9, meanIoU, cumIoU", "transvg"),
    ),
    Rule(
        suites=("dior-rsvg", "opt-rsvg"),
        protocol="exact",
        source="Pr@.5 to .9 as LPVA's, in float64, unclamped; an exact tie reaches the threshold",
        headline="Pr@.5",
        score=partial(score_boxes, protocol=EXACT),
        fields=(BOX_TARGET, *GROUPS, *SIZE_FIELDS),
    ),
    Rule(
        suites=("refgeo", "dior-rsvg", "opt-rsvg", "vrsbench-ref"),
        protocol="rscovlm",
        source="VisionXLab/RSCoVLM eval/metric/geoground.py: IoU > 0.5, common boxes of one pixel do not count",
        headline="Acc@.5",
        score=partial(score_boxes, protocol=RSCOVLM),
        fields=(BOX_TARGET, *GROUPS, *SIZE_FIELDS),
        aliases=("vlm-r1",),
    ),
    Rule(
        suites=("vleo", "dior-rsvg"),
        protocol="vleo-grounding",
        source="Earth-Intelligence-Lab/vleo-bench: mean IoU and IoU > 0.5 over answered rows, refusals beside",
        headline="Pr@.5",
        score=partial(score_boxes, protocol=VLEO),
        fields=(BOX_TARGET, *GROUPS, *SIZE_FIELDS),
        oddity="rows without a box leave the denominator; nothing answered is 0",
    ),
    Rule(
        suites=("xlrs",),
        protocol="grounding",
        source="XLRS-Bench publishes no scorer: boxes in pixels of the original image, no added pixel, IoU >= 0.5, 0.7",
        headline="Acc@.5",
        score=partial(score_boxes, protocol=XLRS),
        fields=(BOX_TARGET, *GROUPS, *SIZE_FIELDS),
    ),
)
