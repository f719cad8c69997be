"""Change masks: one confusion matrix over the pixels of the whole test set, and what is made of it.

Averages per image would be wrong: ChangeFormer, Change-Agent and VisTA all sum first. A missing prediction is a mask in
which nothing has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product

import numpy as np

from eval_suites.measure import Measure
from eval_suites.readers.loaded import Entry, Loaded, Options
from eval_suites.readers.masks import MASK_FIELDS, read_masks
from eval_suites.rules.pixels import (
    count_classes,
    count_set,
    is_bright,
    lay_on,
    read_mask,
    to_binary_both,
    to_classes,
)
from eval_suites.rules.rule import Rule, Scores
from eval_suites.scored import Row

Formula = Callable[[np.ndarray], np.ndarray]
VISTA_PROBABILITY = 0.35
MCI_GREYS, MCI_NUMBERS = frozenset({0, 128, 255}), frozenset({0, 1, 2})


def score_binary(loaded: Loaded, options: Options, *, probability: float = 0.5) -> Scores:
    """Score what has changed and what has not, pixel by pixel over all pairs.

    Where the targets hold LEVIR-MCI's three classes, its means over them take the place of those over two.
    """
    del options
    counts, three = _count_changed(loaded.entries, probability)
    measures = {name: _measure(name, counts, formula) for name, formula in BINARY.items()}
    if three:
        kinds = _count_classes(loaded.entries)
        measures |= {name: _measure(name, kinds, formula) for name, formula in CLASSES.items()}
    tables = {
        "IoU by class": _by_class(counts, class_iou, ("unchanged", "changed")),
        "F1 by class": _by_class(counts, class_f1, ("unchanged", "changed")),
    }
    return Scores(_rows(loaded.entries, counts), tuple(measures.values()), tables)


def score_levir_mci(loaded: Loaded, options: Options) -> Scores:
    """Score the three classes of LEVIR-MCI: background, road and building."""
    del options
    counts = _count_classes(loaded.entries)
    measures = tuple(_measure(name, counts, formula) for name, formula in CLASSES.items())
    tables = {"IoU by class": _by_class(counts, class_iou, ("background", "road", "building"))}
    return Scores(_rows(loaded.entries, counts), measures, tables)


def class_iou(matrix: np.ndarray) -> np.ndarray:
    """Give the IoU of each class from confusion matrices (..., K, K); NaN for a class that is nowhere."""
    right = _diagonal(matrix)
    return _ratio(right, matrix.sum(axis=-1) + matrix.sum(axis=-2) - right)


def class_f1(matrix: np.ndarray) -> np.ndarray:
    """Give the F1 of each class from confusion matrices (..., K, K); NaN for a class that is nowhere."""
    return _ratio(2 * _diagonal(matrix), matrix.sum(axis=-1) + matrix.sum(axis=-2))


def class_recall(matrix: np.ndarray) -> np.ndarray:
    """Give the share of each class's pixels that were found."""
    return _ratio(_diagonal(matrix), matrix.sum(axis=-1))


def class_precision(matrix: np.ndarray) -> np.ndarray:
    """Give the share of the pixels found of each class that are right."""
    return _ratio(_diagonal(matrix), matrix.sum(axis=-2))


def accuracy(matrix: np.ndarray) -> np.ndarray:
    """Give the share of pixels that are right."""
    return _ratio(_diagonal(matrix).sum(axis=-1), matrix.sum(axis=(-1, -2)))


def frequency_weighted_iou(matrix: np.ndarray) -> np.ndarray:
    """Give the mean IoU of the classes, weighted by their pixels."""
    share = _ratio(matrix.sum(axis=-1), matrix.sum(axis=(-1, -2))[..., None])
    total: np.ndarray = np.nan_to_num(share * class_iou(matrix)).sum(axis=-1)
    return total


def mean_of_classes(formula: Formula) -> Formula:
    """Build the mean over the classes that occur."""

    def mean(matrix: np.ndarray) -> np.ndarray:
        values = formula(matrix)
        there = np.isfinite(values)
        return _ratio(np.where(there, values, 0.0).sum(axis=-1), there.sum(axis=-1))

    return mean


def one_class(formula: Formula, index: int) -> Formula:
    """Build the number of one class, 0 where it is nowhere."""
    return lambda matrix: np.nan_to_num(formula(matrix)[..., index])


BINARY: dict[str, Formula] = {
    "F1": one_class(class_f1, 1),
    "IoU": one_class(class_iou, 1),
    "precision": one_class(class_precision, 1),
    "recall": one_class(class_recall, 1),
    "mF1": mean_of_classes(class_f1),
    "mIoU": mean_of_classes(class_iou),
    "accuracy": accuracy,
}
CLASSES: dict[str, Formula] = {
    "mIoU": mean_of_classes(class_iou),
    "Acc": accuracy,
    "Acc_class": mean_of_classes(class_recall),
    "FWIoU": frequency_weighted_iou,
}


def _pairs(entries: tuple[Entry, ...]) -> Iterator[tuple[int, np.ndarray | None, np.ndarray]]:
    """Yield place, found and target values of each pair with a target; only one pair is in memory at a time."""
    for place, entry in enumerate(entries):
        target = read_mask(entry.target, where=f"the target of {entry.id}")
        if target is not None:
            yield place, read_mask(entry.prediction, where=f"the prediction of {entry.id}"), target


