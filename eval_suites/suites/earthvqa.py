"""EarthVQA: questions on the land use of LoveDA's images, six types, with a closed set of answers.

The answers of Test are hidden (CodaBench 2922), so Val is asked. OA is exact; RMSE is measured on the number of the
answer's class for counts.
"""

from __future__ import annotations

from typing import Final

from eval_suites.baselines import MAJORITY, RANDOM
from eval_suites.suites.asking import ask
from eval_suites.suites.benchmark import Benchmark, Questions
from eval_suites.suites.folder import Folder

TAIL: Final = " Answer the question using a single word or phrase."


def load(folder: Folder) -> Questions:
    """Read the validation questions, and the answers of training."""
    cases = tuple(
        ask(
            f"{name}/{number}",
            [folder.image(name, "Val/images_png")],
            row["Question"] + TAIL,
            answers=[row["Answer"]],
            category=row["Type"],
        )
        for name, rows in folder.json("Val_QA.json").items()
        for number, row in enumerate(rows)
    )
    training: dict[str, dict[str, int]] = {}
    for rows in folder.json("Train_QA.json").values() if folder.has("Train_QA.json") else ():
        for row in rows:
            counts = training.setdefault(row["Type"], {})
            counts[str(row["Answer"])] = counts.get(str(row["Answer"]), 0) + 1
    return Questions(cases, "val", training)


BENCHMARK: Final = Benchmark(
    name="earthvqa",
    title="EarthVQA",
    layout="Val_QA.json and Val/images_png/*.png (and Train_QA.json, for the majority)",
    get="https://github.com/Junjue-Wang/EarthVQA",
    licence="CC BY-NC-SA 4.0, academic use",
    about=__doc__,
    load=load,
    tokens=48,
    baselines=(MAJORITY, RANDOM),
    probes=("flip", "turn", "brightness", "jpeg", "shift"),
)
