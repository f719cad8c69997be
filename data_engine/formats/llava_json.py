"""LLaVA's JSON (ShareGPT style), as GeoChat, EarthDial, VHM, TEOChat and InternVL write it.

A JSON list or JSON lines of `{"id", "image": path or list, "conversations": [{"from": "human", "value": ...},
{"from": "gpt", "value": ...}, ...]}`, with an <image> tag for each image in what the human says; chat_records says
which variations are read, and conversation what becomes of the tags.
Frame: that of the dialect in which the text writes geometry, which has to be named (Reading.dialect, Writing.dialect);
spelling says what each system's numbers mean. Without a dialect, text that looks like coordinates is refused.
Written, several images are a list, JSON lines where the file ends in .jsonl, and `task`, which is ours, is added.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from data_engine.formats.chat_records import parse_chat, sizes_of
from data_engine.formats.conversation import read_sample, resized_sizes, write_messages
from data_engine.formats.format import Format, Reading, Writing, read_each, require_file
from data_engine.formats.json_records import Record, read_records
from data_engine.formats.pictures import name_images
from data_engine.formats.record_files import write_records
from data_engine.formats.spelling import NO_GEOMETRY, SPELLINGS, Spelling, get_spelling
from vlm.records import Sample

NAME: Final = "llava"
LAYOUT: Final = "a JSON list or JSON lines of records with 'image' and 'conversations' (from human, gpt)"
_SPEAKERS: Final = {"user": "human", "assistant": "gpt"}


def load(path: Path, reading: Reading) -> Iterator[Sample]:
    """Yield one sample a record, in the order of the file."""
    yield from load_chats(path, reading, name=NAME, layout=LAYOUT, spelling=get_spelling(reading.dialect))


def load_chats(path: Path, reading: Reading, *, name: str, layout: str, spelling: Spelling) -> Iterator[Sample]:
    """Yield one sample a chat record of any of the layouts that chat_records reads."""
    path = require_file(Path(path), layout=layout)
    reading = replace(reading, source=reading.source or name)

    def make(item: tuple[int, tuple[str, Record]]) -> tuple[Sample, ...]:
        number, (where, record) = item
        chat = parse_chat(record, reading=reading, folder=path.parent, where=where)
        sample_id = f"{reading.source}/{reading.split}/{path.stem}/{number:08d}"
        task = record.get("task")
        return (read_sample(chat, spelling, reading=reading, sample_id=sample_id, task=task, where=where),)

    with closing(read_records(path, reading.on_error)) as records:
        yield from read_each(enumerate(records), make, reading.on_error)


def write(samples: Iterable[Sample], out: Path, writing: Writing) -> int:
    """Write samples to the file `out`, whole or not at all; embedded images go to images/ beside it."""
    out = Path(out)
    spelling = get_spelling(writing.dialect)

    def make(sample: Sample) -> tuple[Record, ...]:
        sizes = sizes_of(sample.images, where=f"sample {sample.id}")
        resized = resized_sizes(sizes, spelling)
        messages = write_messages(sample, spelling, sizes=sizes, resized=resized)
        names = name_images(sample, out.parent, images=writing.images)
        record: dict[str, Any] = {"id": sample.id}
        if names:
            record["image"] = names[0] if len(names) == 1 else names
        record["conversations"] = [{"from": _SPEAKERS[one.role], "value": one.text} for one in messages]
        return (record | {"task": sample.task},)

    return write_records(read_each(samples, make, writing.on_error), out, lines=out.suffix == ".jsonl")


FORMAT: Final = Format(
    name=NAME,
    layout=LAYOUT,
    frame="that of the dialect of its text, which has to be named",
    load=load,
    write=write,
    dialects=(NO_GEOMETRY, *(name for name in SPELLINGS if name != NO_GEOMETRY)),
    options=("original_pixels", "min_pixels", "max_pixels"),
)