def _count_changed(entries: tuple[Entry, ...], probability: float) -> tuple[np.ndarray, bool]:
    """Count the confusion matrix of each pair, (n, 2, 2), and say whether the targets hold LEVIR-MCI's classes.

    Whether a side holds greys or numbers of classes is a matter of all its masks: a dark picture among bright ones is
    dark. So both are counted, and which of them holds is known at the end.
    """
    counts = np.zeros((len(entries), 2, 2, 2, 2))
    bright = [False, False]
    classes: set[int] = set()
    for place, found, target in _pairs(entries):
        bright = [bright[0] or (found is not None and is_bright(found)), bright[1] or is_bright(target)]
        wanted = to_binary_both(target, probability=probability)
        said = (None, None) if found is None else to_binary_both(found, probability=probability)
        for i, j in product(range(2), range(2)):
            if i and said[1] is said[0]:
                counts[place, i, j] = counts[place, 0, j]
            elif j and wanted[1] is wanted[0]:
                counts[place, i, j] = counts[place, i, 0]
            else:
                counts[place, i, j] = _confuse(lay_on(said[i], target.shape).astype(bool), wanted[j])
        if classes <= MCI_GREYS or classes <= MCI_NUMBERS:
            classes |= set(np.unique(target).tolist())
    three = (classes <= MCI_GREYS and 128 in classes) or (classes <= MCI_NUMBERS and 2 in classes)
    return counts[:, int(bright[0]), int(bright[1])], three


def _confuse(said: np.ndarray, wanted: np.ndarray) -> tuple[tuple[int, int], tuple[int, int]]:
    """Count the confusion matrix of two boolean masks: target in rows, found in columns, unset first."""
    common, found_px, wanted_px = count_set(said, wanted)
    return (wanted.size - found_px - wanted_px + common, found_px - common), (wanted_px - common, common)


def _count_classes(entries: tuple[Entry, ...]) -> np.ndarray:
    """Count the confusion matrix of the three classes of each pair, (n, 3, 3)."""
    counts = np.zeros((len(entries), 3, 3))
    for place, found, target in _pairs(entries):
        said = lay_on(None if found is None else to_classes(found), target.shape)
        counts[place] = count_classes(said, to_classes(target), 3)
    return counts


def _measure(name: str, counts: np.ndarray, formula: Formula) -> Measure:
    """Build a measure that is a formula on the sum of the confusion matrices."""
    size = counts.shape[-1]
    return Measure(
        name, counts.reshape(len(counts), -1), lambda sums: formula(sums.reshape(*sums.shape[:-1], size, size))
    )


def _by_class(counts: np.ndarray, formula: Formula, names: tuple[str, ...]) -> dict[str, Measure]:
    return {name: _measure(name, counts, one_class(formula, index)) for index, name in enumerate(names)}


def _rows(entries: tuple[Entry, ...], counts: np.ndarray) -> tuple[Row, ...]:
    """Judge each pair by its own F1 of all that has changed; 1 where nothing has and nothing was found."""
    rows = []
    for entry, matrix in zip(entries, counts, strict=True):
        changed, found = matrix[1:].sum(), matrix[:, 1:].sum()
        right = np.diagonal(matrix)[1:].sum()
        score = float(2 * right / (changed + found)) if changed + found else 1.0
        words = f"{right:.0f} px right, {found - right:.0f} px too much, {changed - right:.0f} px missed"
        rows.append(
            Row(f"{found:.0f} px changed", f"{changed:.0f} px changed", score, words, unparsed=entry.prediction is None)
        )
    return tuple(rows)


def _diagonal(matrix: np.ndarray) -> np.ndarray:
    return np.diagonal(matrix, axis1=-2, axis2=-1)


def _ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Divide; NaN where nothing was counted."""
    top, bottom = np.broadcast_arrays(np.asarray(top, float), np.asarray(bottom, float))
    return np.divide(top, bottom, out=np.full(bottom.shape, np.nan), where=bottom > 0)


RULES: tuple[Rule, ...] = (
    Rule(
        suites=("change-mask",),
        protocol="global",
        source=(
            "wgcban/ChangeFormer misc/metric_tool.py: one confusion matrix over all pixels of the test set, masks set "
            "above 127; F1 and IoU of the changed class, mF1 and mIoU over both"
        ),
        headline="F1",
        score=score_binary,
        fields=MASK_FIELDS,
        reader=read_masks,
        aliases=("global F1/IoU", "F1/IoU", "F1", "IoU", "changeformer", "binary", "global change-mask F1/IoU"),
    ),
    Rule(
        suites=("change-mask", "levir-mci"),
        protocol="levir-mci",
        source=(
            "Chen-Yang-Liu/Change-Agent Multi_change/utils_tool/metrics.py: mask values 0, 128, 255 are background, "
            "road and building; one confusion matrix over all pixels; mean IoU over the classes that occur"
        ),
        headline="mIoU",
        score=score_levir_mci,
        fields=MASK_FIELDS,
        reader=read_masks,
        aliases=("3-class", "three-class", "change-agent", "mIoU"),
        oddity="a mask in which nothing has changed is right about the background",
    ),
    Rule(
        suites=("change-mask", "qag-mask"),
        protocol="vista",
        source=(
            "like413/VisTA: pixel-global precision, recall, F1 and IoU; probabilities are set above 0.35, pictures "
            "above 127"
        ),
        headline="F1",
        score=partial(score_binary, probability=VISTA_PROBABILITY),
        fields=MASK_FIELDS,
        reader=read_masks,
        aliases=("vista mask", "pixel-global"),
    ),
)
