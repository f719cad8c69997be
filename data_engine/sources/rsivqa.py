"""RSIVQA: questions on five datasets (UCM, Sydney, RSICD/AID, HRRSD, DOTA): themes, presence, counts, a few places.

Layout (the official one): <Set>/*.txt for <Set> in UCM, Sydney, AID, HRRSD, DOTA, each line
`<image>:<question>?<answer>`; `root` is the folder of the five, or holds it as RSIVQA/. The images are not part of it:
put or link each dataset's images as <Set>/images/ (for AID those of RSICD, whose names the file uses).
Quirks: images are named with their suffix (UCM, Sydney, AID) or without (HRRSD, DOTA); a question repeats where the
files do. Those that people wrote about UCM (ucm_res.txt) miss nouns ("How many  in the picture?") and answer "i cannot
see it": both are left out. Counts are digits or words. There is no official split (papers draw 80/10/10 at random). The
images are those of caption and detection benchmarks: mind the leakage into their test splits.
Licence: none stated; research use. Citation: Zheng et al., Mutual attention inception network for remote sensing visual
question answering, TGRS 2021.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Final

from data_engine import generate
from data_engine.sources.boundary import Reject, convert_each
from data_engine.sources.questions import ask
from data_engine.sources.source import Source, describe_image, require_split
from vlm.errors import DataError
from vlm.records import Image, Sample

NAME: Final = "rsivqa"
SPLITS: Final = ("all",)
SETS: Final = ("UCM", "Sydney", "AID", "HRRSD", "DOTA")
SUFFIXES: Final = (".jpg", ".png", ".tif")
UNKNOWN: Final = ("i cannot see it", "i don't know")
LICENCE: Final = "none stated; research use"
LAYOUT: Final = (
    "one or more of UCM/, Sydney/, AID/, HRRSD/ and DOTA/, each with *.txt of '<image>:<question>?<answer>' and the "
    "dataset's images in images/; the questions come from https://github.com/spectralpublic/RSIVQA"
)
Group = tuple[Path, str, list[tuple[int, str, str]]]
"""A question file, an image of it, and its (line number, question, answer)s."""


def load(root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
    """Yield one sample per usable question of every set under `root`; `seed` changes nothing."""
    require_split(NAME, split, SPLITS)
    home = Path(root) / "RSIVQA" if (Path(root) / "RSIVQA").is_dir() else Path(root)
    files = [path for name in SETS for path in sorted((home / name).glob("*.txt"))]
    if not files:
        raise DataError(f"{NAME}: {home} holds no question files; expected {LAYOUT}")

    def convert(group: Group) -> Iterator[Sample]:
        file, image_name, asked = group
        image = _find_image(file.parent / "images", image_name)
        for number, question, answer in asked:
            yield _sample(file, number, question, answer, image, split)

    groups = (group for file in files for group in _groups(file))
    return convert_each(groups, convert, name=NAME, reject=reject)


def split_line(line: str) -> tuple[str, str, str]:
    """Split `<image>:<question>?<answer>` into image name, question with its mark, and answer."""
    name, _, rest = line.partition(":")
    question, mark, answer = rest.rpartition("?")
    return name.strip(), f"{question.strip()}{mark}", answer.strip()


def _groups(file: Path) -> Iterator[Group]:
    with file.open(encoding="utf-8") as lines:
        parts = ((number, *split_line(line)) for number, line in enumerate(lines, start=1) if line.strip())
        for name, members in groupby(parts, key=lambda part: part[1]):
            asked = [(number, question, answer) for number, _, question, answer in members]
            yield file, name, [entry for entry in asked if _is_usable(entry[1], entry[2])]


def _is_usable(question: str, answer: str) -> bool:
    """Say whether a question names something and its answer says something; broken lines pass and are refused later."""
    return "  " not in question and answer.lower() not in UNKNOWN


def _find_image(folder: Path, name: str) -> Image:
    candidates = [folder / name] if Path(name).suffix in SUFFIXES else [folder / (name + end) for end in SUFFIXES]
    found = next((path for path in candidates if path.exists()), candidates[0])
    return describe_image(found, name=NAME, layout=LAYOUT)


def _sample(file: Path, number: int, question: str, answer: str, image: Image, split: str) -> Sample:
    if not question.endswith("?") or not answer:
        raise DataError(f"{file} line {number} is no <image>:<question>?<answer>: download it again")
    turn = ask(question, answer, task="count" if question.lower().startswith("how many") else "vqa")
    sample_id = f"{NAME}/{split}/{file.parent.name}/{file.stem}/{number:06d}"
    return generate.wrap_turn(turn, sample_id=sample_id, images=(image,), source=NAME, split=split, licence=LICENCE)


SOURCE: Final = Source(
    name=NAME, load=load, splits=SPLITS, layout=LAYOUT, licence=LICENCE, citation="Zheng et al., TGRS 2021"
)
