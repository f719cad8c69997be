"""Chat records as JSON -> messages and images: the LLaVA layout, the messages layout, and how systems vary them.

LLaVA: `image` (a path or a list), `conversations` of `{"from": "human" | "gpt", "value": ...}`. Also read: `images`
(LLaMA-Factory), `video` as a list of images with `metadata[i].timestamp` (TEOChat), `image_path` as the folder of the
image (VHM), turns without "from" (some files of TEOChat), "role"/"content" pairs, and content made of parts
`{"type": "image", "image": ...}` and `{"type": "text", "text": ...}` (Qwen, TRL, OpenAI).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from data_engine.formats.format import Reading
from data_engine.formats.json_records import Record
from data_engine.sources.source import describe_image
from data_engine.store.images import ImageFaultError
from vlm.dialects import Size
from vlm.errors import DataError
from vlm.records import Image

IMAGE_TAG: Final = "<image>"
VIDEO_TAG: Final = "<video>"
_USER: Final = ("human", "user")
_ASSISTANT: Final = ("gpt", "assistant", "model", "chatgpt", "bot")
_SYSTEM: Final = ("system",)


@dataclass(frozen=True, slots=True)
class Message:
    """Hold what one side says; the text still holds its image tags."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Chat:
    """Hold one record: its messages (without the system's) and its images, and the sizes that it resizes them to."""

    messages: tuple[Message, ...]
    images: tuple[Image, ...]
    resized: tuple[Size | None, ...]


def parse_chat(record: Record, *, reading: Reading, folder: Path, where: str) -> Chat:
    """Read one record; raises DataError for one without turns, with unknown speakers, or with a missing image."""
    turns = record.get("conversations", record.get("messages", record.get("conversation")))
    if not isinstance(turns, list) or not turns:
        raise DataError(f"{where} has no list 'conversations' or 'messages': expected a LLaVA or a messages record")
    parts: list[Record] = []
    messages = [_message(turn, number, parts, where) for number, turn in enumerate(turns)]
    references = [*_references(record, where), *parts]
    found = _in_time_order([_image(reference, record, reading, folder, where) for reference in references])
    spoken = tuple(message for message in messages if message.role != "system")
    return Chat(spoken, tuple(image for image, _ in found), tuple(size for _, size in found))


def sizes_of(images: tuple[Image, ...], *, where: str) -> tuple[Size, ...]:
    """Give (width, height) of each image; DataError when one is not known and cannot be read."""
    return tuple(_size(image, where) for image in images)


def _size(image: Image, where: str) -> Size:
    if image.width is not None and image.height is not None:
        return image.width, image.height
    if image.path is not None:
        return _header(image.path)
    raise DataError(f"{where}: an embedded image does not state its width and height, so its frame is not known")


@lru_cache(maxsize=4096)
def _header(path: str) -> Size:
    """Read an image's size; consecutive records are mostly about the same image."""
    image = describe_image(Path(path), name="image", layout="an image file that can be opened")
    assert image.width is not None and image.height is not None
    return image.width, image.height


def _message(turn: Any, number: int, parts: list[Record], where: str) -> Message:
    """Read one turn; image parts are collected and leave a tag in the text."""
    if not isinstance(turn, dict):
        raise DataError(f"{where} turn {number + 1} is {turn!r:.40}: expected an object with 'from' and 'value'")
    speaker = turn.get("from", turn.get("role", "human" if number % 2 == 0 else "gpt"))
    roles = (("user", _USER), ("assistant", _ASSISTANT), ("system", _SYSTEM))
    role = next((role for role, names in roles if str(speaker).lower() in names), None)
    if role is None:
        known = ", ".join((*_USER, *_ASSISTANT, *_SYSTEM))
        raise DataError(f"{where} turn {number + 1} is spoken by {speaker!r}: known are {known}")
    content = turn.get("value", turn.get("content", turn.get("text")))
    if isinstance(content, list):
        content = "".join(_part_text(part, parts, where) for part in content)
    if not isinstance(content, str) or not content.strip():
        raise DataError(f"{where} turn {number + 1} ({role}) says nothing: expected a text")
    return Message(role, content)


