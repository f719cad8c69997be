"""MME-RealWorld, Remote Sensing: 3,738 multiple choice questions (position, color, count) on large images.

Asked with the official prompt (yfzhang114/MME-RealWorld); the records with Subtask "Remote Sensing" of
MME_RealWorld.json, or of the lite version's file. Some mirrors miss images: see --skip-missing.
"""

from __future__ import annotations

from typing import Final

from eval_suites.baselines import MAJORITY_OF_TEST, RANDOM
from eval_suites.suites.asking import ask, number_twins, read_options
from eval_suites.suites.benchmark import Benchmark, Questions
from eval_suites.suites.folder import Folder

TAIL: Final = (
    "Select the best answer to the above multiple-choice question based on the image. Respond with only the letter "
    "(A, B, C, D, or E) of the correct option.\nThe best answer is:"
)


def load(folder: Folder) -> Questions:
    """Read the questions about remote sensing images."""
    rows = [row for row in folder.rows("MME_RealWorld*.json", "MME-RealWorld*.json") if row.get("Subtask") == SUBTASK]
    cases = (
        ask(
            row["Question_id"],
            [folder.image(row["Image"], "remote_sensing", "images")],
            f"{row['Text']} The choices are listed below: \n" + "\n".join(row["Answer choices"]) + f"\n{TAIL}",
            answers=[row["Ground truth"]],
            truth=row["Ground truth"],
            category=row["Category"],
            options=read_options(row["Answer choices"]),
            values={"choices": row["Answer choices"]},
        )
        for row in rows
    )
    return Questions(number_twins(cases))


SUBTASK: Final = "Remote Sensing"
BENCHMARK: Final = Benchmark(
    name="mme-rs",
    title="MME-RealWorld, Remote Sensing",
    layout="MME_RealWorld.json and the images of its Remote Sensing part, in any folder below",
    get="https://huggingface.co/datasets/yifanzhang114/MME-RealWorld",
    licence="CC BY-NC-SA 4.0",
    about=__doc__,
    load=load,
    baselines=(RANDOM, MAJORITY_OF_TEST),
    probes=("options", "brightness", "jpeg", "shift"),
)
