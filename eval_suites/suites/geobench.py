"""GEOBench-VLM: multiple choice of one image (Single/qa.json) or of dates (Temporal/qa.json), five wordings each.

The repository saves predictions and has no scorer: the letter is compared for every pair of question and wording. Of
several dates the first and the last are shown, as its script does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from eval_suites.baselines import MAJORITY_OF_TEST, RANDOM
from eval_suites.cases import Case
from eval_suites.suites.asking import ask, number_twins, read_options
from eval_suites.suites.benchmark import Benchmark, Questions
from eval_suites.suites.folder import Folder

HEAD: Final = (
    "For the given the Multiple Choice Question Answer below, analyze the question and answer strictly from one of the "
    "options below. Strictly answer the choice only. No additional text. Provide only the letter (A., B., C., D. or "
    "E.) corresponding to the correct answer for the multiple-choice question given. "
)


def load(folder: Folder) -> Questions:
    """Read the questions of both parts, a case for each wording."""
    paths = folder.files("Single/qa.json") + folder.files("Temporal/qa.json")
    if not paths:
        raise folder.refuse("has neither Single/qa.json nor Temporal/qa.json")
    cases = []
    for path in paths:
        for row in folder.json(str(path.relative_to(folder.root))):
            cases += [_case(folder, path, row, number, text) for number, text in enumerate(row["prompts"])]
    return Questions(number_twins(cases))


def _case(folder: Folder, path: Path, row: dict[str, Any], number: int, text: str) -> Case:
    named = row["image_path"] if isinstance(row["image_path"], list) else [row["image_path"]]
    shown = [named[0], named[-1]] if len(named) > 1 else named
    part = str(path.parent.relative_to(folder.root))
    return ask(
        f"{part}/{row['question_id']}/{number}",
        [folder.image(name, part) for name in shown],
        f"{HEAD}{row.get('cls_description') or ''}\n{text}\nOptions: {row['options']}",
        answers=[str(row["ground_truth_option"]).rstrip(".")],
        category=row["task"],
        options=read_options([f"{'ABCDE'[place]}. {option}" for place, option in enumerate(row["options_list"])]),
    )


BENCHMARK: Final = Benchmark(
    name="geobench",
    title="GEOBench-VLM, multiple choice",
    layout="Single/qa.json, Temporal/qa.json and their images",
    get="https://huggingface.co/datasets/aialliance/GEOBench-VLM",
    licence="Apache-2.0",
    about=__doc__,
    load=load,
    baselines=(RANDOM, MAJORITY_OF_TEST),
    probes=("brightness", "jpeg", "shift"),
)
