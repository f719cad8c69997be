"""VRSBench: captions (9,350), referring (16,159) and questions (37,409) on validation images of 512 px.

The evaluation files of lx709/VRSBench. Boxes are written in hundredths of the image's sides; questions of the types
`image` and `rural or urban` count as `scene type`. The official rule for questions asks a judge where neither string
match nor a closed answer decides: without --judge what it would decide counts as wrong.
"""

from __future__ import annotations

import re
from typing import Any, Final

from eval_suites.baselines import MAJORITY, RANDOM
from eval_suites.cases import Case
from eval_suites.images import frames
from eval_suites.suites.asking import ask, box_of, number_twins
from eval_suites.suites.benchmark import Benchmark, Questions
from eval_suites.suites.folder import Folder
from vlm.codecs import parse_text
from vlm.geometry import HBB, to_hbb

SIDE_PX: Final = 512
IMAGES: Final = ("Images_val", "Images_val/Images_val")
LICENCE: Final = "annotations CC BY 4.0; images under the terms of DOTA and DIOR"
PAGE: Final = "https://huggingface.co/datasets/xiang709/VRSBench"
SCENE: Final = {"image": "scene type", "rural or urban": "scene type"}


def load_captions(folder: Folder) -> Questions:
    """Read the captions, one reference an image."""
    cases = (
        ask(
            row.get("question_id", number),
            [folder.image(row["image_id"], *IMAGES)],
            "Describe the image in detail.",
            answers=[row["ground_truth"]],
        )
        for number, row in enumerate(folder.rows("VRSBench_EVAL_Cap.json"))
    )
    return Questions(number_twins(cases), split="val")


def load_referring(folder: Folder) -> Questions:
    """Read the referring phrases with their boxes."""
    cases = []
    for number, row in enumerate(folder.rows("VRSBench_EVAL_referring.json")):
        hundredths = [int(digits) for digits in re.findall(r"\d+", row["ground_truth"])[:4]]
        box = box_of([value * SIDE_PX / 100 for value in hundredths])
        cases.append(
            ask(
                row.get("question_id", number),
                [folder.image(row["image_id"], *IMAGES)],
                f"Give the bounding box of this object: {row['question']}",
                category=row.get("obj_cls", ""),
                regions=[(row["question"], box)],
                form="box",
                phrase=row["question"],
                truth=row["ground_truth"],
                values={"size_group": row.get("size_group", ""), "unique": row.get("unique")},
                sizes=[(SIDE_PX, SIDE_PX)],
            )
        )
    return Questions(number_twins(cases), split="val")


def load_questions(folder: Folder) -> Questions:
    """Read the questions; the types of scene are one."""
    cases = (
        ask(
            row.get("question_id", number),
            [folder.image(row["image_id"], *IMAGES)],
            f"{row['question']} Answer the question using a single word or a short phrase.",
            answers=[row["ground_truth"]],
            category=SCENE.get(row["type"], row["type"]),
            values={"question": row["question"]},
        )
        for number, row in enumerate(folder.rows("VRSBench_EVAL_vqa.json"))
    )
    return Questions(number_twins(cases), split="val")


def translate_box(case: Case, output: str | None, dialect: str, protocol: str) -> tuple[Any, Any]:
    """Give boxes as the benchmark writes them, int(100 x / side), for its own rule, and in pixels for the others."""
    size = frames(case)[0]
    regions = parse_text(output or "", sizes=[size], dialect=dialect).regions
    found = None if output is None else ""
    if protocol == "official":
        return (write_box(to_hbb(regions[0].geometry), size) if regions else found), case.truth
    boxes = [to_hbb(region.geometry) for region in (*regions[:1], *case.regions)]
    corners = [[box.x1, box.y1, box.x2, box.y2] for box in boxes]
    return (corners[0] if regions else found), corners[-1]


def write_box(box: HBB, size: tuple[int, int]) -> str:
    """Write a box in hundredths of the image's sides, cut off and not rounded."""
    numbers = [box.x1 / size[0], box.y1 / size[1], box.x2 / size[0], box.y2 / size[1]]
    return "{" + "".join(f"<{int(100 * share + 1e-9)}>" for share in numbers) + "}"


CAPTIONS: Final = Benchmark(
    name="vrsbench-cap",
    title="VRSBench, captions",
    layout="VRSBench_EVAL_Cap.json and Images_val/*.png",
    get=PAGE,
    licence=LICENCE,
    about=__doc__,
    load=load_captions,
    tokens=256,
    baselines=(RANDOM,),
    slow=True,
)
REFERRING: Final = Benchmark(
    name="vrsbench-ref",
    title="VRSBench, referring, horizontal boxes",
    layout="VRSBench_EVAL_referring.json and Images_val/*.png",
    get=PAGE,
    licence=LICENCE,
    about=__doc__,
    load=load_referring,
    translate=translate_box,
    baselines=(RANDOM,),
    probes=("flip", "turn", "brightness", "jpeg", "shift"),
)
QUESTIONS: Final = Benchmark(
    name="vrsbench-vqa",
    title="VRSBench, questions",
    layout="VRSBench_EVAL_vqa.json and Images_val/*.png",
    get=PAGE,
    licence=LICENCE,
    about=__doc__,
    load=load_questions,
    tokens=32,
    baselines=(MAJORITY, RANDOM),
    probes=("flip", "turn", "brightness", "jpeg", "shift"),
)
