"""RSVLM-QA: 162,373 questions on 13,820 images of WHU, LoveDA, INRIA and iSAID; counts from masks, words from GPT-4.1.

Layout: RSVLM-QA.jsonl, a line an image: {"id", "image": "RSVLM-QA/INRIA-Aerial-Image-Labeling/train/images/a.tif",
"vqa_pairs": [{"question_id", "question_type", "question", "answer"}]}, beside the folder RSVLM-QA/ with the images.
`root` holds both. Read from published loaders; the file itself was not at hand.
Quirks: a question of type caption asks for a description; the types of the count track are count, presence and
comparison, whose answers are sentences with digits ("There are 15 buildings."); some copies lack images, which are then
refused by name. There is one split, all.
Licence: none stated for the annotations; images as their sources. Citation: Zi et al., RSVLM-QA: a benchmark dataset
for remote sensing vision language model-based question answering, ACM MM 2025.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from data_engine import generate
from data_engine.sources.boundary import Reject, convert_each
from data_engine.sources.questions import ask, read_rows
from data_engine.sources.source import Source, describe_image, require_split
from vlm.errors import DataError
from vlm.records import Sample, Task

NAME: Final = "rsvlm_qa"
SPLITS: Final = ("all",)
LICENCE: Final = "annotations: none stated; images as their sources"
LAYOUT: Final = (
    "RSVLM-QA.jsonl beside the folder RSVLM-QA/ with the images; they come from https://github.com/StarZi0213/RSVLM-QA"
)


def load(root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
    """Yield one sample per question; ids end with the question's type. `seed` changes nothing."""
    require_split(NAME, split, SPLITS)
    path = Path(root) / "RSVLM-QA.jsonl"

    def convert(row: dict[str, Any]) -> Iterator[Sample]:
        image = describe_image(Path(root) / str(row["image"]), name=NAME, layout=LAYOUT)
        for number, pair in enumerate(row["vqa_pairs"]):
            if not isinstance(pair, dict) or not {"question", "answer"} <= pair.keys():
                raise DataError(
                    f"{path}: pair {number} of image {row['id']} lacks question or answer: download it again"
                )
            kind = str(pair.get("question_type", "unknown"))
            turn = ask(str(pair["question"]), pair["answer"], task=_task(kind))
            sample_id = f"{NAME}/{split}/{row['id']}/{number:03d}/{kind.replace(' ', '-')}"
            yield generate.wrap_turn(
                turn, sample_id=sample_id, images=(image,), source=NAME, split=split, licence=LICENCE
            )

    rows = read_rows(path, name=NAME, layout=LAYOUT, required=("id", "image", "vqa_pairs"), reject=reject)
    return convert_each(rows, convert, name=NAME, reject=reject)


def _task(kind: str) -> Task:
    if kind == "caption":
        return "caption"
    return "count" if kind in ("count", "counting") else "vqa"


SOURCE: Final = Source(
    name=NAME, load=load, splits=SPLITS, layout=LAYOUT, licence=LICENCE, citation="Zi et al., ACM MM 2025"
)
