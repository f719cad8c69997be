"""Oriented detection by text (LMMRotate): mAP without confidences, mF1, and the mAP of detectors.

Without confidences all scores are equal, and the order of images decides how wrong boxes mix with right ones. Images
with targets come first, then those without, both by name, so the order of the rows does not matter; that of the boxes
inside an image does, as in the source.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from eval_suites.measure import Measure
from eval_suites.readers.dota import Object, read_detections
from eval_suites.readers.loaded import Entry, Loaded, Options
from eval_suites.rules.detection import (
    Matches,
    Objects,
    Ranked,
    average_precision,
    confuse,
    match_objects,
    mean_average_precision,
    mean_precision_recall,
    rank_objects,
)
from eval_suites.rules.rule import Number, Rule, Scores
from eval_suites.rules.shape_values import payload, read_shapes, size_of
from eval_suites.scored import Row, Ties
from vlm.codecs import parse_text
from vlm.geometry import to_quad

DOTA = (
    "plane", "baseball-diamond", "bridge", "ground-track-field", "small-vehicle", "large-vehicle", "ship",
    "tennis-court", "basketball-court", "storage-tank", "soccer-ball-field", "roundabout", "harbor", "swimming-pool",
    "helicopter",
)  # fmt: skip
MOST_DRAWN = 2000  # images; beyond, the bootstrap's matrix of draws would not fit in memory
LINE = re.compile(r"^\s*((?:-?\d+(?:\.\d+)?\s*,\s*){7}-?\d+(?:\.\d+)?)\s+(\S.*?)\s*$", re.MULTILINE)
BINS = "<loc_"


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Hold all objects of a set, the images in the order that counts; `places` gives each entry's image."""

    found: Objects
    targets: Objects
    matches: Matches
    classes: tuple[str, ...]
    places: np.ndarray


def score_detection(loaded: Loaded, options: Options, *, confidences: bool) -> Scores:
    """Score mAP_nc and mF1, or with confidences the detector's mAP; the other numbers stand beside."""
    scene = build_scene(loaded, options)
    plain, ranked = (_rank(scene, scores) for scores in (np.ones(len(scene.found)), scene.found.scores))
    counts = confuse(scene.found, scene.targets, scene.matches, images=len(scene.places))[scene.places]
    parts = counts.reshape(len(counts), -1)
    named: list[Measure | Number] = [
        _mean_ap("mAP_nc", plain, scene),
        _mean_ap("mAP", ranked, scene),
        Measure("mF1", parts, partial(_of_matrix, formula=_f1)),
        Measure("mean precision", parts, partial(_of_matrix, formula=lambda precision, recall: precision)),
        Measure("mean recall", parts, partial(_of_matrix, formula=lambda precision, recall: recall)),
    ]
    measures = (named[1], named[0], *named[2:]) if confidences else (named[0], *named[2:], named[1])
    ties = _ties(measures[0].name, ranked if confidences else plain)
    tables = {"AP_nc by class": _by_class(plain, scene), "AP by class": _by_class(ranked, scene)}
    return Scores(_rows(loaded, scene, plain), measures, tables, (ties,))


def _ties(name: str, ranked: tuple[Ranked, ...]) -> Ties:
    """Count the objects of one score among which some are right and some are wrong."""
    ends = [
        mean_average_precision(tuple(one.turn_ties(wrong_first=first) for one in ranked)) for first in (True, False)
    ]
    words = "objects of one score keep the order of the images, and that of the answer"
    return Ties(name, words, sum(one.count_ties() for one in ranked), *ends)


def build_scene(loaded: Loaded, options: Options) -> Scene:
    """Read the objects of all entries into flat arrays and match them."""
    entries = loaded.entries
    order = sorted(range(len(entries)), key=lambda place: (not entries[place].target, entries[place].id))
    said = [read_objects(entries[place], options) for place in order]
    wanted = [list(entries[place].target) for place in order]
    classes = _classes(loaded.extras.get("classes"), wanted)
    found, targets = _flat(said, classes), _flat(wanted, classes)
    places = np.empty(len(order), int)
    places[order] = np.arange(len(order))
    return Scene(found, targets, match_objects(found, targets), classes, places)


def read_objects(entry: Entry, options: Options) -> list[Object]:
    """Give the objects of a prediction: as they are, or those of a text, in pixels of the image.

    Text is in the dialect of the options, in LMMRotate's bins, or lines of eight numbers and a class.
    """
    said = payload(entry.prediction, options)
    if said is None or not isinstance(said, str):
        return list(said or ())
    size = size_of(entry)
    dialect = options.dialect or ("lmmrotate" if BINS in said else "rscovlm")
    if size is not None:
        regions = parse_text(said, sizes=[size], dialect=dialect).regions
        corners = [(region.phrase, to_quad(region.geometry)) for region in regions]
        return [(phrase or "", tuple(x for point in quad for x in point), 1.0) for phrase, quad in corners]
    lines = [(match[2], read_shapes(match[1]), 1.0) for match in LINE.finditer(said)]
    return [(label, shapes[0], score) for label, shapes, score in lines if shapes]


