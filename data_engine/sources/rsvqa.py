"""RSVQA: questions derived from OpenStreetMap, LR (Sentinel-2, 10 m) and HR (USGS aerial, 0.1524 m).

Layout (Zenodo 6344334 and 6344367): `root` is one variant's folder, or holds them as LR/ and HR/:
    LR_split_{train,val,test}_{questions,answers,images}.json        Images_LR/<image id>.tif   256 x 256
    USGS_split_{train,val,test,test_phili}_{...}.json                Data/<image id>.tif        512 x 512
Quirks: questions name their image by `img_id` and their answer by `answers_ids`; entries with `active` false are left
out. HR answers to area questions are numbers such as "10632m2"; papers use buckets, so the samples do too
(`bucket_area`). Counts stay numbers here (`bucket_count` gives the papers' buckets). Question texts stay as they are.
Licence: images public domain (USGS) and Copernicus open data (Sentinel-2); questions derive from OpenStreetMap (ODbL).
Citation: Lobry et al., RSVQA: visual question answering for remote sensing data, TGRS 2020.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from data_engine import templates
from data_engine.sources.boundary import Reject, convert_each
from data_engine.sources.source import Source, describe_image, load_json, require_split
from vlm.errors import DataError
from vlm.records import Answer, Image, Sample, Task, Turn

NAME: Final = "rsvqa"
SPLITS: Final = ("train", "val", "test", "test_phili")
TYPES: Final = ("presence", "comp", "count", "area", "rural_urban")
LICENCE: Final = "imagery public domain (USGS) / Copernicus open data; questions ODbL"
LAYOUT: Final = (
    "LR_split_<split>_{questions,answers,images}.json with Images_LR/<id>.tif, or USGS_split_<split>_... with "
    "Data/<id>.tif, in the folder itself or in LR/ and HR/; they come from https://zenodo.org/records/6344334 (LR) and "
    "https://zenodo.org/records/6344367 (HR)"
)


@dataclass(frozen=True, slots=True)
class Variant:
    """Say how one variant names its files, which sensor took the images and their ground sampling distance in m."""

    name: str
    prefix: str
    images: str
    sensor: str
    gsd_m: float


VARIANTS: Final = (
    Variant("rsvqa-lr", "LR", "Images_LR", "Sentinel-2", 10.0),
    Variant("rsvqa-hr", "USGS", "Data", "aerial", 0.1524),
)


def load(root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
    """Yield one sample per active question of every variant under `root`; ids end with the question's type.

    An id is like `rsvqa-lr/val/00012/presence`; `question_type` reads it back. `seed` changes nothing: the questions
    are the dataset's own.
    """
    require_split(NAME, split, SPLITS)
    found = False
    for variant in VARIANTS:
        for folder in (Path(root), Path(root) / variant.name[-2:].upper()):
            if (folder / f"{variant.prefix}_split_{split}_questions.json").exists():
                found = True
                yield from _load_variant(folder, variant, split, reject)
    if not found:
        raise DataError(f"{NAME}: {root} holds no questions of the split {split!r}; expected {LAYOUT}")


def question_type(sample_id: str) -> str:
    """Read the question's type (one of TYPES) from a sample's id."""
    kind = sample_id.rpartition("/")[2]
    if kind not in TYPES:
        raise DataError(f"sample id {sample_id!r} does not end with one of {', '.join(TYPES)}")
    return kind


def bucket_area(answer: str) -> str:
    """Give the bucket of an area answer such as "10632m2"."""
    return _bucket(_number(answer.removesuffix("m2"), answer), unit="m2")


def bucket_count(answer: str) -> str:
    """Give the bucket of a count answer such as "17"."""
    return _bucket(_number(answer, answer), unit="")


def _number(digits: str, answer: str) -> int:
    if not digits.isascii() or not digits.isdigit():
        raise DataError(f"RSVQA answer {answer!r} is no count and no area: expected digits, or digits and 'm2'")
    return int(digits)


def _bucket(value: int, *, unit: str) -> str:
    for low, high in ((1, 10), (11, 100), (101, 1000)):
        if low <= value <= high:
            return f"{low}-{high}{unit}"
    return f"0{unit}" if value == 0 else f"more than 1000{unit}"


def _load_variant(folder: Path, variant: Variant, split: str, reject: Reject | None) -> Iterator[Sample]:
    questions = _load_entries(folder, variant, split, "questions", ("id", "img_id", "type", "question", "answers_ids"))
    answers = {entry["id"]: entry for entry in _load_entries(folder, variant, split, "answers", ("id", "answer"))}
    images: dict[int, Image | None] = {}

    def convert(entry: dict[str, Any]) -> Iterator[Sample]:
        image_id = entry["img_id"]
        if image_id not in images:
            images[image_id] = None  # one fault an image: its other questions have nothing to ask about
            path = folder / variant.images / f"{image_id}.tif"
            images[image_id] = describe_image(
                path, name=NAME, layout=LAYOUT, sensor=variant.sensor, gsd_m=variant.gsd_m
            )
        image = images[image_id]
        if image is not None:
            yield _sample(entry, _join_answer(entry, answers, folder), image, variant, split)

    return convert_each(questions, convert, name=NAME, reject=reject)


def _load_entries(
    folder: Path, variant: Variant, split: str, kind: str, required: tuple[str, ...]
) -> list[dict[str, Any]]:
    path = folder / f"{variant.prefix}_split_{split}_{kind}.json"
    content = load_json(path, name=NAME, layout=LAYOUT)
    if not isinstance(content, dict) or not isinstance(content.get(kind), list):
        raise DataError(f"{path} has no list {kind!r}: expected the official RSVQA layout")
    active = [entry for entry in content[kind] if not isinstance(entry, dict) or entry.get("active", True)]
    for number, entry in enumerate(active):
        if not isinstance(entry, dict) or not set(required) <= entry.keys():
            raise DataError(f"{path} active entry {number} lacks one of {', '.join(required)}: download it again")
    return active


def _join_answer(entry: dict[str, Any], answers: dict[int, dict[str, Any]], folder: Path) -> str:
    for answer_id in entry["answers_ids"]:
        if answer_id in answers:
            return str(answers[answer_id]["answer"])
    raise DataError(f"{folder}: question {entry['id']} points at answers {entry['answers_ids']}, which do not exist")


def _sample(entry: dict[str, Any], raw: str, image: Image, variant: Variant, split: str) -> Sample:
    kind = entry["type"]
    if kind not in TYPES:
        raise DataError(f"{variant.name} question {entry['id']} has type {kind!r}: known are {', '.join(TYPES)}")
    answer = bucket_area(raw) if kind == "area" else raw
    task: Task = "count" if kind == "count" else "vqa"
    turn = Turn(templates.escape_braces(entry["question"]), Answer(templates.escape_braces(answer), task=task))
    return Sample(f"{variant.name}/{split}/{entry['id']:05d}/{kind}", (image,), (turn,), task, NAME, split, LICENCE)


SOURCE: Final = Source(
    name=NAME, load=load, splits=SPLITS, layout=LAYOUT, licence=LICENCE, citation="Lobry et al., TGRS 2020"
)
