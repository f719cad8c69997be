"""CDVQA: 122,000 questions of eight types about what changed between SECOND's pairs, with 19 answers.

Layout: {Train,Val,Test,Test2}_{questions,answers,images}.json in RSVQA's manner, and SECOND's im1/ and im2/, in the
folder itself or in SECOND_train_set/.
Quirks: `images` has a row per kind of question, so a file name occurs many times; questions name their row by `img_id`.
Its res_x says ".1524m" for all, which is RSVQA's, not SECOND's, and is not used. Answers are yes, no, shares ("0",
"0_to_10" ...) and classes ("NVG_surface", "low_vegetation"), and stay as they are, since they are scored as they are.
test2 has images of test.
Licence: Apache-2.0 (annotations); images under SECOND's terms.
Citation: Yuan et al., Change detection meets visual question answering, TGRS 2022.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from data_engine.sources.boundary import Reject, convert_each
from data_engine.sources.questions import ask
from data_engine.sources.referring import Origin
from data_engine.sources.source import Source, describe_image, load_json, require_path, require_split
from vlm.errors import DataError
from vlm.records import Image, Sample

NAME: Final = "cdvqa"
SPLITS: Final = ("train", "val", "test", "test2")
LICENCE: Final = "annotations Apache-2.0; images under SECOND's terms"
LAYOUT: Final = (
    "<Split>_questions.json, <Split>_answers.json and <Split>_images.json with SECOND's im1/ and im2/; they come from "
    "https://github.com/YZHJessica/CDVQA and https://captain-whu.github.io/SCD"
)
TYPES: Final = (
    "change_or_not", "increase_or_not", "decrease_or_not", "smallest_change", "largest_change", "change_to_what",
    "change_ratio", "change_ratio_types",
)  # fmt: skip
ANSWERS: Final = (
    "yes", "no", "0", *(f"{low}_to_{low + 10}" for low in range(0, 100, 10)), "NVG_surface", "buildings",
    "low_vegetation", "trees", "water", "playgrounds",
)  # fmt: skip
QUESTION: Final = {"id": int, "img_id": int, "type": str, "question": str, "answers_ids": list}
ANSWER: Final = {"id": int, "answer": str}
IMAGE: Final = {"id": int, "file_name": str}
Entry = dict[str, Any]


def load(root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
    """Yield one sample per active question; ids end with the question's type (`question_type` reads it back).

    `seed` changes nothing: the questions are the dataset's own.
    """
    require_split(NAME, split, SPLITS)
    root, origin = Path(root), Origin(NAME, split, LICENCE, seed)
    questions = _load_entries(root, split, "questions", QUESTION)
    answers = {entry["id"]: entry["answer"] for entry in _load_entries(root, split, "answers", ANSWER)}
    files = {entry["id"]: entry["file_name"] for entry in _load_entries(root, split, "images", IMAGE)}
    folder = _find_images(root)
    pairs: dict[str, tuple[Image, Image]] = {}

    def convert(entry: Entry) -> Iterator[Sample]:
        if entry["type"] not in TYPES:
            raise DataError(f"{NAME} question {entry['id']} has type {entry['type']!r}: known are {', '.join(TYPES)}")
        asked = [x for x in entry["answers_ids"] if isinstance(x, int)]
        file, said = files.get(entry["img_id"]), [answers[x] for x in asked if x in answers]
        if file is None or not said:
            raise DataError(f"{NAME} question {entry['id']} points at an image or an answer that does not exist")
        if file not in pairs:
            before, after = (describe_image(folder / d / file, name=NAME, layout=LAYOUT) for d in ("im1", "im2"))
            pairs[file] = before, after
        turn = ask(entry["question"], said[0], task="change")
        yield origin.wrap(turn, pairs[file], key=f"{NAME}/{split}/{entry['id']:06d}/{entry['type']}")

    return convert_each(questions, convert, name=NAME, reject=reject)


def question_type(sample_id: str) -> str:
    """Read the question's type (one of TYPES) from a sample's id."""
    kind = sample_id.rpartition("/")[2]
    if kind not in TYPES:
        raise DataError(f"sample id {sample_id!r} does not end with one of {', '.join(TYPES)}")
    return kind


def _load_entries(root: Path, split: str, kind: str, required: dict[str, type]) -> list[Entry]:
    """Read the active entries of one of the three files; one without the fields of these types raises DataError."""
    path = root / f"{split.capitalize()}_{kind}.json"
    content = load_json(path, name=NAME, layout=LAYOUT)
    if not isinstance(content, dict) or not isinstance(content.get(kind), list):
        raise DataError(f"{path} has no list {kind!r}: expected the official CDVQA layout")
    active = [entry for entry in content[kind] if not isinstance(entry, dict) or entry.get("active", True)]
    for number, entry in enumerate(active):
        if not isinstance(entry, dict) or not all(isinstance(entry.get(key), kind) for key, kind in required.items()):
            raise DataError(f"{path} active entry {number} lacks one of {', '.join(required)}: download it again")
    return active


def _find_images(root: Path) -> Path:
    found = [folder for folder in (root, root / "SECOND_train_set", root / "images") if (folder / "im1").is_dir()]
    return found[0] if found else require_path(root / "im1", name=NAME, layout=LAYOUT).parent


SOURCE: Final = Source(
    name=NAME, load=load, splits=SPLITS, layout=LAYOUT, licence=LICENCE, citation="Yuan et al., TGRS 2022"
)