def _part_text(part: Any, parts: list[Record], where: str) -> str:
    """Give the text of one part of a message; an image becomes a tag on a line of its own."""
    if isinstance(part, str):
        return part
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "text" and isinstance(part.get("text"), str):
        return str(part["text"])
    if kind in ("image", "image_url"):
        reference = part.get("image", part.get("image_url", part.get("url")))
        if isinstance(reference, dict):
            reference = reference.get("url")
        if reference is not None:
            parts.append({**part, "image": reference})
        return f"{IMAGE_TAG}\n"
    raise DataError(f"{where} holds the message part {part!r:.60}: expected text or an image")


def _references(record: Record, where: str) -> Iterator[Record]:
    """Yield what the record says about each of its images, outside its messages."""
    for key in ("image", "images", "video"):
        value = record.get(key)
        if value is None or value == []:
            continue
        values = value if isinstance(value, list) else [value]
        notes = record.get("metadata")
        stamps = (
            notes if key == "video" and isinstance(notes, list) and len(notes) == len(values) else [{}] * len(values)
        )
        for reference, note in zip(values, stamps, strict=True):
            if not isinstance(reference, str | dict):
                raise DataError(f"{where} names the image {reference!r:.40}: expected a path")
            found = (
                {"image": reference} if isinstance(reference, str) else {"image": reference.get("path"), **reference}
            )
            yield found | ({"date": note["timestamp"]} if isinstance(note, dict) and "timestamp" in note else {})
        return


def _image(reference: Record, record: Record, reading: Reading, folder: Path, where: str) -> tuple[Image, Size | None]:
    """Name one image with its size, and give the size to which the record resizes it, where it says so."""
    name = str(reference["image"])
    width, height = reference.get("resized_width"), reference.get("resized_height")
    size = (width, height) if isinstance(width, int) and isinstance(height, int) else None
    if name.startswith("data:"):
        return _embedded(name, where), size
    path = find_image(name, record.get("image_path"), reading=reading, folder=folder, where=where)
    sides, date = _header(str(path)), reference.get("date")
    return Image(path=str(path), width=sides[0], height=sides[1], date=None if date is None else str(date)), size


def find_image(name: str, inner: Any, *, reading: Reading, folder: Path, where: str) -> Path:
    """Find an image by the path in a record, from the images' folder or the file's, or raise ImageFaultError."""
    name = name.removeprefix("file://")
    if "://" in name:
        raise DataError(f"{where} names {name:.80}, which is not on this disk: download the images first")
    roots = [reading.images] if reading.images is not None else [folder, folder / "images"]
    tried = [root / inner / name for root in roots if isinstance(inner, str)] + [root / name for root in roots]
    for path in tried:
        if path.is_file():
            return path
    detail = f"{where} names the image {name}, which is not at {tried[-1]}: name its folder (images)"
    raise ImageFaultError("missing image", detail)


def _embedded(name: str, where: str) -> Image:
    """Read a data URL."""
    from PIL import Image as Picture
    from PIL import UnidentifiedImageError

    try:
        data = base64.b64decode(name.partition(",")[2], validate=True)
        with Picture.open(BytesIO(data)) as picture:
            width, height = picture.size
    except (binascii.Error, OSError, UnidentifiedImageError) as error:
        raise DataError(f"{where} embeds an image that cannot be read ({error})") from error
    return Image(data=data, width=width, height=height)


def _in_time_order(images: list[tuple[Image, Size | None]]) -> list[tuple[Image, Size | None]]:
    """Sort images by date where all have one, as TEOChat's loader does; numbers in the text count in that order."""
    if any(image.date is None for image, _ in images):
        return images
    return sorted(images, key=lambda pair: str(pair[0].date))
