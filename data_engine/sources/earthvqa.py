"""EarthVQA: questions on the land use of LoveDA's images, 1024 x 1024 at 0.3 m; reasoning, counts, planning needs.

Layout (the official one): {Train,Val}_QA.json = {"<name>.png": [{"Type", "Question", "Answer"}]} and
{Train,Val}/images_png/<name>.png. The masks in masks_png/ are LoveDA's with a class more and are not read here; the
answers of Test are hidden (CodaBench 2922), so there is no such split.
Quirks: answers are numbers for counts (0 to 6), ranges for areas ("10%-20%", of type Reasoning-based Counting too) and
sentences ("There are residential, and park areas"); the vocabulary is closed, so they stay as they are.
Licence: CC BY-NC-SA 4.0, academic use; Google Earth imagery. Citation: Wang et al., EarthVQA: towards queryable Earth
via relational reasoning-based remote sensing visual question answering, AAAI 2024.
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

NAME: Final = "earthvqa"
SPLITS: Final = ("train", "val")
TYPES: Final = (
    "Basic Judging", "Reasoning-based Judging", "Basic Counting", "Reasoning-based Counting",
    "Object Situation Analysis", "Comprehensive Analysis",
)  # fmt: skip
LICENCE: Final = "CC BY-NC-SA 4.0; academic use"
LAYOUT: Final = (
    "Train_QA.json, Val_QA.json, Train/images_png/*.png and Val/images_png/*.png; they come from "
    "https://github.com/Junjue-Wang/EarthVQA"
)
GSD_M: Final = 0.3


def load(root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
    """Yield one sample per question; ids end with the question's type. `seed` changes nothing."""
    require_split(NAME, split, SPLITS)
    folder = Path(root) / split.capitalize()
    path = Path(root) / f"{split.capitalize()}_QA.json"
    content = load_json(path, name=NAME, layout=LAYOUT)
    if not isinstance(content, dict) or not all(isinstance(entries, list) for entries in content.values()):
        raise DataError(f"{path} does not map image names to lists: expected the official EarthVQA layout")

    def convert(item: tuple[str, list[Any]]) -> Iterator[Sample]:
        filename, entries = item
        image = describe_image(folder / "images_png" / filename, name=NAME, layout=LAYOUT, gsd_m=GSD_M)
        for number, entry in enumerate(entries):
            kind, question, answer = _read(entry, where=f"{path} entry {number} of {filename}")
            task: Task = "count" if kind == "Basic Counting" else "vqa"
            sample_id = f"{NAME}/{split}/{Path(filename).stem}/{number:02d}/{kind.lower().replace(' ', '-')}"
            turn = ask(question, answer, task=task)
            yield generate.wrap_turn(
                turn, sample_id=sample_id, images=(image,), source=NAME, split=split, licence=LICENCE
            )

    return convert_each(content.items(), convert, name=NAME, reject=reject)


def _read(entry: Any, *, where: str) -> tuple[str, str, str]:
    if not isinstance(entry, dict) or not {"Type", "Question", "Answer"} <= entry.keys():
        raise DataError(f"{where} lacks Type, Question or Answer: download it again")
    if entry["Type"] not in TYPES:
        raise DataError(f"{where} has type {entry['Type']!r}: known are {', '.join(TYPES)}")
    return entry["Type"], str(entry["Question"]), str(entry["Answer"])


SOURCE: Final = Source(
    name=NAME, load=load, splits=SPLITS, layout=LAYOUT, licence=LICENCE, citation="Wang et al., AAAI 2024"
)
