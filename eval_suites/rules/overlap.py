"""Overlap of many boxes and quadrilaterals at once, and what happens when an overlap is exactly the threshold.

Boxes are rows (x1, y1, x2, y2), quadrilaterals (n, 4, 2) corners, both float64 in any one unit. On integer grids an
overlap of exactly 0.5 is common, and the last bit of a float decides on which side it falls. Here a tie is a tie: an
overlap within TIE of a threshold reaches it and does not exceed it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vlm.geometry.iou import clip_area

TIE = 1e-9
_PAIRS = 1 << 20  # pairs compared at once by their horizontal boxes
_CLIPPED = 2048  # pairs clipped at once, so that the work stays in the cache


@dataclass(frozen=True, slots=True, eq=False)
class Overlap:
    """Hold p overlaps: iou, common area and united area, (p,) each; 0 where the shapes have no area."""

    iou: np.ndarray
    common: np.ndarray
    union: np.ndarray


def reaches(iou: np.ndarray, threshold: float) -> np.ndarray:
    """Say which overlaps are at least the threshold; a tie is."""
    return iou >= threshold - TIE


def exceeds(iou: np.ndarray, threshold: float) -> np.ndarray:
    """Say which overlaps are more than the threshold; a tie is not."""
    return iou > threshold + TIE


def overlap_boxes(first: np.ndarray, second: np.ndarray, *, added: float = 0.0) -> Overlap:
    """Measure p pairs of boxes (p, 4); `added` is added to every width and height (1 where whole pixels are meant)."""
    low, high = np.maximum(first[:, :2], second[:, :2]), np.minimum(first[:, 2:], second[:, 2:])
    common = np.clip(high - low + added, 0, None).prod(axis=1)
    union = _box_areas(first, added) + _box_areas(second, added) - common
    return Overlap(divide(common, union), common, union)


def overlap_quads(first: np.ndarray, second: np.ndarray) -> Overlap:
    """Measure p pairs of convex quadrilaterals, (p, 4, 2) each, by clipping one with the other."""
    first, second = clockwise(first), clockwise(second)
    meet = (np.minimum(first.max(axis=1), second.max(axis=1)) > np.maximum(first.min(axis=1), second.min(axis=1))).all(
        axis=1
    )
    common = np.zeros(len(first))
    chosen = np.flatnonzero(meet)
    for part in np.split(chosen, range(_CLIPPED, chosen.size, _CLIPPED)):
        common[part] = clip_area(first[part], second[part])
    areas = ring_areas(first), ring_areas(second)
    common = np.where((areas[0] > 0) & (areas[1] > 0), common, 0.0)
    union = areas[0] + areas[1] - common
    return Overlap(np.clip(divide(common, union), 0, 1), common, union)


def match_quads(
    first: np.ndarray, first_groups: np.ndarray, second: np.ndarray, second_groups: np.ndarray, *, threshold: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find all pairs of one group whose overlap reaches the threshold: index in first, index in second, IoU.

    Groups are integers (images). Pairs come in the order of first, then of second. Memory does not grow with the
    number of pairs, only with that of matches.
    """
    boxes_a, boxes_b = bounds(first), bounds(second)
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for i, j in pairs_that_may_meet(boxes_a, first_groups, boxes_b, second_groups):
        wide = np.minimum(boxes_a[i, 2], boxes_b[j, 2]) - np.maximum(boxes_a[i, 0], boxes_b[j, 0])
        high = np.minimum(boxes_a[i, 3], boxes_b[j, 3]) - np.maximum(boxes_a[i, 1], boxes_b[j, 1])
        near = (wide > 0) & (high > 0)
        i, j = i[near], j[near]
        iou = overlap_quads(first[i], second[j]).iou
        kept = reaches(iou, threshold)
        found.append((i[kept], j[kept], iou[kept]))
    if not found:
        return np.zeros(0, int), np.zeros(0, int), np.zeros(0)
    i, j, iou = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.lexsort((j, i))
    return i[order], j[order], iou[order]


