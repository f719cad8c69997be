"""ChangeChat-105k: 105,107 instructions of six kinds about the pairs of LEVIR-CC and LEVIR-MCI.

Layout: changechat_105k_train.json and changechat_105k_test*.json (test.json, _binary, _count, _loc, _open, _dialog),
in the folder itself or in annotations/, and LEVIR-CC's images/<split>/{A,B}/<name>.png. Records are {"id", "image":
[A, B], "changeflag", "conversations"}; those of test.json {"image_A", "image_B", "captions": [five]}. The name of the
training file was not to be confirmed; the first changechat_105k_train*.json is taken where that one is missing.
Quirks: image paths are relative to images/ ("train/A/train_000001.png"). Image tags stand once or twice in the first
question, whatever the number of images. Places are words of a 3 x 3 grid ("roads [top-left] buildings [center]"),
counts are words in a sentence; both stay text. Dialogues have six turns.
Licence: CC BY 4.0 (annotations); images academic, non-commercial.
Citation: Deng et al., DeltaVLM: interactive remote sensing image change analysis via instruction-guided difference
perception, Remote Sensing 18(4), 2026.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from data_engine import generate
from data_engine.objects import seeded
from data_engine.sources.boundary import Reject, convert_each
from data_engine.sources.questions import ask, read_rows
from data_engine.sources.referring import Origin
from data_engine.sources.source import Source, describe_image, require_path, require_split
from vlm.errors import DataError
from vlm.records import Image, Sample, Turn

NAME: Final = "changechat"
SPLITS: Final = ("train", "test")
LICENCE: Final = "annotations CC BY 4.0; images academic, non-commercial"
LAYOUT: Final = (
    "changechat_105k_train.json, changechat_105k_test*.json and LEVIR-CC's images/<split>/A and B; they come from "
    "https://huggingface.co/datasets/hlwu/changechat-105k and https://github.com/Chen-Yang-Liu/LEVIR-CC-Dataset"
)
PREFIX: Final = "changechat_105k_"
GSD_M: Final = 0.5
_TAG: Final = re.compile(r"\s*<image>\s*")
Record = dict[str, Any]


def load(root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
    """Yield one sample per record, a dialogue with all its turns, and one per distinct caption of a test pair."""
    require_split(NAME, split, SPLITS)
    root, origin = Path(root), Origin(NAME, split, LICENCE, seed)
    for path in _list_files(root, split):
        rows = read_rows(path, name=NAME, layout=LAYOUT, required=(), reject=reject)
        kind = path.stem.removeprefix(PREFIX).removeprefix(split).strip("_") or "all"

        def convert(numbered: tuple[int, Record], kind: str = kind) -> Iterator[Sample]:
            number, record = numbered
            return _samples(record, root, origin, key=f"{NAME}/{split}/{kind}-{number:06d}")

        yield from convert_each(enumerate(rows), convert, name=NAME, reject=reject)


def _list_files(root: Path, split: str) -> list[Path]:
    folder = root / "annotations" if (root / "annotations").is_dir() else root
    official = folder / f"{PREFIX}train.json"
    if split == "train" and official.exists():
        return [official]
    found = sorted(require_path(folder, name=NAME, layout=LAYOUT).glob(f"{PREFIX}{split}*.json"))
    if not found:
        raise DataError(f"{NAME}: {folder} holds no {PREFIX}{split}*.json; expected {LAYOUT}")
    return found[:1] if split == "train" else found


def _samples(record: Record, root: Path, origin: Origin, *, key: str) -> Iterator[Sample]:
    """Yield the samples of one record."""
    if "captions" in record:
        images = _pair(root, [record.get("image_A"), record.get("image_B")], key)
        for number, sentence in enumerate(dict.fromkeys(" ".join(str(c).split()) for c in record["captions"])):
            name = f"{key}/caption-{number}"
            yield origin.wrap(generate.change_caption(sentence, seeded(origin.seed, name)), images, key=name)
        return
    turns = tuple(_turns(record.get("conversations"), key))
    images = _pair(root, record.get("image"), key)
    yield replace(origin.wrap(turns[0], images, key=key), turns=turns)


def _turns(talk: object, key: str) -> Iterator[Turn]:
    """Yield the exchanges of a conversation; DataError where questions and answers do not take turns."""
    spoken = [entry for entry in talk if isinstance(entry, dict)] if isinstance(talk, list) else []
    roles = [entry.get("from") for entry in spoken]
    if not spoken or roles != ["human", "gpt"] * (len(spoken) // 2):
        raise DataError(f"{key} has the speakers {roles}: expected human and gpt in turn")
    for question, answer in zip(spoken[0::2], spoken[1::2], strict=True):
        yield ask(_TAG.sub(" ", str(question.get("value"))), str(answer.get("value")), task="change")


def _pair(root: Path, names: object, key: str) -> tuple[Image, Image]:
    if not isinstance(names, list) or len(names) != 2 or not all(isinstance(name, str) for name in names):
        raise DataError(f"{key} has the images {names!r:.60}: expected the paths of two")
    folder = root / "images"
    before, after = (describe_image(folder / name, name=NAME, layout=LAYOUT, gsd_m=GSD_M) for name in names)
    return before, after


SOURCE: Final = Source(
    name=NAME,
    load=load,
    splits=SPLITS,
    layout=LAYOUT,
    licence=LICENCE,
    citation="Deng et al., Remote Sensing 18(4), 2026",
)
