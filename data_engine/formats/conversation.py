"""Messages with image tags -> turns, and back.

A sample's images belong to its first turn and stand before its words. So an image tag at the border of a line (after
bracketed words, a label such as "Image-1:", or a colon, too) is taken out; one inside a sentence becomes the words
"image 2" ("the image" where there is one), which is how vlm.prompts numbers images. Images that a later turn brings are
moved to the first one and keep their number. Written, all tags stand before the first words. Everything else of a text
stays as it is: task marks such as [refer] or a suffix that asks for one word are words.

What the system says is left out, since a sample has no place for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from data_engine.formats.chat_records import IMAGE_TAG, VIDEO_TAG, Chat, Message, sizes_of
from data_engine.formats.format import Reading, check_regions
from data_engine.formats.spelling import Spelling, read_text, write_text
from vlm.codecs import Slot, split_template
from vlm.dialects import Size, get_dialect, smart_resize
from vlm.errors import DataError
from vlm.records import TASKS, Answer, Sample, Task, Turn

_ANY: Final = re.compile(f"{IMAGE_TAG}|{VIDEO_TAG}")
_MARK: Final = re.compile("\ue004(\\d+)\ue005")  # an image tag and its number, while a text is being read
_TAG: Final = "\ue004\\d+\ue005"
_LEADING: Final = re.compile(
    rf"^(?P<kept>[ \t]*(?:\[[^\[\]\n]{{1,40}}\][ \t]*)*)(?:(?:[Ii]mage[- ]?\d+[ \t]*:)?[ \t]*{_TAG}[ \t]*)+\s*",
    re.MULTILINE,
)
_TRAILING: Final = re.compile(rf"(?:[ \t]*\n)?(?:[ \t]*{_TAG})+[ \t]*$", re.MULTILINE)
_AFTER_COLON: Final = re.compile(rf"(?<=:)(?:[ \t]*{_TAG})+")
_SHORT_WORDS: Final = 5
_COUNTED: Final = re.compile(r"\b(how many|number of|count)\b", re.IGNORECASE)
_CLASSIFIED: Final = re.compile(r"\b(classif\w+|scene class|category|theme)\b", re.IGNORECASE)
_DESCRIBED: Final = re.compile(r"\b(describe|description|caption|summari[sz]e)\b", re.IGNORECASE)


def read_sample(
    chat: Chat, spelling: Spelling, *, reading: Reading, sample_id: str, task: object, where: str
) -> Sample:
    """Make a sample of a chat; `task` is what the record says, kept if it is one of ours.

    Raises DataError for tags that do not match the images, turns out of order, and text whose geometry cannot be read.
    """
    spoken = _pairs(_without_tags(chat, where), where)
    if not chat.images:
        raise DataError(f"{where} has no image: a sample is about one at least")
    sizes = sizes_of(chat.images, where=where)
    resized = resized_sizes(sizes, spelling, reading=reading, stated=chat.resized)
    turns = []
    for asked, answered in spoken:
        question = read_text(asked, spelling, sizes=sizes, resized=resized, where=where)
        answer = read_text(answered, spelling, sizes=sizes, resized=resized, where=where)
        check_regions((*question.regions, *answer.regions), sizes, where=where)
        turns.append(Turn(question.template, Answer(answer.template, answer.regions), question.regions))
    named = next((known for known in TASKS if known == task), None) or guess_task(turns, len(chat.images))
    turns = [replace(turn, answer=replace(turn.answer, task=named)) for turn in turns]
    return Sample(sample_id, chat.images, tuple(turns), named, reading.source or "", reading.split, reading.licence)


def write_messages(
    sample: Sample, spelling: Spelling, *, sizes: Sequence[Size], resized: Sequence[Size] | None
) -> list[Message]:
    """Write the turns of a sample, image tags before the first words; DataError for what the spelling cannot hold."""
    messages = []
    for number, turn in enumerate(sample.turns):
        asked = write_text(turn.instruction, turn.regions, spelling, sizes=sizes, resized=resized)
        answered = write_text(turn.answer.template, turn.answer.regions, spelling, sizes=sizes, resized=resized)
        tag = _ANY.search(asked) or _ANY.search(answered)
        if tag is not None:
            raise DataError(f"sample {sample.id} says {tag[0]} in its words, which every reader takes for an image")
        tags = f"{IMAGE_TAG}\n" * len(sample.images) if number == 0 else ""
        messages += [Message("user", tags + asked), Message("assistant", answered)]
    return messages


def resized_sizes(
    sizes: Sequence[Size],
    spelling: Spelling,
    *,
    reading: Reading | None = None,
    stated: Sequence[Size | None] = (),
) -> list[Size] | None:
    """Give the sizes whose pixels an absolute dialect counts; None for dialects with a grid.

    What a record states goes first; then the original size where the reader says so; then Qwen's rule of multiples of
    28 (vlm.dialects.smart_resize).
    """
    dialect = get_dialect(spelling.dialect)
    if dialect.grid is not None:
        return None
    low = reading.min_pixels if reading is not None else None
    high = reading.max_pixels if reading is not None else None
    found = []
    for index, size in enumerate(sizes):
        said = stated[index] if index < len(stated) else None
        if said is None and reading is not None and reading.original_pixels:
            said = size
        found.append(
            said
            or smart_resize(
                size,
                factor=dialect.factor,
                min_pixels=low or dialect.min_pixels,
                max_pixels=high or dialect.max_pixels,
            )
        )
    return found


def guess_task(turns: Sequence[Turn], images: int) -> Task:
    """Name the task of a conversation that names none.

    Several turns are a chat, two images a change. Where an answer is geometry alone, its kind and number decide (ground
    for one, detect for several, segment for masks and outlines). Short answers are counts, classes or vqa, by the words
    of the question; a question about a region without geometry in its answer is region; the rest is caption or chat.
    """
    if len(turns) != 1:
        return "chat"
    (turn,) = turns
    pieces = list(split_template(turn.answer.template))
    slots = [piece for piece in pieces if isinstance(piece, Slot)]
    words = " ".join(str(piece) for piece in pieces if not isinstance(piece, Slot))
    if images == 2:
        return "change"
    if slots and not re.search(r"\w", words):
        if any(slot.kind in ("seg", "poly") for slot in slots):
            return "segment"
        return "ground" if len(turn.answer.regions) == 1 else "detect"
    if turn.regions and not slots:
        return "region"
    if not slots and len(words.split()) <= _SHORT_WORDS:
        if _COUNTED.search(turn.instruction) and re.search(r"\d", words):
            return "count"
        return "classify" if _CLASSIFIED.search(turn.instruction) else "vqa"
    return "caption" if _DESCRIBED.search(turn.instruction) and not slots else "chat"


def _pairs(messages: Iterable[Message], where: str) -> list[tuple[str, str]]:
    """Pair questions with answers; what a user says in several messages is one question."""
    pairs: list[tuple[str, str]] = []
    asked: list[str] = []
    for message in messages:
        if message.role == "user":
            asked.append(message.text.strip())
            continue
        question = "\n".join(words for words in asked if words)
        if not question:
            raise DataError(f"{where} has the answer {message.text[:40]!r} without a question before it")
        pairs.append((question, message.text.strip()))
        asked = []
    if asked or not pairs:
        raise DataError(f"{where} ends with a question that nobody answers: expected an answer to each")
    return pairs


def _without_tags(chat: Chat, where: str) -> list[Message]:
    """Take the image tags out of the users' messages; there is one for each image, or none at all."""
    tags = [tag for message in chat.messages if message.role == "user" for tag in _ANY.findall(message.text)]
    stray = any(message.role != "user" and _ANY.search(message.text) for message in chat.messages)
    whole = tags == [VIDEO_TAG] and bool(chat.images)
    if stray or (tags and not whole and len(tags) != len(chat.images)):
        raise DataError(
            f"{where} has {len(chat.images)} images and {len(tags)} image tags in its questions"
            f"{' and some in its answers' if stray else ''}: expected one tag for each image"
        )
    found, number = [], 0
    for message in chat.messages:
        text = message.text
        if message.role == "user":
            text, number = _take_out(text, number, 1 if whole else len(chat.images), several=len(chat.images) > 1)
        found.append(Message(message.role, text))
    return found


def _take_out(text: str, before: int, tags: int, *, several: bool) -> tuple[str, int]:
    """Take the tags out of one text; `before` tags came earlier. Gives the text and how many came until its end."""
    total = before

    def numbered(_: re.Match[str]) -> str:
        nonlocal total
        total += 1
        return f"\ue004{total}\ue005"

    def named(match: re.Match[str]) -> str:
        if tags > 1:
            return f"image {match[1]}"
        return "the images" if several else "the image"

    marked = _LEADING.sub(lambda match: match["kept"], _ANY.sub(numbered, text))
    for pattern in (_TRAILING, _AFTER_COLON):
        marked = pattern.sub("", marked)
    return _MARK.sub(named, marked), total