def pairs_that_may_meet(
    first: np.ndarray, first_groups: np.ndarray, second: np.ndarray, second_groups: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield index pairs of boxes of one group, among them all that meet, about a million at a time.

    The second boxes are sorted by group and left side, so that for each first box those whose left side lies between
    its own left side, less the group's widest box, and its right side are neighbours in one list.
    """
    if not len(first) or not len(second):
        return
    groups, second_number = np.unique(second_groups, return_inverse=True)
    first_number = np.minimum(np.searchsorted(groups, first_groups), len(groups) - 1)
    known = groups[first_number] == first_groups
    widest = np.zeros(len(groups))
    np.maximum.at(widest, second_number, second[:, 2] - second[:, 0])
    low = min(first[:, 0].min(), second[:, 0].min()) - widest.max()
    span = max(first[:, 2].max(), second[:, 2].max()) - low + 1.0
    places = second_number * span + (second[:, 0] - low)
    order = np.argsort(places, kind="stable")
    base = first_number * span - low
    slack = span * len(groups) * 1e-12
    start = np.searchsorted(places[order], base + first[:, 0] - widest[first_number] - slack, side="left")
    stop = np.searchsorted(places[order], base + first[:, 2] + slack, side="right")
    count = np.where(known, np.maximum(stop - start, 0), 0)
    ends = np.cumsum(count)
    begin = 0
    while begin < len(first):
        done = int(ends[begin - 1]) if begin else 0
        until = max(begin + 1, int(np.searchsorted(ends, done + _PAIRS, side="right")))
        counted = count[begin:until]
        i = np.repeat(np.arange(begin, until), counted)
        within = np.arange(len(i)) - np.repeat(np.cumsum(counted) - counted, counted)
        yield i, order[start[i] + within]
        begin = until


def turned_quads(boxes: np.ndarray) -> np.ndarray:
    """Give the corners (n, 4, 2) of GeoChat's boxes (n, 5): x1, y1, x2, y2 before the turn, then degrees.

    The turn is that of cv2.getRotationMatrix2D about the centre, counter-clockwise on the screen.
    """
    x1, y1, x2, y2, degrees = np.asarray(boxes, float).reshape(-1, 5).T
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    centre_x, centre_y = (x1 + x2) / 2, (y1 + y2) / 2
    u = np.stack([x1, x2, x2, x1], axis=1) - centre_x[:, None]
    v = np.stack([y1, y1, y2, y2], axis=1) - centre_y[:, None]
    x = centre_x[:, None] + cos[:, None] * u + sin[:, None] * v
    y = centre_y[:, None] - sin[:, None] * u + cos[:, None] * v
    return np.stack([x, y], axis=2)


def rectangles(quads: np.ndarray) -> np.ndarray:
    """Give the rectangle of smallest area around each of n quadrilaterals, (n, 4, 2) corners, by cv2.minAreaRect.

    Where two rectangles are equally small, OpenCV's float32 decides, as it does in mmrotate's qbox2rbox.
    """
    from cv2 import minAreaRect

    points = np.ascontiguousarray(np.asarray(quads, np.float32).reshape(-1, 4, 2))
    found = np.array([(*centre, *sides, angle) for centre, sides, angle in map(minAreaRect, points)]).reshape(-1, 5)
    (x, y, w, h), turn = found[:, :4].T, np.radians(found[:, 4])
    u, v = np.stack([-w, w, w, -w], axis=1) / 2, np.stack([-h, -h, h, h], axis=1) / 2
    cos, sin = np.cos(turn)[:, None], np.sin(turn)[:, None]
    return np.stack([x[:, None] + cos * u - sin * v, y[:, None] + sin * u + cos * v], axis=2)


def box_quads(boxes: np.ndarray) -> np.ndarray:
    """Give the corners (n, 4, 2) of horizontal boxes (n, 4), clockwise on the screen."""
    return np.asarray(boxes, float).reshape(-1, 4)[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)


def bounds(quads: np.ndarray) -> np.ndarray:
    """Give the horizontal boxes (n, 4) around quadrilaterals."""
    return np.concatenate([quads.min(axis=1), quads.max(axis=1)], axis=1)


def clockwise(quads: np.ndarray) -> np.ndarray:
    """Turn the corners of quadrilaterals the other way round where they run counter-clockwise on the screen."""
    return np.where((_signed_areas(quads) < 0)[:, None, None], quads[:, ::-1], quads)


def ring_areas(quads: np.ndarray) -> np.ndarray:
    """Measure n quadrilaterals by the shoelace formula."""
    return np.abs(_signed_areas(quads))


def divide(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Divide two arrays; 0 where the lower one is not positive."""
    return np.divide(top, bottom, out=np.zeros(np.shape(bottom)), where=bottom > 0)


def _signed_areas(quads: np.ndarray) -> np.ndarray:
    """Give twice-halved ring areas, positive for corners that run clockwise on the screen."""
    points = quads - quads[:, :1]
    after = np.roll(points, -1, axis=1)
    signed: np.ndarray = (points[..., 0] * after[..., 1] - after[..., 0] * points[..., 1]).sum(axis=1) / 2
    return signed


def _box_areas(boxes: np.ndarray, added: float) -> np.ndarray:
    """Measure n boxes; a box that is inside out has the area its formula gives, as in the sources."""
    area: np.ndarray = (boxes[:, 2] - boxes[:, 0] + added) * (boxes[:, 3] - boxes[:, 1] + added)
    return area