def _classes(given: Any, wanted: Sequence[Sequence[Object]]) -> tuple[str, ...]:
    """Give the classes in their order: the file's, DOTA's where it has all targets, else those of the targets."""
    if given:
        return tuple(str(name) for name in given)
    names = {str(label).lower() for objects in wanted for label, _, _ in objects}
    return DOTA if names <= set(DOTA) else tuple(sorted(names))


def _flat(objects: Sequence[Sequence[Object]], classes: tuple[str, ...]) -> Objects:
    index = {name.lower(): place for place, name in enumerate(classes)}
    known: dict[Any, int] = {}
    images, labels, quads, scores = [], [], [], []
    for image, found in enumerate(objects):
        for label, corners, score in found:
            if label not in known:
                known[label] = _class_index(label, classes, index)
            images.append(image)
            labels.append(known[label])
            quads.append(corners)
            scores.append(score)
    return Objects(
        np.array(images, int), np.array(labels, int), np.array(quads, float).reshape(-1, 4, 2), np.array(scores, float)
    )


def _class_index(label: Any, classes: tuple[str, ...], index: dict[str, int]) -> int:
    """Find a class by number, by name, or by the nearest name, as LMMRotate does (with another string distance)."""
    if isinstance(label, int | np.integer):
        return int(label)
    name = str(label).strip().lower()
    if name in index:
        return index[name]
    if name.isdecimal() and int(name) < len(classes):
        return int(name)
    return index[difflib.get_close_matches(name, index, n=1, cutoff=0.0)[0]] if index else 0


def _rank(scene: Scene, scores: np.ndarray) -> tuple[Ranked, ...]:
    labels = [part.labels.max(initial=-1) + 1 for part in (scene.found, scene.targets)]
    return rank_objects(
        scene.found,
        scene.targets,
        scene.matches,
        classes=int(max(len(scene.classes), *labels)),
        images=len(scene.places),
        scores=scores,
    )


def _mean_ap(name: str, ranked: tuple[Ranked, ...], scene: Scene) -> Measure | Number:
    """Build the mean AP: images are drawn by their weight, so each is a column of its own."""
    images = len(scene.places)
    if images > MOST_DRAWN:
        return Number(name, mean_average_precision(ranked), images)
    columns = np.zeros((images, images))
    columns[np.arange(images), scene.places] = 1

    def combine(weights: np.ndarray) -> np.ndarray:
        drawn = np.atleast_2d(weights)
        values = np.array([mean_average_precision(ranked, row) for row in drawn])
        return values.reshape(weights.shape[:-1])

    return Measure(name, columns, combine)


def _by_class(ranked: tuple[Ranked, ...], scene: Scene) -> dict[str, Number]:
    """Give the AP of each class that has a target, with the number of targets as n."""
    names = dict(enumerate(scene.classes))
    return {
        names.get(place, str(place)): Number("AP", average_precision(one), int(one.targets.sum()))
        for place, one in enumerate(ranked)
        if one.targets.sum()
    }


def _of_matrix(sums: np.ndarray, *, formula: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    size = round(sums.shape[-1] ** 0.5)
    return formula(*mean_precision_recall(sums.reshape(*sums.shape[:-1], size, size)))


def _f1(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    return 2 * precision * recall / np.maximum(precision + recall, np.finfo(float).tiny)


def _rows(loaded: Loaded, scene: Scene, ranked: tuple[Ranked, ...]) -> tuple[Row, ...]:
    """Judge each image by the F1 of its own objects, each right once."""
    images = len(scene.places)
    right = np.zeros(images)
    for one in ranked:
        right += np.bincount(one.images[one.right], minlength=images)
    found = np.bincount(scene.found.images, minlength=images)
    wanted = np.bincount(scene.targets.images, minlength=images)
    rows = []
    for entry, place in zip(loaded.entries, scene.places.tolist(), strict=True):
        n, m, k = int(found[place]), int(wanted[place]), int(right[place])
        unread = entry.prediction is None or (isinstance(entry.prediction, str) and not n and "none" not in
                                              entry.prediction.lower())  # fmt: skip
        score = 2 * k / (n + m) if n + m else 1.0
        rows.append(Row(f"{n} objects", f"{m} objects", score, f"{k} of {n} right, {m} there", unparsed=unread))
    return tuple(rows)


_SOURCE = (
    "open-mmlab/mmrotate 1.x eval_rbbox_map (IoU >= 0.5 of smallest rectangles, VOC 2007 eleven points, difficult "
    "objects count, classes without a target are left out) and Li-Qingyun/mllm-mmrotate f1_metric.py"
)

RULES: tuple[Rule, ...] = (
    Rule(
        suites=("dota-text",),
        protocol="map_nc",
        source=f"{_SOURCE}; all scores are 1, images with targets first, by name",
        headline="mAP_nc",
        score=partial(score_detection, confidences=False),
        reader=read_detections,
        aliases=("mAP_nc + mF1", "mF1", "lmmrotate"),
        oddity="mF1 averages over the classes and an empty row, so that perfect answers stay at C / (C + 1)",
    ),
    Rule(
        suites=("dota-text",),
        protocol="map",
        source=f"{_SOURCE}; by falling score",
        headline="mAP",
        score=partial(score_detection, confidences=True),
        reader=read_detections,
        aliases=("detector mAP", "mmrotate"),
    ),
)
