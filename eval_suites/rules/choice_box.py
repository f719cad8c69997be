"""CHOICE's visual grounding: a box in the text against a polygon on a 0-1 grid, overlap > 0.5.

ShawnAn-WHU/CHOICE @eb6c4304 evaluator.py: the first four numbers of the answer (not those inside words or before
"meter"); all four are divided by ten until none is above 1, so that 0-1000, 0-100 and 0-1 look alike to it and
(50, 60, 90, 95) meant as thousandths becomes half the image. The polygon's corners are sorted around their centre.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from eval_suites.rules.judged import Verdict

NUMBER = re.compile(r"(?<![a-zA-Z/])([-+]?\d*\.\d+|\d+)(?!\s?meter)(?![a-zA-Z/\d])")
THRESHOLD = 0.5


def parse_box(text: str) -> tuple[float, ...] | None:
    """Read x1, y1, x2, y2 in 0..1 from the first four numbers of a text; none where there are fewer."""
    numbers = [float(number) for number in NUMBER.findall(text)[:4]]
    if len(numbers) < 4:
        return None
    while max(numbers) > 1:
        numbers = [number / 10 for number in numbers]
    return tuple(numbers)


def overlap_polygon(box: Sequence[float], corners: Sequence[Sequence[float]]) -> float:
    """Give the IoU of a box and a polygon whose corners are sorted around their mean; 0 for no area."""
    from shapely import Polygon, make_valid
    from shapely import box as rectangle

    points = np.asarray(corners, float)
    around = points - points.mean(axis=0)
    polygon = make_valid(Polygon(points[np.argsort(np.arctan2(around[:, 1], around[:, 0]), kind="stable")]))
    x1, y1, x2, y2 = box
    found = rectangle(min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
    union = found.union(polygon).area
    return float(found.intersection(polygon).area / union) if union > 0 else 0.0


def parse_polygon(target: Any) -> list[list[float]] | None:
    """Read the corners of a target that is a list of numbers or points, or such a list as text; none for a letter."""
    if isinstance(target, str) and target.lstrip().startswith("["):
        try:
            target = json.loads(target)
        except json.JSONDecodeError:
            return None
    if not isinstance(target, list):
        return None
    points = [[point.get("x"), point.get("y")] if isinstance(point, dict) else point for point in target]
    try:
        corners: list[list[float]] = np.asarray(points, float).reshape(-1, 2).tolist()
    except (TypeError, ValueError):
        return None
    return corners if len(corners) > 2 else None


def decide_box(text: str, polygon: Sequence[Sequence[float]]) -> Verdict:
    """Call a box right whose overlap with the target's polygon is above 0.5; text without four numbers is wrong."""
    box = parse_box(text)
    if box is None:
        return Verdict(0.0, "", "no four numbers", unparsed=True)
    overlap = overlap_polygon(box, polygon)
    return Verdict(float(overlap > THRESHOLD), str(box), f"IoU {overlap:.4f}, above {THRESHOLD} is right")
