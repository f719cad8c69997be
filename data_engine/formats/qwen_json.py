"""Qwen's chat JSON: messages of parts, with grounding as JSON in the text.

JSON lines or a JSON list of `{"messages": [{"role": "user", "content": [{"type": "image", "image": path}, {"type":
"text", "text": ...}]}, {"role": "assistant", "content": ...}]}`, as qwen-vl-utils, TRL and swift read it; the layout of
Qwen's own fine-tuning code, which is LLaVA's, is read too. Answers write
boxes as `{"bbox_2d": [x1, y1, x2, y2], "label": ...}`.
Frame: Qwen2.5-VL (dialect qwen2.5, the default) counts pixels of the resized image, whose sides are multiples of 28 and
whose area lies within min_pixels and max_pixels. `resized_width` and `resized_height` of an image part say what that
size is, and are written; where they are missing, the rule of the processor is applied, or, with
Reading.original_pixels, the numbers are those of the original image. Qwen3-VL (dialect qwen3): 0-1000.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from data_engine.formats.chat_records import IMAGE_TAG, Message, sizes_of
from data_engine.formats.conversation import resized_sizes, write_messages
from data_engine.formats.format import Format, Reading, Writing, read_each
from data_engine.formats.json_records import Record
from data_engine.formats.llava_json import load_chats
from data_engine.formats.pictures import name_images
from data_engine.formats.record_files import write_records
from data_engine.formats.spelling import get_spelling
from vlm.records import Sample

NAME: Final = "qwen"
LAYOUT: Final = "JSON lines or a JSON list of records with 'messages' (role, content) or 'conversations'"
DIALECTS: Final = ("qwen2.5", "qwen3", "qwen2", "rscovlm", "nadir")


def load(path: Path, reading: Reading) -> Iterator[Sample]:
    """Yield one sample a record, in the order of the file."""
    spelling = get_spelling(reading.dialect or DIALECTS[0])
    yield from load_chats(path, reading, name=NAME, layout=LAYOUT, spelling=spelling)


def write(samples: Iterable[Sample], out: Path, writing: Writing) -> int:
    """Write samples to the file `out`, whole or not at all; embedded images go to images/ beside it."""
    out = Path(out)
    spelling = get_spelling(writing.dialect or DIALECTS[0])

    def make(sample: Sample) -> tuple[Record, ...]:
        sizes = sizes_of(sample.images, where=f"sample {sample.id}")
        resized = resized_sizes(sizes, spelling)
        messages = write_messages(sample, spelling, sizes=sizes, resized=resized)
        images: list[Record] = []
        for index, name in enumerate(name_images(sample, out.parent, images=writing.images)):
            side = {"resized_width": resized[index][0], "resized_height": resized[index][1]} if resized else {}
            images.append({"type": "image", "image": name} | side)
        written = [_message(message, images if number == 0 else []) for number, message in enumerate(messages)]
        return ({"id": sample.id, "messages": written, "task": sample.task},)

    return write_records(read_each(samples, make, writing.on_error), out, lines=out.suffix == ".jsonl")


def _message(message: Message, images: list[Record]) -> dict[str, Any]:
    """Write one message; the images of the first one become parts before its text."""
    text = message.text.replace(f"{IMAGE_TAG}\n", "")
    content: Any = [*images, {"type": "text", "text": text}] if message.role == "user" else text
    return {"role": message.role, "content": content}


FORMAT: Final = Format(
    name=NAME,
    layout=LAYOUT,
    frame="pixels of the resized image (qwen2.5) or 0-1000 (qwen3)",
    load=load,
    write=write,
    dialects=DIALECTS,
    options=("original_pixels", "min_pixels", "max_pixels"),
)
