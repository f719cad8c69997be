"""Time the scoring rules against the official codes' approaches on the same inputs; equal results are part of it.

    python -m benchmarks.eval [--scale 1.0] [--only detection,captions,words,retrieval] [--wordnet FOLDER]

detection: mAP of oriented boxes in images of 1,500 px, against mmrotate's loops over classes and images with shapely's
IoU. captions: CIDEr-D and BLEU-1 to 4, against pycocoevalcap. words: LRS-VQA's WordNet rule, against path_similarity
of all pairs of senses by nltk, which needs WordNet 3.0's database files (Debian: wordnet-base). retrieval: recall both
ways, against AMFMN's argsort of every row and column. Processor time, one thread, inputs made from seeds; `--scale`
makes all of them smaller. Memory is what numpy and Python hold beyond the input, at its peak.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import shutil
import tempfile
import time
import tracemalloc
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.path import name_commit, name_machine

CLASSES = 15
BOXES, BOXES_PER_IMAGE, IMAGE_PX, KINDS = 100_000, 250, 1500, 3
CAPTIONS, REFERENCES, WORDS = 10_000, 5, 800
QUESTIONS = 7_333
IMAGES, CAPTIONS_PER_IMAGE = 5_000, 5
STEPS = (1, 5, 10)
ANSWERS = (
    "yes", "no", "one", "1", "two", "2", "three", "3", "four", "ten", "gray", "grey", "red", "crimson", "green", "blue",
    "white", "black", "brown", "plane", "airplane", "aeroplane", "aircraft", "ship", "boat", "vessel", "harbor",
    "harbour", "port", "bridge", "car", "vehicle", "truck", "road", "street", "river", "water", "lake", "field",
    "farmland", "forest", "trees", "grass", "building", "buildings", "house", "roof", "big", "large", "small", "round",
    "circle", "circular", "rectangle", "rectangular", "square", "urban", "rural", "moving", "parked", "stationary",
    "tank", "stadium", "playground", "court", "roundabout", "intersection", "residential area", "dark green",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Result:
    """Hold one measurement: seconds of both, the largest difference of their numbers, and our peak memory in MB."""

    name: str
    size: str
    ours_s: float
    official_s: float
    difference: float
    peak_mb: float


def measure(name: str, size: str, ours: Callable[[], np.ndarray], official: Callable[[], np.ndarray]) -> Result:
    """Time both once, compare what they give, and trace our memory in a run of its own, which also warms up."""
    tracemalloc.start()
    ours()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    began = time.process_time()
    found = ours()
    ours_s = time.process_time() - began
    began = time.process_time()
    wanted = official()
    official_s = time.process_time() - began
    difference = float(np.abs(np.asarray(found, float) - np.asarray(wanted, float)).max())
    return Result(name, size, ours_s, official_s, difference, peak / 1e6)


def make_boxes(scale: float) -> tuple[Any, Any, int]:
    """Draw targets of three classes an image, and found objects that are targets moved a little or far; half each."""
    from eval_suites.rules.detection import Objects
    from eval_suites.rules.overlap import turned_quads

    generator = np.random.default_rng(0)
    count = max(CLASSES, round(scale * BOXES / 2))
    images = max(1, 2 * count // BOXES_PER_IMAGE)
    corner = generator.uniform(0, IMAGE_PX - 80, (count, 2))
    sides = generator.uniform((12, 8), (80, 40), (count, 2))
    boxes = np.concatenate([corner, corner + sides, generator.uniform(0, 90, (count, 1))], axis=1)
    image = np.sort(generator.integers(0, images, count))
    labels = generator.integers(0, CLASSES, (images, KINDS))[image, generator.integers(0, KINDS, count)]
    targets = Objects(image, labels, turned_quads(boxes), np.ones(count))
    moved = boxes + generator.normal(0, (3, 3, 3, 3, 4), (count, 5))
    lost = generator.random(count) < 0.3
    moved[lost, :4] += generator.uniform(-300, 300, (lost.sum(), 1))
    found = Objects(targets.images, targets.labels, turned_quads(moved), generator.random(count))
    return found, targets, images


def run_detection(scale: float) -> Result:
    """Measure mAP of oriented boxes."""
    from eval_suites.rules.detection import match_objects, mean_average_precision, rank_objects

    found, targets, images = make_boxes(scale)

    def ours() -> np.ndarray:
        matches = match_objects(found, targets)
        ranked = rank_objects(found, targets, matches, classes=CLASSES, images=images, scores=found.scores)
        return np.array([mean_average_precision(ranked)])

    size = f"{len(found) + len(targets):,} boxes in {images} images"
    return measure("DOTA mAP", size, ours, lambda: np.array([loop_over_classes(found, targets, images)]))


def loop_over_classes(found: Any, targets: Any, images: int) -> float:
    """Give mAP as eval_rbbox_map does: a matrix of IoU, and a loop over its rows, for every class of every image."""
    from eval_suites.rules.overlap import rectangles

    quads, wanted = rectangles(found.quads), rectangles(targets.quads)
    mine, theirs = ([np.flatnonzero(part.images == image) for image in range(images)] for part in (found, targets))
    values = []
    for label in range(CLASSES):
        scores, hits = [], []
        total = int((targets.labels == label).sum())
        for image in range(images):
            ours = mine[image][found.labels[mine[image]] == label]
            others = theirs[image][targets.labels[theirs[image]] == label]
            scores.append(found.scores[ours])
            hits.append(loop_over_boxes(quads[ours], wanted[others], found.scores[ours]))
        order = np.argsort(-np.hstack(scores), kind="stable")
        right = np.cumsum(np.hstack(hits)[order])
        recall, precision = right / max(total, 1), right / np.arange(1, len(right) + 1)
        steps = [precision[recall >= step] for step in np.arange(0, 1 + 1e-3, 0.1)]
        if total:
            values.append(sum(float(step.max()) if step.size else 0.0 for step in steps) / 11)
    return float(np.mean(values))


def loop_over_boxes(quads: np.ndarray, wanted: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Mark which boxes of one class and image are right."""
    import shapely

    hits = np.zeros(len(quads))
    if not len(wanted) or not len(quads):
        return hits
    mine, theirs = [shapely.Polygon(quad) for quad in quads], [shapely.Polygon(quad) for quad in wanted]
    iou = np.zeros((len(mine), len(theirs)))
    for i, a in enumerate(mine):
        for j, b in enumerate(theirs):
            common = a.intersection(b).area
            iou[i, j] = common / (a.area + b.area - common)
    covered = np.zeros(len(theirs), bool)
    best, which = iou.max(axis=1), iou.argmax(axis=1)
    for i in np.argsort(-scores, kind="stable"):
        if best[i] >= 0.5 and not covered[which[i]]:
            covered[which[i]] = True
            hits[i] = 1
    return hits


