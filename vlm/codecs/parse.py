"""Text -> records: the one tolerant decoder of all dialects.

What parses becomes a slot and regions; what does not stays text with an issue. Nothing is dropped in silence: clipped
numbers, swapped corners, lists that were cut off and unknown images are counted as issues. The time is linear in the
text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from vlm.codecs.json_text import read_json
from vlm.codecs.layouts import NUMBER, cut_pattern, forms_of, opening_pattern, region_pattern
from vlm.codecs.mask_text import decode_mask
from vlm.codecs.reader import EXCERPT, Item, Reader, decode_items, make_slots, read_numbers
from vlm.codecs.reasoning import split_reasoning
from vlm.codecs.run_text import read_run
from vlm.codecs.template import escape_braces
from vlm.dialects import Dialect, Form, Size, frame, get_dialect
from vlm.errors import GeometryError
from vlm.records import Issue, Region

_CHUNK = re.compile(r"[\[(]([^\[\]()]*+)([\])])?")
_IMAGE = re.compile(r"image\s*=\s*\"?(\d{1,6})", re.IGNORECASE)
_LAST_NUMBER = re.compile(r".*[\d\])>;*|/]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ParsedText:
    """Hold what a text says: a template whose slots render to the same text, the regions, and what was odd.

    `reasoning` is what was taken out of the text because it stood in `<think>` parts.
    """

    template: str
    regions: tuple[Region, ...]
    issues: tuple[Issue, ...]
    reasoning: str = ""


def parse_text(
    text: str,
    *,
    sizes: Sequence[Size],
    dialect: str = "nadir",
    resized: Sequence[Size] | None = None,
    keep_reasoning: bool = False,
) -> ParsedText:
    """Read a model's text in a dialect back to geometry in pixels of the original images.

    `sizes` are (width, height) of the images in pixels; `resized` are the sizes at which the model saw them, which only
    absolute-pixel dialects use (default: smart_resize). Thinking is taken out into `reasoning` and answer tags are
    taken off; `keep_reasoning` reads both as part of the text, as data to train on need it.
    """
    entry = get_dialect(dialect)
    frames = [frame(entry, size, resized[i] if resized else None) for i, size in enumerate(sizes)]
    if keep_reasoning:
        reader, reasoning = Reader(entry, frames, text), ""
    else:
        split = split_reasoning(text)
        reader, reasoning = Reader(entry, frames, split.answer), split.reasoning
        if split.unfinished:
            reader.note("truncated", split.unfinished, "the thinking never ends, so no answer follows")
    _read_regions(reader)
    return ParsedText("".join(reader.pieces), tuple(reader.regions), tuple(reader.issues), reasoning)


def _read_regions(reader: Reader) -> None:
    """Read the whole text of a reader."""
    body, name, end = reader.text, reader.dialect.name, 0
    for match in region_pattern(name).finditer(body) if reader.frames else ():
        before = len(reader.issues)
        slots = _read_match(match, reader, start=end)
        if slots is not None:
            begin, stop, texts = slots
            _keep_text(end, begin, reader)
            reader.pieces += texts
            end = stop
        elif len(reader.issues) > before:
            reader.reported.update(found.start() for found in opening_pattern(name).finditer(body, *match.span()))
    _keep_text(end, len(body), reader)


def _keep_text(begin: int, end: int, reader: Reader) -> None:
    """Keep literal text and report what looks like a region in it."""
    starts = [found.start() for found in opening_pattern(reader.dialect.name).finditer(reader.text, begin, end)]
    for start in starts:
        if start in reader.reported:
            continue
        if start == starts[-1] and cut_pattern(reader.dialect.name).match(reader.text, start):
            reader.note("truncated", reader.text[start:], "the text ends inside a region, which stays text")
        else:
            excerpt = reader.text[start : start + EXCERPT]
            reader.note("unparsed", excerpt, "it looks like a region but its numbers cannot be read")
    reader.pieces.append(escape_braces(reader.text[begin:end]))


def _read_match(match: re.Match[str], reader: Reader, *, start: int) -> tuple[int, int, list[str]] | None:
    """Read one match; gives (begin, end, slots) of what became regions, or None when it stays text."""
    groups = match.groupdict()
    if groups.get("tag"):
        return _read_tag(match, reader)
    if groups.get("run"):
        return read_run(match, reader, start=start)
    if groups.get("json"):
        return read_json(match, reader)
    return _read_line(match, reader)


def _read_tag(match: re.Match[str], reader: Reader) -> tuple[int, int, list[str]] | None:
    """Read `<name ...>...</name>`."""
    (form,) = list(forms_of(reader.dialect, "tag", name=match["tag"].lower()))[:1]
    image = _image_index(match["attribute"] or "")
    if not 0 <= image < len(reader.frames):
        known = len(reader.frames)
        reader.note("unknown_image", match.group(), f"it names image {image + 1}, but {known} are given; it stays text")
        return None
    ended = match["tag_end"] is not None
    body = match["tag_body"]
    cut = not ended and not reader.text[match.end() : match.end() + 200].strip()
    body = body if ended else body[: _body_end(body, cut=cut)]
    if form.kind == "seg":
        found = _read_masks(body, image, reader, cut=cut)
    else:
        found = decode_items(_split_items(body, form, reader.dialect, ended=not cut), form, image, reader)
    if not found:
        return None
    if match["attribute"] and not _IMAGE.search(match["attribute"]):
        reader.note("unparsed", match["attribute"], "the attribute of a tag is not known and is left out")
    if not reader.dialect.style.number_open and "[" in body and NUMBER.search(_CHUNK.sub(" ", body)):
        reader.note("unparsed", body, "numbers outside the brackets of a list are left out")
    phrase = (match.groupdict().get("tag_phrase") or "").strip()
    stop = match.end() if ended else match.start("tag_body") + len(body)
    return match.start(), stop, make_slots(found, form, phrase, reader)


def _body_end(body: str, *, cut: bool) -> int:
    """Give the end of the numbers of a tag without an end tag; `cut` when the text ends there too."""
    last = max(body.rfind("]"), body.rfind(")")) + 1
    closed = body.count("[") == body.count("]")
    if max(body.find("[", last), body.find("(", last)) >= 0 or (cut and not closed):
        return len(body.rstrip())
    if last:
        return last
    found = _LAST_NUMBER.match(body)
    return found.end() if found else 0


def _read_line(match: re.Match[str], reader: Reader) -> tuple[int, int, list[str]] | None:
    """Read a plain line `numbers label`."""
    numbers = read_numbers(match["line"])
    form = next(iter(forms_of(reader.dialect, "line", count=len(numbers))), None)
    if form is None:
        return None
    found = decode_items([Item((numbers,), match.group(), True)], form, 0, reader)
    found = [replace(region, phrase=match["label"].strip()) for region in found]
    return match.start(), match.end(), make_slots(found, form, "", reader)


def _read_masks(body: str, image: int, reader: Reader, *, cut: bool) -> list[Region]:
    """Read the masks of one tag."""
    found = []
    for part in body.split("/"):
        try:
            mask, notes = decode_mask(part, reader.dialect, reader.frames[image])
        except GeometryError as error:
            reader.note("truncated" if cut else "unparsed", part, str(error))
            continue
        for note in notes:
            reader.note(note, part, f"the mask was {note}")
        found.append(Region(mask, image=image))
    return found


def _split_items(body: str, form: Form, dialect: Dialect, *, ended: bool) -> list[Item]:
    """Split the inside of a tag into shapes; brackets separate them, flat numbers are counted off."""
    if dialect.style.number_open:
        texts = [text for text in body.split(dialect.style.item_separator) if text.strip()]
        chunks = [(text, ended or i < len(texts) - 1 or _fits(text, form)) for i, text in enumerate(texts)]
    else:
        chunks = [(m[1], bool(m[2]) or ended) for m in _CHUNK.finditer(body)]
        chunks = [chunk for chunk in chunks if NUMBER.search(chunk[0])] or (
            [(body, ended)] if NUMBER.search(body) else []
        )
    if form.fields and chunks and all(len(read_numbers(text)) == 2 < len(form.fields) for text, _ in chunks):
        chunks = [(",".join(text for text, _ in chunks), chunks[-1][1])]
    items = []
    for text, closed in chunks:
        rings = tuple(read_numbers(ring) for ring in text.split(";") if ring.strip())
        size = len(form.fields)
        if size and len(rings) == 1 and len(rings[0]) > size and len(rings[0]) % size == 0:
            items += [Item((rings[0][i : i + size],), text, closed) for i in range(0, len(rings[0]), size)]
        else:
            items.append(Item(rings, text, closed))
    return items


def _fits(text: str, form: Form) -> bool:
    """Say whether a text has as many numbers as a form needs."""
    return not form.fields or len(read_numbers(text)) == len(form.fields)


def _image_index(attribute: str) -> int:
    """Read ` image=2` as index 1; without it the first image is meant."""
    match = _IMAGE.search(attribute)
    return int(match[1]) - 1 if match else 0
