"""CDVQA and QAG-360K: questions about what changed between two dates, with a closed set of answers.

CDVQA comes in RSVQA's manner with SECOND's pairs: Test is asked, or the first of Test2 and Val that is there. QAG-360K
(like413/VisTA) lists whole questions in one file, and its masks are a suite of their own in the table of rules; the
data is had on request.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from eval_suites.baselines import MAJORITY, RANDOM
from eval_suites.suites.asking import ask, number_twins
from eval_suites.suites.benchmark import Benchmark, Questions
from eval_suites.suites.folder import Folder

PLACES: Final = ("", "SECOND_train_set", "images")
TAIL: Final = " Answer the question using a single word or phrase."
ANSWERS: Final = (
    " Possible answers: yes, no, 0, 0_to_10, 10_to_20, 20_to_30, 30_to_40, 40_to_50, 50_to_60, 60_to_70, 70_to_80, "
    "80_to_90, 90_to_100, NVG_surface, buildings, low_vegetation, trees, water, playgrounds."
)


def load_cdvqa(folder: Folder) -> Questions:
    """Read the questions of a test split, and the answers of training."""
    split = next((name for name in ("Test", "Test2", "Val") if folder.has(f"{name}_questions.json")), "Test")
    cases = (
        ask(
            question["id"],
            _pair(folder, file),
            question["question"] + ANSWERS + TAIL,
            answers=[answer],
            category=question["type"],
        )
        for question, answer, file in _rows(folder, split)
    )
    training: dict[str, Counter[str]] = {}
    if folder.has("Train_questions.json"):
        for question, answer, _ in _rows(folder, "Train"):
            training.setdefault(question["type"], Counter())[answer] += 1
    return Questions(number_twins(cases), split.lower(), {name: dict(counts) for name, counts in training.items()})


def load_qag(folder: Folder) -> Questions:
    """Read the questions of QAG-360K's test file."""
    cases = (
        ask(
            row["id"],
            _pair(folder, row["img_id"]),
            row["question"] + TAIL,
            answers=[row["answer"]],
            category=row["type"],
        )
        for row in folder.json("*test*.json", "*Test*.json")["question"]
    )
    return Questions(number_twins(cases))


def _rows(folder: Folder, split: str) -> list[tuple[dict[str, Any], str, str]]:
    questions = folder.json(f"{split}_questions.json")["questions"]
    answers = {row["id"]: str(row["answer"]) for row in folder.json(f"{split}_answers.json")["answers"]}
    files = {row["id"]: str(row["file_name"]) for row in folder.json(f"{split}_images.json")["images"]}
    active = [row for row in questions if row.get("active", True)]
    return [(row, answers[row["answers_ids"][0]], files[row["img_id"]]) for row in active]


def _pair(folder: Folder, name: str) -> list[str]:
    """Give both dates of a pair: files of one name in im1/ and im2/."""
    for place in PLACES:
        first, second = (folder.root / place / date / name for date in ("im1", "im2"))
        if first.is_file() and second.is_file():
            return [str(first), str(second)]
    return [str(folder.root / "im1" / name), str(folder.root / "im2" / name)]


CDVQA: Final = Benchmark(
    name="cdvqa",
    title="CDVQA, questions about change",
    layout="Test_{questions,answers,images}.json and SECOND's im1/ and im2/ (and the Train files, for the majority)",
    get="https://github.com/YZHJessica/CDVQA, images from https://captain-whu.github.io/SCD",
    licence="annotations Apache-2.0; images under SECOND's terms",
    about=__doc__,
    load=load_cdvqa,
    tokens=16,
    baselines=(MAJORITY, RANDOM),
    probes=("swap", "flip", "turn", "brightness", "jpeg"),
)
QAG: Final = Benchmark(
    name="qag",
    title="QAG-360K, questions about change",
    layout="the test questions (a JSON file with the list `question`) and im1/ and im2/",
    get="https://github.com/like413/VisTA, on request",
    licence="CC BY-NC",
    about=__doc__,
    load=load_qag,
    tokens=16,
    baselines=(MAJORITY, RANDOM),
    probes=("swap", "flip", "turn", "brightness", "jpeg"),
)