def make_captions(scale: float) -> tuple[list[str], list[list[str]]]:
    """Draw captions of 6 to 16 common and rare words, and references that keep most of the words."""
    generator = np.random.default_rng(1)
    count = max(10, round(scale * CAPTIONS))
    share = 1 / np.arange(1, WORDS + 1)
    words = np.array([f"w{number}" for number in range(WORDS)])

    def change(text: np.ndarray) -> str:
        other = generator.choice(words, len(text), p=share / share.sum())
        return " ".join(np.where(generator.random(len(text)) < 0.35, other, text)[: generator.integers(4, 17)])

    texts = [generator.choice(words, generator.integers(6, 17), p=share / share.sum()) for _ in range(count)]
    return [change(text) for text in texts], [[change(text) for _ in range(REFERENCES)] for text in texts]


def run_captions(scale: float) -> Result:
    """Measure CIDEr-D and BLEU-1 to 4 of tokenised captions."""
    from eval_suites.rules.ngrams import ORDERS, count_ngrams
    from eval_suites.score_caption import combine_bleu

    said, references = make_captions(scale)

    def ours() -> np.ndarray:
        grams = count_ngrams(said, references)
        sums = grams.bleu.sum(axis=0)
        return np.array([grams.cider.mean(), *(combine_bleu(sums, order=n) for n in range(1, ORDERS + 1))], float)

    def official() -> np.ndarray:
        from pycocoevalcap.bleu.bleu import Bleu
        from pycocoevalcap.cider.cider import Cider

        wanted, found = dict(enumerate(references)), {number: [text] for number, text in enumerate(said)}
        with contextlib.redirect_stdout(io.StringIO()):
            return np.array([Cider().compute_score(wanted, found)[0], *Bleu(4).compute_score(wanted, found)[0]])

    return measure("CIDEr-D and BLEU", f"{len(said):,} captions, {REFERENCES} references", ours, official)


def run_words(scale: float, wordnet: Path, folder: Path) -> Result:
    """Measure LRS-VQA's rule; reading WordNet is left out on both sides."""
    from eval_suites.rules.synonyms import match_synonym
    from eval_suites.rules.wordnet import load_wordnet

    generator = np.random.default_rng(2)
    count = max(20, round(scale * QUESTIONS))
    pairs = [(str(a), str(b)) for a, b in generator.choice(np.array(ANSWERS), (count, 2))]
    packed, reader = load_wordnet(), open_wordnet(wordnet, folder)

    def official() -> np.ndarray:
        return np.array([a == b or loop_over_senses(reader, a, b) > 0.8 for a, b in pairs], float)

    def ours() -> np.ndarray:
        packed.senses_of.cache_clear()
        return np.array([bool(match_synonym(a, b, packed)) for a, b in pairs], float)

    return measure("LRS-VQA's WordNet rule", f"{count:,} answers", ours, official)


