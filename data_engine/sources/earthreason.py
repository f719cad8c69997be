"""EarthReason: implicit questions whose answer is a mask and a sentence of reasoning, on 5,434 images of 28 classes.

Layout: {train,val,test}/{images,labels,QAs}/<name>.{jpg,png} / .png / .json; a split folder inside a split folder (as
some archives unpack) is read too. A QA file holds {"questions": [six], "answer": [three, or none]}.
Quirks: any label value but 0 is the target. Empty targets exist: their answers are empty too, and the sample's answer
is "none". The evaluation asks the first question only; here all six are asked.
Licence: none stated here; see the dataset's page (the code is Apache-2.0).
Citation: Li et al., SegEarth-R1: geospatial pixel reasoning via large language model, arXiv 2504.09644, 2025.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from data_engine import templates
from data_engine.labels import crop_mask, load_mask
from data_engine.sources.boundary import Reject, convert_each
from data_engine.sources.referring import Origin
from data_engine.sources.source import Source, describe_image, load_json, require_path, require_split
from vlm.errors import DataError
from vlm.records import Answer, Region, Sample, Turn

NAME: Final = "earthreason"
SPLITS: Final = ("train", "val", "test")
LICENCE: Final = "see the dataset's page; research use"
LAYOUT: Final = (
    "<split>/images/*.jpg with <split>/labels/*.png and <split>/QAs/*.json; they come from "
    "https://huggingface.co/datasets/earth-insights/EarthReason"
)
ASKS_MASK: Final = "Answer with a mask."
ASKS_REASON: Final = "Give the reason and the mask."


def load(root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
    """Yield one mask sample per question, and one with the reasoning per written answer."""
    require_split(NAME, split, SPLITS)
    folder = Path(root) / split
    folder = folder / split if (folder / split / "images").is_dir() else folder
    origin = Origin(NAME, split, LICENCE, seed)
    pictures = sorted(require_path(folder / "images", name=NAME, layout=LAYOUT).iterdir())
    labels, questions = (_find_beside(folder, Path(root) / split, inner) for inner in ("labels", "QAs"))

    def convert(path: Path) -> Iterator[Sample]:
        image = describe_image(path, name=NAME, layout=LAYOUT)
        content = load_json(questions / f"{path.stem}.json", name=NAME, layout=LAYOUT)
        bits = load_mask(require_path(labels / f"{path.stem}.png", name=NAME, layout=LAYOUT), threshold=1)
        if bits.shape != (image.height, image.width):
            raise DataError(f"{NAME}: the label of {path} is not {image.width} x {image.height} px as its image is")
        for name, turn in _turns(content, bits, str(path)):
            yield origin.wrap(turn, (image,), key=f"{NAME}/{split}/{path.stem}/{name}")

    return convert_each(pictures, convert, name=NAME, reject=reject)


def _find_beside(folder: Path, outer: Path, inner: str) -> Path:
    """Give labels/ or QAs/: beside images/, or one folder up, as the archives differ."""
    return require_path(folder / inner if (folder / inner).is_dir() else outer / inner, name=NAME, layout=LAYOUT)


def _turns(content: Any, bits: np.ndarray, where: str) -> Iterator[tuple[str, Turn]]:
    """Yield (name, turn): every question for the mask, then as many for the reasoning as there are answers."""
    questions, reasons = _texts(content, "questions", where), _texts(content, "answer", where)
    mask = crop_mask(bits)
    if not questions or (mask is None and reasons):
        raise DataError(f"{where} has {len(questions)} questions, and {len(reasons)} answers about an empty label")
    regions = () if mask is None else (Region(mask, "target"),)
    slot = "{seg:0}" if regions else templates.NONE
    for number, question in enumerate(questions):
        yield f"mask-{number}", Turn(_ask(question, ASKS_MASK), Answer(slot, regions, task="segment"))
    for number, (question, reason) in enumerate(zip(questions, reasons, strict=False)):
        template = f"{templates.write_sentence(reason)}: {slot}"
        yield f"reason-{number}", Turn(_ask(question, ASKS_REASON), Answer(template, regions, task="segment"))


def _ask(question: str, suffix: str) -> str:
    return f"{templates.escape_braces(' '.join(question.split()))} {suffix}"


def _texts(content: Any, key: str, where: str) -> list[str]:
    texts = content.get(key) if isinstance(content, dict) else None
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise DataError(f"{where}: its QAs have no list {key!r} of texts: download them again")
    return [text for text in texts if text.strip()]


SOURCE: Final = Source(
    name=NAME, load=load, splits=SPLITS, layout=LAYOUT, licence=LICENCE, citation="Li et al., arXiv 2504.09644, 2025"
)
