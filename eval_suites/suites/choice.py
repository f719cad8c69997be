"""CHOICE: 10,507 questions of 23 tasks, all but two with four options; grounding by a box against a polygon.

Folders {perception,reasoning}/<dimension>/<task>/<task>.json (problems/ holds them flat). Grounding answers are
written as shares of the image's sides, which the official rule reads (it divides by ten until no number is above 1).
Referring segmentation has masks and no letters: it is a mask suite's matter and is left out here.
"""

from __future__ import annotations

import json
from typing import Any, Final

from eval_suites.baselines import MAJORITY_OF_TEST, RANDOM
from eval_suites.cases import Case
from eval_suites.images import frames, image_size
from eval_suites.rules.choice_box import parse_polygon
from eval_suites.suites.asking import ask, number_twins, polygon_of, read_options
from eval_suites.suites.benchmark import Benchmark, Questions
from eval_suites.suites.folder import Folder
from vlm.codecs import parse_text
from vlm.geometry import to_hbb

LETTER_PROMPT: Final = (
    "Please select the most appropriate answer for the following single-choice question from the given options. Only "
    "respond with the corresponding letter (A, B, C or D). Do not include any additional text.\n"
)
BOX_PROMPT: Final = (
    "Please output the coordinates of the {phrase} in the image in the format (x1, y1, x2, y2). Do not include any "
    "additional text."
)


def load(folder: Folder) -> Questions:
    """Read every task with letters or polygons; the task is the category."""
    paths = folder.files("perception/*/*/*.json") + folder.files("reasoning/*/*/*.json")
    if not paths:
        raise folder.refuse("has no perception/*/*/*.json")
    cases = []
    for path in paths:
        for row in json.loads(path.read_text(encoding="utf-8")):
            if "mask_path" not in row:
                cases.append(_case(folder, path.stem, row))
    return Questions(number_twins(cases))


def _case(folder: Folder, task: str, row: dict[str, Any]) -> Case:
    image = [folder.image(row["image_path"])]
    question, target = str(row.get("question") or row.get("query")), row.get("answer", row.get("label"))
    corners = parse_polygon(target)
    if corners is None:
        values = {"query": question}
        text = LETTER_PROMPT + question
        return ask(
            row["id"], image, text, answers=[target], category=task, options=read_options(question), values=values
        )
    phrase = str(row.get("obj") or row.get("object") or question)
    width, height = image_size(image[0])
    shape = polygon_of([x * side for point in corners for x, side in zip(point, (width, height), strict=True)])
    return ask(
        row["id"],
        image,
        BOX_PROMPT.format(phrase=phrase),
        category=task,
        form="box",
        phrase=phrase,
        truth=corners,
        regions=[(phrase, shape)],
        sizes=[(width, height)],
    )


def translate(case: Case, output: str | None, dialect: str, protocol: str) -> tuple[Any, Any]:
    """Give letters as they are, and boxes as shares of the image's sides."""
    del protocol
    if case.form != "box" or output is None:
        return output, case.truth if case.form == "box" else case.target
    width, height = frames(case)[0]
    regions = parse_text(output, sizes=[(width, height)], dialect=dialect).regions
    if not regions:
        return output, case.truth
    box = to_hbb(regions[0].geometry)
    shares = (box.x1 / width, box.y1 / height, box.x2 / width, box.y2 / height)
    return ", ".join(f"{share:.4f}" for share in shares), case.truth


BENCHMARK: Final = Benchmark(
    name="choice",
    title="CHOICE, perception and reasoning",
    layout="perception/<dimension>/<task>/<task>.json, reasoning/... and the images/ beside them",
    get="https://github.com/ShawnAn-WHU/CHOICE",
    licence="MIT",
    about=__doc__,
    load=load,
    translate=translate,
    baselines=(RANDOM, MAJORITY_OF_TEST),
    probes=("options", "brightness", "jpeg", "shift"),
)
