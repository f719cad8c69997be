"""Grounding: the IoU of the first region in the text with the one target, in pixels of the original image.

Acc@.5 counts IoU >= 0.5, in float64, without adding a pixel (the rule of GeoBox-R1 and LPVA). Text without a region is
a miss with IoU 0 and stays in the denominator. A region of another shape is converted: its bounding box where boxes
are asked, its minimum-area rectangle where oriented boxes are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import numpy as np

from eval_suites.cases import Case
from eval_suites.measure import Measure, build_mean
from eval_suites.rules.ties import HIT, overlap_ties
from eval_suites.scored import Row, Scored, Scorer, Training, score_rates
from vlm.codecs import ParsedText, parse_text
from vlm.geometry import OBB, Geometry, iou, to_hbb, to_obb

THRESHOLD = 0.5
CONVERT: dict[str, Callable[[Geometry], Geometry]] = {"box": to_hbb, "obb": to_obb}


def build_box_scorer(kind: Literal["box", "obb"]) -> Scorer:
    """Build the scorer of boxes or of oriented boxes."""
    return partial(score_boxes, kind=kind)


def score_boxes(
    cases: Sequence[Case],
    outputs: Sequence[str | None],
    *,
    training: Training,
    dialect: str = "nadir",
    kind: Literal["box", "obb"] = "box",
) -> Scored:
    """Give Acc@.5 and mean IoU over all cases, and Acc@.5 per category where there are several."""
    del training
    rows = tuple(_judge(case, output or "", dialect, kind) for case, output in zip(cases, outputs, strict=True))
    ious = [row.score for row in rows]
    measures = box_measures(cases, ious, [value >= THRESHOLD for value in ious])
    ties = overlap_ties("Acc@.5", np.array(ious), THRESHOLD, rule=HIT)
    return Scored(rows, (*measures, *score_rates(rows, geometry=True)), ties=(ties,))


def box_measures(cases: Sequence[Case], ious: Sequence[float], hits: Sequence[float]) -> tuple[Measure, ...]:
    """Build Acc@.5 and mean IoU from one IoU and one hit (or its probability) a case."""
    measures = [build_mean("Acc@.5", hits), build_mean("mean IoU", ious)]
    categories = [case.category for case in cases]
    if len(set(categories)) > 1:
        measures += [
            build_mean(f"Acc@.5: {name}", hits, where=[category == name for category in categories])
            for name in sorted(set(categories))
        ]
    return tuple(measures)


def parse_regions(case: Case, output: str, dialect: str) -> ParsedText:
    """Read the regions of an answer in the pixels that were shown: the images', or those of the case's window."""
    sizes = [(case.window.w, case.window.h)] * len(case.sizes) if case.window else list(case.sizes)
    return parse_text(output, sizes=sizes, dialect=dialect)


def _judge(case: Case, output: str, dialect: str, kind: str) -> Row:
    parsed = parse_regions(case, output, dialect)
    target = case.regions[0].geometry
    clipped = any(issue.kind == "clipped" for issue in parsed.issues)
    if not parsed.regions:
        return Row("", write_geometry(target), 0.0, "no region in the text", unparsed=True, clipped=clipped)
    found = CONVERT[kind](parsed.regions[0].geometry)
    value = iou(found, target)
    more = f", the first of {len(parsed.regions)} regions" if len(parsed.regions) > 1 else ""
    return Row(write_geometry(found), write_geometry(target), value, f"IoU {value:.3f}{more}", clipped=clipped)


def write_geometry(geometry: Geometry) -> str:
    """Write a box or an oriented box in words: its numbers in pixels of the image, the angle in degrees."""
    if isinstance(geometry, OBB):
        sides = f"{geometry.cx:.1f}, {geometry.cy:.1f}, {geometry.w:.1f} x {geometry.h:.1f}"
        return f"oriented box {sides}, {geometry.angle_deg:.1f} degrees"
    box = to_hbb(geometry)
    return f"box {box.x1:.1f}, {box.y1:.1f}, {box.x2:.1f}, {box.y2:.1f}"
