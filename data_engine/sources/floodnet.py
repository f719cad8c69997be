"""FloodNet VQA: questions on UAV images taken after Hurricane Harvey (EarthVision 2021 challenge, track 2).

Layout (the official one): Questions/{Training Question,Valid Question,Test_Question}.json = {"<number>": {"Image_ID",
"Question", "Ground_Truth", "Question_Type"}} and Images/{Train_Image,Valid_Image,Test_Image}/<Image_ID>. `root` holds
Questions/ and Images/.
Quirks: two file names have a blank and one has not; images are 4000 x 3000 and named *.JPG; counts are JSON numbers,
the others text ("flooded", "non flooded", "flooded,non-flooded"); the answers of the test split, and in some copies
those of the validation split, are not published, which is said. Question types are Simple_Counting, Complex_Counting
(the flooded or the dry ones only), Yes_No and Condition_Recognition.
Licence: CDLA-Permissive 1.0. Citation: Rahnemoonfar et al., FloodNet: a high resolution aerial imagery dataset for post
flood scene understanding, IEEE Access 2021.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from data_engine import generate
from data_engine.sources.boundary import Reject, convert_each
from data_engine.sources.questions import ask
from data_engine.sources.source import Source, describe_image, load_json, require_split
from vlm.errors import DataError
from vlm.records import Sample, Task

NAME: Final = "floodnet"
FILES: Final = {
    "train": ("Training Question.json", "Train_Image"),
    "val": ("Valid Question.json", "Valid_Image"),
    "test": ("Test_Question.json", "Test_Image"),
}
SPLITS: Final = tuple(FILES)
LICENCE: Final = "CDLA-Permissive 1.0"
LAYOUT: Final = (
    "Questions/Training Question.json and Images/Train_Image/*.JPG (or Valid ..., Test_...); they come from "
    "https://github.com/BinaLab/FloodNet-Challenge-EARTHVISION2021"
)
Asked = tuple[str, dict[str, Any]]


def load(root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
    """Yield one sample per question; ids end with the question's type. `seed` changes nothing."""
    require_split(NAME, split, SPLITS)
    questions, folder = FILES[split]
    path = Path(root) / "Questions" / questions

    def convert(group: tuple[str, list[Asked]]) -> Iterator[Sample]:
        filename, entries = group
        image = describe_image(Path(root) / "Images" / folder / filename, name=NAME, layout=LAYOUT, sensor="UAV")
        for number, entry in entries:
            kind = str(entry.get("Question_Type", "unknown")).lower()
            task: Task = "count" if kind.endswith("counting") else "vqa"
            turn = ask(str(entry["Question"]), entry["Ground_Truth"], task=task)
            sample_id = f"{NAME}/{split}/{Path(filename).stem}/{number}/{kind}"
            yield generate.wrap_turn(
                turn, sample_id=sample_id, images=(image,), source=NAME, split=split, licence=LICENCE
            )

    return convert_each(_group(path, split).items(), convert, name=NAME, reject=reject)


def _group(path: Path, split: str) -> dict[str, list[Asked]]:
    """Gather the questions by image, so that each image is opened once."""
    content = load_json(path, name=NAME, layout=LAYOUT)
    if not isinstance(content, dict):
        raise DataError(f"{path} does not map numbers to questions: expected the official FloodNet layout")
    groups: dict[str, list[Asked]] = {}
    for number, entry in content.items():
        if not isinstance(entry, dict) or not {"Image_ID", "Question"} <= entry.keys():
            raise DataError(f"{path} question {number} lacks Image_ID or Question: download it again")
        if "Ground_Truth" not in entry:
            raise DataError(
                f"{path} question {number} has no answer: those of {split!r} are not in it; take another split"
            )
        groups.setdefault(str(entry["Image_ID"]), []).append((str(number), entry))
    return groups


SOURCE: Final = Source(
    name=NAME,
    load=load,
    splits=SPLITS,
    layout=LAYOUT,
    licence=LICENCE,
    citation="Rahnemoonfar et al., IEEE Access 2021",
)
