"""LRS-VQA: 7,333 open questions on large images of FAIR1M, GLH-Bridge and STAR; AA is the mean of its categories.

The file's `text` is the whole prompt. Scored per source (FAIR, Bridge, STAR), which is the prefix of the question's id.
"""

from __future__ import annotations

from typing import Final

from eval_suites.baselines import MAJORITY_OF_TEST, RANDOM
from eval_suites.suites.asking import ask, number_twins
from eval_suites.suites.benchmark import Benchmark, Questions
from eval_suites.suites.folder import Folder


def load(folder: Folder) -> Questions:
    """Read the questions; boxes and sizes in the file say where the object of the question is and are not used."""
    cases = (
        ask(
            row["question_id"],
            [folder.image(row["image"], "..")],
            row["text"],
            answers=[row["ground_truth"]],
            category=row["category"],
            values={"question_id": row["question_id"]},
        )
        for row in folder.rows("LRS_VQA_merged.jsonl")
    )
    return Questions(number_twins(cases))


BENCHMARK: Final = Benchmark(
    name="lrsvqa",
    title="LRS-VQA, open questions on large images",
    layout="LRS_VQA_merged.jsonl and image/*.tif",
    get="https://huggingface.co/datasets/ll-13/LRS-VQA",
    licence="code Apache-2.0; images academic use",
    about=__doc__,
    load=load,
    tokens=16,
    baselines=(RANDOM, MAJORITY_OF_TEST),
    probes=("flip", "turn", "brightness", "jpeg", "shift"),
)
