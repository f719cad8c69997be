"""VRSBench: captions, referring expressions and questions on 29,614 images of DOTA-v2 and DIOR, 512 px.

Layout: Images_{train,val}/*.png with Annotations_{train,val}/*.json, one file an image: {"image", "caption", "objects":
[{"obj_id", "obj_cls", "referring_sentence", "obj_coord", "obj_corner"}], "qa_pairs": [{"ques_id", "question", "type",
"answer"}]}. Without them, train is read from VRSBench_train.json (conversations marked [caption], [refer], [vqa]) and
val from VRSBench_EVAL_{Cap,referring,vqa}.json. A folder inside a folder of the same name, as the archives unpack, is
read too.
Quirks: obj_coord (x1, y1, x2, y2) and obj_corner (four corners) are shares of the image's sides, while the
conversations and the EVAL files write the box as integers, int(100 x): `{<25><40><33><60>}`. Boxes may lean out of the
image. What people call the test set is val.
Licence: annotations CC BY 4.0; images under the terms of DOTA and DIOR.
Citation: Li et al., VRSBench: a versatile vision-language benchmark dataset for remote sensing image understanding,
NeurIPS 2024.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from data_engine import templates
from data_engine.objects import seeded
from data_engine.sources import tagged_chat
from data_engine.sources.boundary import Reject, convert_each
from data_engine.sources.questions import ask, read_rows
from data_engine.sources.referring import Origin, tidy_phrase
from data_engine.sources.source import Source, describe_image, load_json, require_split
from vlm.errors import DataError
from vlm.geometry.convert import to_hbb
from vlm.geometry.shapes import HBB, Polygon
from vlm.records import Answer, Image, Region, Sample, Task, Turn

NAME: Final = "vrsbench"
SPLITS: Final = ("train", "val")
LICENCE: Final = "annotations CC BY 4.0; images under the terms of DOTA and DIOR"
LAYOUT: Final = (
    "Images_<split>/*.png with Annotations_<split>/*.json (or VRSBench_train.json, VRSBench_EVAL_*.json); they come "
    "from https://huggingface.co/datasets/xiang709/VRSBench"
)
GRID: Final = 100
DETAILED: Final = (
    "Describe the image in detail.",
    "Describe the image in detail",
    "Give a detailed description of this image.",
    "Could you describe the contents of this image for me?",
    "What can be seen in this image? Describe it in detail.",
    "Write a detailed caption for this image.",
    "Describe the scene, its objects and where they are.",
    "Please give a thorough description of the picture.",
)
_FILES: Final = {"caption": "Cap", "ground": "referring", "vqa": "vqa"}
_SAME_PX: Final = 1.0


def load(root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
    """Yield caption, grounding (boxes, and oriented boxes where the corners are known) and question samples."""
    require_split(NAME, split, SPLITS)
    root, origin = Path(root), Origin(NAME, split, LICENCE, seed)
    annotations = _inner(root / f"Annotations_{split}")
    if annotations.is_dir():
        files = sorted(annotations.glob("*.json"))
        return convert_each(files, lambda path: _image_samples(root, path, origin), name=NAME, reject=reject)
    if split == "train" and (root / "VRSBench_train.json").exists():
        images = (_inner(root / "Images_train"),)
        file = tagged_chat.ChatFile(NAME, root / "VRSBench_train.json", images, "vrsbench", split, LICENCE, LAYOUT)
        return tagged_chat.load_samples(file, reject=reject)
    return _load_rows(root, origin, reject)


def _image_samples(root: Path, path: Path, origin: Origin) -> Iterator[Sample]:
    """Yield the samples of one annotation file."""
    content = load_json(path, name=NAME, layout=LAYOUT)
    if not isinstance(content, dict):
        raise DataError(f"{path} is no object: expected image, caption, objects and qa_pairs")
    image = _image(root, str(content.get("image") or f"{path.stem}.png"), origin.split)
    key = f"{NAME}/{origin.split}/{path.stem}"
    if str(content.get("caption") or "").strip():
        yield _caption(str(content["caption"]), image, origin, key=f"{key}/caption")
    for number, entry in enumerate(_list_rows(content, "objects", path)):
        yield from _object_samples(entry, image, origin, key=key, number=number)
    for number, pair in enumerate(_list_rows(content, "qa_pairs", path)):
        turn = _question(pair.get("question"), pair.get("answer"), pair.get("type"), f"{path} question {number}")
        yield origin.wrap(turn, (image,), key=f"{key}/{_slug(pair.get('type'))}-{number}")


def _list_rows(content: dict[str, Any], field: str, path: Path) -> list[dict[str, Any]]:
    """Give a list of an annotation file; a missing one is empty, one of anything but objects raises DataError."""
    rows = content.get(field) or []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{path} has {field} that are no list of objects: download it again")
    return rows


def _object_samples(entry: dict[str, Any], image: Image, origin: Origin, *, key: str, number: int) -> Iterator[Sample]:
    """Yield the box sample of an object, and the oriented one where its corners say more than the box."""
    where = f"{key} object {number}"
    phrase = tidy_phrase(str(entry.get("referring_sentence") or ""))
    x1, y1, x2, y2 = _to_pixels(entry.get("obj_coord"), 4, image, where)
    if x2 <= x1 or y2 <= y1:
        raise DataError(f"{where} has obj_coord {entry.get('obj_coord')}: expected x1 < x2 and y1 < y2")
    box = HBB(x1, y1, x2, y2)
    yield origin.ground(phrase, Region(box, phrase), image, key=f"{key}/ground-box-{number}")
    if entry.get("obj_corner"):
        numbers = _to_pixels(entry["obj_corner"], 8, image, where)
        quad = Polygon(tuple(zip(numbers[0::2], numbers[1::2], strict=True)))
        if not _repeats(quad):
            yield origin.ground(phrase, Region(quad, phrase), image, key=f"{key}/ground-obb-{number}", kind="obb")


def _load_rows(root: Path, origin: Origin, reject: Reject | None) -> Iterator[Sample]:
    """Yield the samples of the EVAL files that are there."""
    paths = {kind: root / f"VRSBench_EVAL_{suffix}.json" for kind, suffix in _FILES.items()}
    found = {kind: path for kind, path in paths.items() if origin.split == "val" and path.exists()}
    if not found:
        raise DataError(f"{NAME}: {root} holds no annotations of the split {origin.split!r}; expected {LAYOUT}")
    for kind, path in found.items():
        rows = read_rows(path, name=NAME, layout=LAYOUT, required=("image_id", "ground_truth"), reject=reject)

        def convert(numbered: tuple[int, dict[str, Any]], kind: str = kind) -> Iterator[Sample]:
            yield _row_sample(root, kind, *numbered, origin)

        yield from convert_each(enumerate(rows), convert, name=NAME, reject=reject)


def _row_sample(root: Path, kind: str, number: int, row: dict[str, Any], origin: Origin) -> Sample:
    image = _image(root, str(row["image_id"]), origin.split)
    key = f"{NAME}/{origin.split}/{Path(str(row['image_id'])).stem}"
    if kind == "caption":
        return _caption(str(row["ground_truth"]), image, origin, key=f"{key}/caption-{number}")
    if kind == "vqa":
        turn = _question(row.get("question"), row["ground_truth"], row.get("type"), f"question {number}")
        return origin.wrap(turn, (image,), key=f"{key}/{_slug(row.get('type'))}-{number}")
    numbers = [int(text) / GRID for text in re.findall(r"<(-?\d+)>", str(row["ground_truth"]))]
    x1, y1, x2, y2 = _to_pixels(numbers, 4, image, f"reference {number} {row['ground_truth']!r}")
    phrase = tidy_phrase(str(row.get("question") or ""))
    region = Region(HBB(x1, y1, x2, y2), phrase)
    return origin.ground(phrase, region, image, key=f"{key}/ground-box-{number}")


def _caption(text: str, image: Image, origin: Origin, *, key: str) -> Sample:
    turn = Turn(seeded(origin.seed, key).choice(DETAILED), Answer(templates.write_sentence(text), task="caption"))
    return origin.wrap(turn, (image,), key=key)


def _question(question: object, answer: object, kind: object, where: str) -> Turn:
    """Make the turn of a question; a number of objects is a count, everything else vqa."""
    if not isinstance(question, str) or answer is None:
        raise DataError(f"{where} has question {question!r:.40} and answer {answer!r:.40}: expected both")
    digits = str(answer).strip(" .").isdecimal()
    task: Task = "count" if kind == "object quantity" and digits else "vqa"
    return ask(question, answer, task=task)


def _to_pixels(values: object, count: int, image: Image, where: str) -> list[float]:
    """Turn shares of the sides, x and y in turn, into pixels."""
    numbers = isinstance(values, list) and len(values) == count and all(isinstance(v, int | float) for v in values)
    if not isinstance(values, list) or not numbers or image.width is None or image.height is None:
        raise DataError(f"{where} has the coordinates {values!r:.60}: expected {count} numbers")
    return [float(value) * (image.height if place % 2 else image.width) for place, value in enumerate(values)]


def _repeats(quad: Polygon) -> bool:
    """Say whether four corners only repeat the box around them."""
    box = to_hbb(quad)
    return all(
        min(abs(x - box.x1), abs(x - box.x2)) <= _SAME_PX and min(abs(y - box.y1), abs(y - box.y2)) <= _SAME_PX
        for x, y in quad.exterior
    )


def _image(root: Path, name: str, split: str) -> Image:
    return describe_image(_inner(root / f"Images_{split}") / name, name=NAME, layout=LAYOUT)


def _inner(folder: Path) -> Path:
    """Give the folder inside a folder of the same name, where there is one."""
    return folder / folder.name if (folder / folder.name).is_dir() else folder


def _slug(kind: object) -> str:
    return str(kind or "question").replace(" ", "-").lower()


SOURCE: Final = Source(
    name=NAME, load=load, splits=SPLITS, layout=LAYOUT, licence=LICENCE, citation="Li et al., NeurIPS 2024"
)
