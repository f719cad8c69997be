"""GeoChat-Bench, scene classification: AID and UC Merced, the class named from a list in the prompt.

The class that counts is the folder in the question's id ("Airport/airport_1.jpg"), which the official script compares
with the answer without blanks and dots (mbzuai-oryx/GeoChat, geochat/eval/batch_geochat_scene.py). One row of aid.jsonl
has a damaged ground_truth, which this rule does not read.
"""

from __future__ import annotations

from typing import Final

from eval_suites.baselines import MAJORITY_OF_TEST, RANDOM
from eval_suites.suites.asking import ask, number_twins
from eval_suites.suites.benchmark import Benchmark, Questions
from eval_suites.suites.folder import Folder

FILES: Final = ("aid.jsonl", "UCmerced.jsonl")


def load(folder: Folder) -> Questions:
    """Read one set or both; the set is the category."""
    present = [name for name in FILES if folder.has(name)]
    if not present:
        raise folder.refuse(f"has neither {' nor '.join(FILES)}")
    cases = (
        ask(
            f"{name.split('.')[0]}/{row['question_id']}",
            [folder.image(str(row.get("image") or row["question_id"]), "images")],
            row["text"],
            answers=[str(row["question_id"]).split("/")[0]],
            category=name.split(".")[0],
            values={"question_id": row["question_id"]},
        )
        for name in present
        for row in folder.rows(name)
    )
    return Questions(number_twins(cases))


BENCHMARK: Final = Benchmark(
    name="geochat-scene",
    title="GeoChat-Bench, scenes of AID and UC Merced",
    layout="aid.jsonl or UCmerced.jsonl, and the images of the dataset",
    get="https://huggingface.co/datasets/MBZUAI/GeoChat-Bench, images from AID and UC Merced",
    licence="annotations Apache-2.0; images under their datasets' terms",
    about=__doc__,
    load=load,
    tokens=24,
    baselines=(RANDOM, MAJORITY_OF_TEST),
    probes=("flip", "turn", "brightness", "jpeg", "shift"),
)
