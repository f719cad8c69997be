"""Conversations whose questions begin with a task mark ([refer], [identify], [vqa] ...) -> samples; GeoChat, VRSBench.

The reading itself is that of data_engine.formats: image tags are taken out and coordinates become regions in pixels of
the original image. Here the marks become tasks, `<p>` goes, and what a question names in it becomes the phrase of the
regions of its answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from data_engine.formats.json_records import Record
from data_engine.sources.boundary import Reject, convert_each
from data_engine.sources.questions import read_rows
from data_engine.sources.source import require_path
from data_engine.store.images import ImageFaultError
from vlm.errors import DataError
from vlm.records import Answer, Sample, Task, Turn

_MARK: Final = re.compile(r"^\s*\[(?P<mark>\w+)\]\s*")
_PHRASE: Final = re.compile(r"<p>\s*(?P<phrase>.*?)\s*</p>", re.DOTALL)
_ONE_WORD: Final = re.compile(r"using a single word|short answer to the question", re.IGNORECASE)
_CLASSIFY: Final = re.compile(r"^\s*classify the image", re.IGNORECASE)
_TASKS: Final[dict[str, Task]] = {"identify": "region", "caption": "caption", "grounding": "caption", "vqa": "vqa"}


@dataclass(frozen=True, slots=True)
class ChatFile:
    """Say where conversations lie, where their images may lie (below the root), and how they write geometry."""

    name: str
    path: Path
    images: tuple[Path, ...]
    dialect: str
    split: str
    licence: str
    layout: str


def load_samples(file: ChatFile, *, reject: Reject | None = None) -> Iterator[Sample]:
    """Yield one sample per record of the file, all its turns together."""
    require_path(file.path, name=file.name, layout=file.layout)
    rows = read_rows(file.path, name=file.name, layout=file.layout, required=("image", "conversations"), reject=reject)

    def convert(numbered: tuple[int, Record]) -> Iterator[Sample]:
        yield _sample(file, *numbered)

    return convert_each(enumerate(rows), convert, name=file.name, reject=reject)


def _sample(file: ChatFile, number: int, record: Record) -> Sample:
    from data_engine.formats import Reading
    from data_engine.formats.chat_records import parse_chat
    from data_engine.formats.conversation import read_sample
    from data_engine.formats.spelling import get_spelling

    where = f"{file.path} record {number + 1}"
    folder = _find_images(file, str(record["image"]), where)
    reading = Reading(images=folder, dialect=file.dialect, source=file.name, split=file.split, licence=file.licence)
    chat = parse_chat(record, reading=reading, folder=folder, where=where)
    key = f"{file.name}/{file.split}/{number:06d}"
    read = read_sample(chat, get_spelling(file.dialect), reading=reading, sample_id=key, task=None, where=where)
    return mark_tasks(read, where=where)


def mark_tasks(sample: Sample, *, where: str) -> Sample:
    """Turn the marks of a sample's questions into tasks; DataError where nothing is left of a question or answer."""
    turns = tuple(_mark_turn(turn, where) for turn in sample.turns)
    tasks = {turn.answer.task or sample.task for turn in turns}
    return replace(sample, turns=turns, task=tasks.pop() if len(tasks) == 1 else "chat")


def _mark_turn(turn: Turn, where: str) -> Turn:
    marked = _MARK.match(turn.instruction)
    mark = marked["mark"].lower() if marked else ""
    asked = turn.instruction[marked.end() if marked else 0 :].strip()
    named = _PHRASE.search(asked)
    phrase = " ".join(named["phrase"].replace("{{", "{").replace("}}", "}").split()) if named else ""
    asked = _PHRASE.sub(lambda match: match["phrase"], asked)
    said = _PHRASE.sub(lambda match: match["phrase"], turn.answer.template).strip().rstrip(" .")
    if not asked or not said:
        raise DataError(f"{where}: the question {turn.instruction!r:.60} or its answer says nothing")
    regions = tuple(region if region.phrase else replace(region, phrase=phrase) for region in turn.answer.regions)
    task = _TASKS.get(mark) or _guess(mark, asked, turn.answer, len(regions))
    return Turn(asked, Answer(said, regions, task=task), turn.regions)


def _guess(mark: str, asked: str, answer: Answer, regions: int) -> Task:
    """Name the task of a turn without a mark that says it; references are grounding for one object."""
    if mark == "refer":
        return "ground" if regions == 1 else "detect"
    if _CLASSIFY.match(asked):
        return "classify"
    return "vqa" if _ONE_WORD.search(asked) else answer.task or "chat"


def _find_images(file: ChatFile, name: str, where: str) -> Path:
    """Give the folder that holds an image, of those where it may lie."""
    folders: Sequence[Path] = [folder for folder in file.images if (folder / name).is_file()]
    if not folders:
        detail = f"{where} names the image {name}, which is not below {file.images[0]}; expected {file.layout}"
        raise ImageFaultError("missing image", detail)
    return folders[0]
