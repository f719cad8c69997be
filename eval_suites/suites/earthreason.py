"""EarthReason: implicit questions answered by a mask; the first of six questions of each image, as the source asks.

Any label value but 0 is the target; some targets are empty, and then LISA's rule wants an empty mask ("none"). The test
split is asked, or the validation split where the folder holds no other.
"""

from __future__ import annotations

import json
from typing import Final

from eval_suites.baselines import EVERYTHING, RANDOM
from eval_suites.masks import translate_mask
from eval_suites.suites.asking import ask
from eval_suites.suites.benchmark import Benchmark, Questions
from eval_suites.suites.folder import Folder


def load(folder: Folder) -> Questions:
    """Read the questions of the test split, or of val."""
    split = next((name for name in ("test", "val") if folder.has(f"{name}/QAs/*.json")), "")
    if not split:
        raise folder.refuse("has neither test/QAs/*.json nor val/QAs/*.json")
    cases = []
    for path in folder.files(f"{split}/QAs/*.json"):
        question = json.loads(path.read_text(encoding="utf-8"))["questions"][0]
        label = path.parent.parent / "labels" / f"{path.stem}.png"
        if not label.is_file():
            raise folder.refuse(f"has no {label.relative_to(folder.root)}")
        cases.append(
            ask(
                path.stem,
                [folder.image(f"{path.stem}.jpg", f"{split}/images")],
                question,
                form="mask",
                truth=str(label),
            )
        )
    return Questions(tuple(cases), split=split)


BENCHMARK: Final = Benchmark(
    name="earthreason",
    title="EarthReason, reasoning segmentation",
    layout="test/images/*.jpg, test/labels/*.png and test/QAs/*.json (or val)",
    get="https://huggingface.co/datasets/earth-insights/EarthReason",
    licence="see the dataset's page; research use",
    about=__doc__,
    load=load,
    tokens=1024,
    translate=translate_mask,
    baselines=(RANDOM, EVERYTHING),
    probes=("flip", "turn", "brightness", "jpeg", "shift"),
)
