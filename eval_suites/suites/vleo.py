"""VLEO-Bench, counting: cars, trees, buildings or animals of an image as one number; refusals are reported beside.

The repository makes its questions from COWC, Neon trees, xBD and aerial animals with notebooks of its own; the folder
holds what it writes: a table of images, questions and counts (`image`, `prompt` or `question`, `count` or `answer`).
Grounding of VLEO-Bench is DIOR-RSVG with the protocol `vleo-grounding`.
"""

from __future__ import annotations

from typing import Final

from eval_suites.baselines import MEDIAN_OF_TEST
from eval_suites.suites.asking import ask, number_twins
from eval_suites.suites.benchmark import Benchmark, Questions
from eval_suites.suites.folder import Folder


def load(folder: Folder) -> Questions:
    """Read the rows of the table."""
    cases = (
        ask(
            row.get("id", row.get("question_id", number)),
            [folder.image(str(row.get("image") or row.get("image_path")))],
            str(row.get("prompt") or row.get("question")),
            answers=[row.get("count", row.get("answer"))],
            category=row.get("task", ""),
        )
        for number, row in enumerate(folder.rows("*count*.jsonl", "*count*.csv", "*.jsonl", "*.csv"))
    )
    return Questions(number_twins(cases))


BENCHMARK: Final = Benchmark(
    name="vleo",
    title="VLEO-Bench, counting",
    layout="a table (csv or jsonl) with image, question and count, and the images",
    get="https://github.com/Earth-Intelligence-Lab/vleo-bench",
    licence="images under their datasets' terms",
    about=__doc__,
    load=load,
    tokens=16,
    baselines=(MEDIAN_OF_TEST,),
    probes=("flip", "turn", "brightness", "jpeg", "shift"),
)
