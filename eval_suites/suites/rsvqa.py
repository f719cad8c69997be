"""RSVQA, low and high resolution: questions made from OpenStreetMap; accuracy by type, over all, and over types.

Papers quote presence, comparison and rural or urban (LR), or presence and comparison of the second test set (HR), and
leave counts and areas out; all types are asked here, and scored apart. HR has two test sets: `test` and `test_phili`
(asked where the first is not there). A folder without a test set is asked its validation set, which the results name.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from eval_suites.baselines import MAJORITY, RANDOM
from eval_suites.suites.asking import ask
from eval_suites.suites.benchmark import Benchmark, Questions
from eval_suites.suites.folder import Folder

TAIL: Final = " Answer the question using a single word or phrase."
SPLITS: Final = {
    "LR": ("LR_split_test", "LR_split_val"),
    "HR": ("USGS_split_test", "USGS_split_test_phili", "USGS_split_val"),
}
IMAGES: Final = {"LR": "Images_LR", "HR": "Data"}


def load_split(folder: Folder, variant: str) -> Questions:
    """Read the test questions of one variant, and the answers of its training split where it is there."""
    split = next((name for name in SPLITS[variant] if folder.has(f"{name}_questions.json")), SPLITS[variant][0])
    cases = tuple(
        ask(
            question["id"],
            [folder.image(f"{question['img_id']}.tif", IMAGES[variant])],
            question["question"] + TAIL,
            answers=[answer],
            category=question["type"],
        )
        for question, answer in read_pairs(folder, split)
    )
    training: dict[str, Counter[str]] = {}
    known = split.split("_split_")[0] + "_split_train"
    if folder.has(f"{known}_questions.json"):
        for question, answer in read_pairs(folder, known):
            training.setdefault(question["type"], Counter())[answer] += 1
    return Questions(cases, split.split("split_")[1], {name: dict(counts) for name, counts in training.items()})


def read_pairs(folder: Folder, split: str) -> list[tuple[dict[str, Any], str]]:
    """Read the active questions of a split, each with its answer."""
    questions = folder.json(f"{split}_questions.json")["questions"]
    answers = {row["id"]: row for row in folder.json(f"{split}_answers.json")["answers"] if row.get("active", True)}
    return [
        (question, str(answers[question["answers_ids"][0]]["answer"]))
        for question in questions
        if question.get("active", True) and question["answers_ids"][0] in answers
    ]


def load_low(folder: Folder) -> Questions:
    """Read RSVQA-LR."""
    return load_split(folder, "LR")


def load_high(folder: Folder) -> Questions:
    """Read RSVQA-HR."""
    return load_split(folder, "HR")


def _build(name: str, title: str, layout: str, page: str, load: Any) -> Benchmark:
    return Benchmark(
        name=name,
        title=title,
        layout=layout,
        get=page,
        licence="questions ODbL (OpenStreetMap); images public domain (USGS), Copernicus (Sentinel-2)",
        about=__doc__ or "",
        load=load,
        tokens=16,
        baselines=(MAJORITY, RANDOM),
        probes=("flip", "turn", "brightness", "jpeg", "shift"),
    )


LOW: Final = _build(
    "rsvqa-lr",
    "RSVQA-LR",
    "LR_split_test_{questions,answers,images}.json and Images_LR/<id>.tif (and the train files, for the majority)",
    "https://zenodo.org/records/6344334",
    load_low,
)
HIGH: Final = _build(
    "rsvqa-hr",
    "RSVQA-HR",
    "USGS_split_test[_phili]_{questions,answers,images}.json and Data/<id>.tif (and the train files)",
    "https://zenodo.org/records/6344367",
    load_high,
)
