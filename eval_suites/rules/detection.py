"""Oriented detection as mmrotate and LMMRotate score it: AP per class, with or without confidences, and their F1.

Objects of all images lie in flat arrays, so that matching is done for all images and classes at once. Quadrilaterals
become the rectangle of smallest area first (qbox2rbox), an IoU of 0.5 is a match, and objects that are marked as
difficult count like all others, as in mmrotate's DOTADataset.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eval_suites.rules.overlap import match_quads, rectangles

THRESHOLD = 0.5
RECALLS = np.arange(0, 1 + 1e-3, 0.1)  # mmdet's eleven; 0.3, 0.6 and 0.7 are one float too high in it too


@dataclass(frozen=True, slots=True, eq=False)
class Objects:
    """Hold n objects: image and class index (n,), corners (n, 4, 2) in pixels, score (n,)."""

    images: np.ndarray
    labels: np.ndarray
    quads: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """Hold the pairs of a found object and a target in one image that overlap enough: their indices and IoU."""

    found: np.ndarray
    targets: np.ndarray
    iou: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Ranked:
    """Hold the found objects of one class, best first: image, right or wrong and score of each, number of targets."""

    images: np.ndarray
    right: np.ndarray
    targets: np.ndarray
    scores: np.ndarray

    def turn_ties(self, *, wrong_first: bool) -> Ranked:
        """Give the same objects with those of one score in the order that is worst, or best."""
        order = np.lexsort((self.right if wrong_first else ~self.right, -self.scores))
        return Ranked(self.images[order], self.right[order], self.targets, self.scores[order])

    def count_ties(self) -> int:
        """Count the objects whose score right and wrong ones have."""
        number = np.unique(self.scores, return_inverse=True)[1]
        right, all_of = np.bincount(number, weights=self.right), np.bincount(number)
        return int(all_of[(right > 0) & (right < all_of)].sum())


def match_objects(found: Objects, targets: Objects) -> Matches:
    """Find every pair of one image that overlaps by THRESHOLD or more, whatever the classes."""
    pairs = match_quads(
        rectangles(found.quads), found.images, rectangles(targets.quads), targets.images, threshold=THRESHOLD
    )
    return Matches(*pairs)


def rank_objects(
    found: Objects, targets: Objects, matches: Matches, *, classes: int, images: int, scores: np.ndarray
) -> tuple[Ranked, ...]:
    """Decide for each class which of its found objects are right.

    Each found object looks at the one target of its image and class that it overlaps most; the first to look at a
    target, by falling score, is right, all others are wrong. Equal scores keep the order of the arrays.
    """
    order = np.argsort(-scores, kind="stable")
    place = np.empty(len(order), int)
    place[order] = np.arange(len(order))
    right = np.zeros(len(found), bool)
    right[_first_lookers(found, targets, matches, place)] = True
    ordered = found.labels[order]
    counted = np.zeros((classes, images), int)
    np.add.at(counted, (targets.labels, targets.images), 1)
    ranked = []
    for label in range(classes):
        chosen = order[ordered == label]
        ranked.append(Ranked(found.images[chosen], right[chosen], counted[label], scores[chosen]))
    return tuple(ranked)


def average_precision(ranked: Ranked, weights: np.ndarray | None = None) -> float:
    """Give the eleven-point AP of one class (VOC 2007); NaN where there is no target.

    `weights`: how often each image counts (a bootstrap draw); once by default.
    """
    counts = np.ones(len(ranked.targets)) if weights is None else weights
    total = float(ranked.targets @ counts)
    if total <= 0:
        return float("nan")
    each = counts[ranked.images]
    right = np.cumsum(ranked.right * each)
    seen = np.cumsum(each)
    recall = right / total
    precision = np.divide(right, seen, out=np.zeros(len(seen)), where=seen > 0)
    ceiling = np.maximum.accumulate(precision[::-1])[::-1]
    starts = np.searchsorted(recall, RECALLS, side="left")
    reached = starts < len(recall)
    return float(ceiling[starts[reached]].sum() / len(RECALLS))


def mean_average_precision(ranked: tuple[Ranked, ...], weights: np.ndarray | None = None) -> float:
    """Give the mean AP of the classes that have a target; 0 when none has."""
    values = np.array([average_precision(one, weights) for one in ranked])
    return float(np.nanmean(values)) if np.isfinite(values).any() else 0.0


def confuse(found: Objects, targets: Objects, matches: Matches, *, images: int) -> np.ndarray:
    """Count LMMRotate's confusion matrix of each image: (images, C + 1, C + 1), targets by rows, the last is nothing.

    Every pair that overlaps enough adds one, so an object may count several times. C is the largest class among the
    targets plus one; found objects of a later class fall into the last column, as in the source.
    """
    size = (int(targets.labels.max()) + 1 if len(targets) else 0) + 1
    nothing = size - 1
    labels = np.minimum(found.labels, nothing)
    out = np.zeros((images, size, size))
    np.add.at(out, (found.images[matches.found], targets.labels[matches.targets], labels[matches.found]), 1)
    alone = np.setdiff1d(np.arange(len(found)), matches.found)
    np.add.at(out, (found.images[alone], nothing, labels[alone]), 1)
    same = found.labels[matches.found] == targets.labels[matches.targets]
    missed = np.setdiff1d(np.arange(len(targets)), matches.targets[same])
    np.add.at(out, (targets.images[missed], targets.labels[missed], nothing), 1)
    return out


def mean_precision_recall(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give mean precision and mean recall over the rows of confusion matrices (..., C + 1, C + 1).

    The row of nothing takes part, as in the source, so that even perfect answers stay at C / (C + 1).
    """
    right = np.diagonal(matrix, axis1=-2, axis2=-1)
    precision = right / np.maximum(matrix.sum(axis=-2), 1)
    recall = right / np.maximum(matrix.sum(axis=-1), 1)
    return precision.mean(axis=-1), recall.mean(axis=-1)


def _first_lookers(found: Objects, targets: Objects, matches: Matches, place: np.ndarray) -> np.ndarray:
    """Give the found objects that are the first to choose their target, by place."""
    same = found.labels[matches.found] == targets.labels[matches.targets]
    i, j, iou = matches.found[same], matches.targets[same], matches.iou[same]
    order = np.lexsort((j, -iou, i))
    i, j = i[order], j[order]
    best = np.unique(i, return_index=True)[1]
    i, j = i[best], j[best]
    order = np.lexsort((place[i], j))
    i, j = i[order], j[order]
    return i[np.unique(j, return_index=True)[1]]