def loop_over_senses(reader: Any, first: str, second: str) -> float:
    """Give the largest path similarity of all pairs of senses."""
    best = 0.0
    for one in reader.synsets(first):
        for other in reader.synsets(second):
            best = max(best, one.path_similarity(other) or 0.0)
    return best


def open_wordnet(folder: Path, place: Path) -> Any:
    """Open the database files with nltk, which wants them in a folder of its own.

    It also wants a list of lexicographers' names, which Debian leaves out and path similarity does not use.
    """
    from nltk.corpus import wordnet
    from nltk.data import path as searched

    inner = place / "corpora" / "wordnet"
    inner.mkdir(parents=True)
    for path in folder.iterdir():
        shutil.copy(path, inner)
    if not (inner / "lexnames").exists():
        (inner / "lexnames").write_text("".join(f"{number:02}\tname{number}\t1\n" for number in range(45)))
    searched.append(str(place))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wordnet.synsets("ship")
    return wordnet


def run_retrieval(scale: float, folder: Path) -> Result:
    """Measure recall at 1, 5 and 10 both ways on a matrix that lies on disk."""
    from eval_suites.readers.similarity import group_captions
    from eval_suites.rules.ranks import block_of_matrix, rank_columns, rank_right

    images = max(10, round(IMAGES * scale**0.5))
    captions = images * CAPTIONS_PER_IMAGE
    owners = np.arange(captions) // CAPTIONS_PER_IMAGE
    matrix = np.lib.format.open_memmap(folder / "similarity.npy", mode="w+", dtype=np.float32, shape=(images, captions))
    generator = np.random.default_rng(3)
    for image in range(images):
        matrix[image] = generator.normal(size=captions)
        matrix[image, owners == image] += 2.5
    right = group_captions(owners, images)

    def ours() -> np.ndarray:
        forth = rank_right(block_of_matrix(matrix), right, captions, later_first=True).rank
        back = rank_columns(matrix, owners, later_first=True).rank
        return np.array([(ranks < step).mean() for ranks in (forth, back) for step in STEPS])

    size = f"{images:,} images x {captions:,} captions"
    return measure("retrieval, R@1, 5, 10 both ways", size, ours, lambda: sort_every_row(matrix, owners))


def sort_every_row(matrix: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """Give recall as acc_i2t2 and acc_t2i2 do: argsort, reverse, and look for the right ones."""
    forth, back = np.zeros(len(matrix)), np.zeros(len(owners))
    for image, row in enumerate(matrix):
        order = np.argsort(row)[::-1]
        forth[image] = min(np.where(order == caption)[0][0] for caption in np.flatnonzero(owners == image))
    for caption, column in enumerate(matrix.T):
        back[caption] = np.where(np.argsort(column)[::-1] == owners[caption])[0][0]
    return np.array([(ranks < step).mean() for ranks in (forth, back) for step in STEPS])


def table(results: list[Result]) -> list[str]:
    """Write the results as a table."""
    lines = [
        "| what | size | ours | official approach | times | largest difference | peak memory |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    return lines + [
        f"| {one.name} | {one.size} | {one.ours_s:.2f} s | {one.official_s:.2f} s | "
        f"{one.official_s / max(one.ours_s, 1e-9):.0f} | {one.difference:.1e} | {one.peak_mb:.0f} MB |"
        for one in results
    ]


def main() -> None:
    """Measure, write the report and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full sizes")
    parser.add_argument("--only", default="detection,captions,words,retrieval")
    parser.add_argument("--wordnet", type=Path, help="folder of WordNet 3.0's index.*, data.* and *.exc")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    given = parser.parse_args()
    chosen, notes = given.only.split(","), []
    if "words" in chosen and not given.wordnet:
        chosen.remove("words")
        notes.append("LRS-VQA's WordNet rule was left out: it needs `--wordnet FOLDER` with WordNet 3.0's files.\n")
    with tempfile.TemporaryDirectory() as folder:
        runs: dict[str, Callable[[], Result]] = {
            "detection": lambda: run_detection(given.scale),
            "captions": lambda: run_captions(given.scale),
            "words": lambda: run_words(given.scale, given.wordnet, Path(folder)),
            "retrieval": lambda: run_retrieval(given.scale, Path(folder)),
        }
        results = [run() for name, run in runs.items() if name in chosen]
    page = [
        "# Scoring: time against the official approaches", "",
        f"Written by `python -m benchmarks.eval --scale {given.scale:g}`. One thread, processor time, same inputs.", "",
        f"- Machine: {name_machine()}; commit {name_commit()}", "", *table(results), "", *notes,
    ]  # fmt: skip
    given.out.write_text("\n".join(page))
    numbers = {one.name: round(one.official_s / max(one.ours_s, 1e-9), 1) for one in results}
    print(json.dumps({"benchmark": "eval", "scale": given.scale, "times": numbers}))


if __name__ == "__main__":
    main()
