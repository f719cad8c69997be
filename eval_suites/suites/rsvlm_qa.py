"""RSVLM-QA: questions on images of WHU, LoveDA, INRIA and iSAID; the official score is a judge's.

No deterministic score exists: with --judge the official prompts are asked, without it the string match beside them is
all there is, and the score's name says so.
"""

from __future__ import annotations

from typing import Final

from eval_suites.baselines import RANDOM
from eval_suites.suites.asking import ask, number_twins
from eval_suites.suites.benchmark import Benchmark, Questions
from eval_suites.suites.folder import Folder


def load(folder: Folder) -> Questions:
    """Read all questions; rows are flat, or lists of pairs an image."""
    cases = []
    for number, row in enumerate(folder.rows("RSVLM-QA.jsonl", "RSVLM-QA.json")):
        for pair in row.get("vqa_pairs", [row]):
            cases.append(
                ask(
                    f"{row.get('id', number)}/{pair.get('question_id', number)}",
                    [folder.image(row["image"], "..")],
                    pair["question"],
                    answers=[pair.get("answer", pair.get("ground_truth", ""))],
                    category=pair.get("question_type", ""),
                    values={"question": pair["question"], "question_type": pair.get("question_type", "")},
                )
            )
    return Questions(number_twins(cases), split="all")


BENCHMARK: Final = Benchmark(
    name="rsvlm-qa",
    title="RSVLM-QA, questions of six types",
    layout="RSVLM-QA.jsonl beside the folder RSVLM-QA/ with the images",
    get="https://github.com/StarZi0213/RSVLM-QA",
    licence="none stated; images under their datasets' terms",
    about=__doc__,
    load=load,
    tokens=256,
    baselines=(RANDOM,),
    probes=("flip", "turn", "brightness", "jpeg", "shift"),
)
