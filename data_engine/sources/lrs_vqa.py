"""LRS-VQA: a benchmark of 7,333 questions on 1,657 large images (1,024 to 27,328 px) of FAIR1M, GLH-Bridge and STAR.

Layout (the official one): LRS_VQA/LRS_VQA_merged.jsonl and LRS_VQA/image/<number>.tif; `root` is LRS_VQA or holds it. A
line is {"question_id": "FAIR_1", "image": "LRS_VQA/image/15565.tif", "category", "text", "ground_truth", "hbox",
"rbox", "image_size"}; the prefix of the question_id is the source of the image.
Quirks: `text` ends with the prompt "Answer the question using a single word or phrase.", which is cut off here; `image`
is relative to the folder above LRS_VQA; hbox and rbox tell where the object of the question is and are not part of the
answer. It is a benchmark: the only split is test.
Licence: code Apache-2.0; images as their sources (academic use). Citation: Luo et al., When large vision-language model
meets large remote sensing imagery: coarse-to-fine text-guided token pruning, ICCV 2025.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Final

from data_engine import generate
from data_engine.sources.boundary import Reject, convert_each
from data_engine.sources.questions import ask, read_rows
from data_engine.sources.source import Source, describe_image, require_split
from vlm.records import Image, Sample

NAME: Final = "lrs_vqa"
SPLITS: Final = ("test",)
PROMPT: Final = "Answer the question using a single word or phrase."
REQUIRED: Final = ("question_id", "image", "category", "text", "ground_truth")
LICENCE: Final = "images as their sources (academic use)"
LAYOUT: Final = (
    "LRS_VQA_merged.jsonl and image/*.tif, in the folder itself or in LRS_VQA/; they come from "
    "https://huggingface.co/datasets/ll-13/LRS-VQA"
)


def load(root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
    """Yield one sample per question; ids end with the category. `seed` changes nothing."""
    require_split(NAME, split, SPLITS)
    home = Path(root) / "LRS_VQA" if (Path(root) / "LRS_VQA").is_dir() else Path(root)
    images: dict[str, Image] = {}

    def convert(row: dict[str, Any]) -> Iterator[Sample]:
        filename = PurePosixPath(str(row["image"])).name
        if filename not in images:
            images[filename] = describe_image(home / "image" / filename, name=NAME, layout=LAYOUT)
        kind = str(row["category"])
        turn = ask(
            str(row["text"]).strip().removesuffix(PROMPT),
            row["ground_truth"],
            task="count" if kind == "count" else "vqa",
        )
        sample_id = f"{NAME}/{split}/{row['question_id']}/{kind.replace(' ', '-')}"
        yield generate.wrap_turn(
            turn, sample_id=sample_id, images=(images[filename],), source=NAME, split=split, licence=LICENCE
        )

    rows = read_rows(home / "LRS_VQA_merged.jsonl", name=NAME, layout=LAYOUT, required=REQUIRED, reject=reject)
    return convert_each(rows, convert, name=NAME, reject=reject)


SOURCE: Final = Source(
    name=NAME, load=load, splits=SPLITS, layout=LAYOUT, licence=LICENCE, citation="Luo et al., ICCV 2025"
)
