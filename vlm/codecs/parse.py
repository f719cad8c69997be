"""Text -> records: the one tolerant decoder of all dialects.

What parses becomes a slot and regions; what does not stays text with an issue. Nothing is dropped in silence: clipped
numbers, swapped corners, lists that were cut off and unknown images are counted as issues. The time is linear in the
text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from vlm.codecs.layouts import NUMBER, OBJECT, PAIR, forms_of, item_pattern, opening_pattern, region_pattern
from vlm.codecs.mask_text import decode_mask
from vlm.codecs.numbers import decode_numbers
from vlm.codecs.template import Slot, escape_braces
from vlm.dialects import Dialect, Form, Frame, Size, frame, get_dialect
from vlm.errors import GeometryError
from vlm.geometry.shapes import Geometry
from vlm.records import Issue, Region

_EXCERPT = 120  # characters of the original text that an issue quotes
_LONGEST_PHRASE = 200  # characters of text before a run of numbers that can still be its phrase
_LONGEST_TOKEN = 64  # characters of a number token that a text may end with
_TAIL = re.compile(r"[\s<>\d.,;:|*+\-\[\](){}\"`]*+\Z")


@dataclass(frozen=True, slots=True)
class ParsedText:
    """Hold what a text says: a template whose slots render to the same text, the regions, and what was odd."""

    template: str
    regions: tuple[Region, ...]
    issues: tuple[Issue, ...]


@dataclass(slots=True)
class _Reader:
    """Collect regions and issues while a text is read from left to right."""

    dialect: Dialect
    frames: Sequence[Frame]
    text: str
    regions: list[Region] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)
    reported: set[int] = field(default_factory=set)

    def note(self, kind: str, text: str, detail: str) -> None:
        """Count one oddity."""
        self.issues.append(Issue(kind, text[:_EXCERPT], detail))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class _Item:
    """Hold one written shape: its rings of numbers, the text it came from, and whether the text ends it."""

    rings: tuple[tuple[float, ...], ...]
    text: str
    closed: bool


def parse_text(
    text: str, *, sizes: Sequence[Size], dialect: str = "nadir", resized: Sequence[Size] | None = None
) -> ParsedText:
    """Read a model's text in a dialect back to geometry in pixels of the original images.

    `sizes` are (width, height) of the images in pixels; `resized` are the sizes at which the model saw them, which only
    absolute-pixel dialects use (default: smart_resize). Thinking is left out and answer tags are taken off.
    """
    entry = get_dialect(dialect)
    frames = [frame(entry, size, resized[i] if resized else None) for i, size in enumerate(sizes)]
    reader = _Reader(entry, frames, "")
    reader.text = body = _answer_part(text, reader)
    end = 0
    for match in region_pattern(dialect).finditer(body) if frames else ():
        before = len(reader.issues)
        slots = _read_match(match, reader, start=end)
        if slots is not None:
            begin, stop, texts = slots
            _keep_text(end, begin, reader)
            reader.pieces += texts
            end = stop
        elif len(reader.issues) > before:
            reader.reported.update(found.start() for found in opening_pattern(dialect).finditer(body, *match.span()))
    _keep_text(end, len(body), reader)
    return ParsedText("".join(reader.pieces), tuple(reader.regions), tuple(reader.issues))


def unescape_phrase(phrase: str) -> str:
    """Undo render.escape_phrase."""
    return re.sub(r"&((?:amp;)*+)lt;", lambda m: f"&{m[1][4:]}lt;" if m[1] else "<", phrase)


def _answer_part(text: str, reader: _Reader) -> str:
    """Leave out `<think>` parts and take `<answer>` tags off."""
    body = text
    closed = body.rfind("</think>")
    if closed >= 0:
        body = body[closed + len("</think>") :]
    opened = body.find("<think>")
    if opened >= 0:
        reader.note("truncated", body[opened:], "the thinking never ends, so no answer follows")
        body = body[:opened]
    body = re.sub(r"</?answer>", "", body)
    return body.strip() if body != text else body


def _keep_text(begin: int, end: int, reader: _Reader) -> None:
    """Keep literal text and report what looks like a region in it."""
    starts = [found.start() for found in opening_pattern(reader.dialect.name).finditer(reader.text, begin, end)]
    for start in starts:
        if start in reader.reported:
            continue
        if start == starts[-1] and end == len(reader.text) and _is_cut_off(reader.text[start:]):
            reader.note("truncated", reader.text[start:], "the text ends inside a region, which stays text")
        else:
            excerpt = reader.text[start : start + _EXCERPT]
            reader.note("unparsed", excerpt, "it looks like a region but its numbers cannot be read")
    reader.pieces.append(escape_braces(reader.text[begin:end]))


def _is_cut_off(text: str) -> bool:
    """Say whether a region's text simply stops: no end tag and no end of an object in it."""
    return "</" not in text and "}" not in text


def _read_match(match: re.Match[str], reader: _Reader, *, start: int) -> tuple[int, int, list[str]] | None:
    """Read one match; gives (begin, end, slots) of what became regions, or None when it stays text."""
    groups = match.groupdict()
    if groups.get("tag"):
        return _read_tag(match, reader)
    if groups.get("run"):
        return _read_run(match, reader, start=start)
    if groups.get("json"):
        return _read_json(match, reader)
    return _read_line(match, reader)


def _read_tag(match: re.Match[str], reader: _Reader) -> tuple[int, int, list[str]] | None:
    """Read `<name ...>...</name>`."""
    (form,) = list(forms_of(reader.dialect, "tag", name=match["tag"].lower()))[:1]
    image = _image_index(match["attribute"] or "")
    if not 0 <= image < len(reader.frames):
        known = len(reader.frames)
        reader.note("unknown_image", match.group(), f"it names image {image + 1}, but {known} are given; it stays text")
        return None
    ended = match["tag_end"] is not None
    body = match["tag_body"]
    stop = match.end() if ended else match.end("tag_body") - (len(body) - len(body.rstrip()))
    rest_is_empty = not reader.text[stop : stop + 200].strip()
    if form.kind == "seg":
        found = _read_masks(body, image, reader, cut=not ended and rest_is_empty)
    else:
        items = _split_items(body, form, reader.dialect, ended=ended or not rest_is_empty)
        found = _decode_items(items, form, image, reader)
    phrase = (match.groupdict().get("tag_phrase") or "").strip()
    return (match.start(), stop, _slots(found, form, phrase, reader)) if found else None


def _read_run(match: re.Match[str], reader: _Reader, *, start: int) -> tuple[int, int, list[str]] | None:
    """Read a bare run of number tokens; the number of numbers decides the kind, a missing separator ends a slot."""
    style, run, begin, stop = reader.dialect.style, match["run"], match.start(), match.end()
    phrase = (match.groupdict().get("run_phrase") or "").strip()
    if reader.dialect.phrase == ("", ""):
        begin, phrase = _phrase_before(reader.text, start, begin)
    at_end = len(reader.text) - stop <= _LONGEST_TOKEN and _TAIL.match(reader.text, stop) is not None
    slots: list[tuple[Form, list[Region]]] = []
    end, cut = 0, False
    for written in item_pattern(reader.dialect.name).finditer(run):
        text = written.group().strip()
        numbers = _numbers(text)
        form = next(iter(forms_of(reader.dialect, "run", count=len(numbers))), None)
        last = at_end and written.end() == len(run)
        if form is None or (last and not text.endswith(style.item_close)):
            cut |= last and not (style.item_close and text.endswith(style.item_close))
            _note_incomplete(text, len(numbers), reader, cut=cut)
            continue
        joined = bool(slots) and slots[-1][0] == form and style.item_separator in run[end : written.start()]
        found = _decode_items([_Item((numbers,), text, True)], form, 0, reader)
        if joined:
            slots[-1][1].extend(found)
        else:
            slots.append((form, found))
        end = written.end()
    if not slots:
        return None
    texts = [text for i, (form, found) in enumerate(slots) for text in _slots(found, form, phrase, reader, ref=i == 0)]
    return begin, _drop_partial_token(reader, stop, noted=cut) if at_end else stop, texts


def _drop_partial_token(reader: _Reader, stop: int, *, noted: bool) -> int:
    """Leave out the first characters of a number token with which a text ends."""
    tail = reader.text[stop:]
    if tail.strip() and set(tail) & set("<{|"):
        if not noted:
            reader.note("truncated", tail, "the text ends inside a number")
        return len(reader.text)
    return stop


def _phrase_before(text: str, start: int, begin: int) -> tuple[int, str]:
    """Find the phrase that stands directly before a run: the text since the last region or line end."""
    first = max(start, text.rfind("\n", max(start, begin - _LONGEST_PHRASE), begin) + 1)
    written = text[first:begin]
    kept = written.lstrip()
    if not kept or kept[-1].isspace() or len(written) > _LONGEST_PHRASE:
        return begin, ""
    return begin - len(kept), kept


def _read_json(match: re.Match[str], reader: _Reader) -> tuple[int, int, list[str]] | None:
    """Read a JSON list of objects; each object's key decides its kind, its label is the phrase."""
    texts: list[str] = []
    found: list[Region] = []
    previous: Form | None = None
    for written in OBJECT.finditer(match["json"]):
        form, item, label = _json_object(written.group(), reader.dialect)
        if form is None or item is None:
            continue
        if previous not in (None, form):
            texts += _slots(found, previous, "", reader)
            found = []
        previous = form
        found += [replace(region, phrase=label) for region in _decode_items([item], form, 0, reader)]
    if previous is None or not (found or texts):
        return None
    stop = match.end()
    if _list_is_cut_off(match["json"], reader.text, stop):
        reader.note("truncated", reader.text[stop:], "the list was cut off; its complete items are kept")
        stop = len(reader.text)
    return match.start(), stop, texts + _slots(found, previous, "", reader)


def _list_is_cut_off(written: str, text: str, stop: int) -> bool:
    """Say whether a JSON list was not closed and the text ends inside its next object."""
    if written.rstrip("`\n ").endswith("]") or text.find("}", stop) >= 0:
        return False
    return text[stop : stop + _EXCERPT].lstrip(" \n\t,").startswith("{")


def _json_object(text: str, dialect: Dialect) -> tuple[Form | None, _Item | None, str]:
    """Read the form, the numbers and the label of one JSON object."""
    form, item, label = None, None, ""
    for pair in PAIR.finditer(text):
        if pair["string"] is not None and pair["key"] in ("label", "name", "category"):
            label = _json_string(pair["string"])
        elif pair["list"] is not None:
            named = next(iter(forms_of(dialect, "json", name=pair["key"])), None)
            if named is not None:
                form, item = named, _Item((_numbers(pair["list"]),), text, True)
    return form, item, label


def _json_string(text: str) -> str:
    """Read a JSON string; one with a bad escape is taken as it is written."""
    try:
        return str(json.loads(text, strict=False))
    except json.JSONDecodeError:
        return text[1:-1]


def _read_line(match: re.Match[str], reader: _Reader) -> tuple[int, int, list[str]] | None:
    """Read a plain line `numbers label`."""
    numbers = _numbers(match["line"])
    form = next(iter(forms_of(reader.dialect, "line", count=len(numbers))), None)
    if form is None:
        return None
    found = _decode_items([_Item((numbers,), match.group(), True)], form, 0, reader)
    found = [replace(region, phrase=match["label"].strip()) for region in found]
    return match.start(), match.end(), _slots(found, form, "", reader)


def _read_masks(body: str, image: int, reader: _Reader, *, cut: bool) -> list[Region]:
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


def _split_items(body: str, form: Form, dialect: Dialect, *, ended: bool) -> list[_Item]:
    """Split the inside of a tag into shapes; brackets separate them, flat numbers are counted off."""
    if dialect.style.number_open:
        texts = [text for text in body.split(dialect.style.item_separator) if text.strip()]
        chunks = [(text, ended or i < len(texts) - 1 or _fits(text, form)) for i, text in enumerate(texts)]
    else:
        chunks = [(m[1], bool(m[2]) or ended) for m in re.finditer(r"[\[(]([^\[\]()]*+)([\])])?", body)]
        chunks = [chunk for chunk in chunks if NUMBER.search(chunk[0])] or (
            [(body, ended)] if NUMBER.search(body) else []
        )
    if form.fields and chunks and all(len(_numbers(text)) == 2 < len(form.fields) for text, _ in chunks):
        chunks = [(",".join(text for text, _ in chunks), chunks[-1][1])]
    items = []
    for text, closed in chunks:
        rings = tuple(_numbers(ring) for ring in text.split(";") if ring.strip())
        size = len(form.fields)
        if size and len(rings) == 1 and len(rings[0]) > size and len(rings[0]) % size == 0:
            items += [_Item((rings[0][i : i + size],), text, closed) for i in range(0, len(rings[0]), size)]
        else:
            items.append(_Item(rings, text, closed))
    return items


def _fits(text: str, form: Form) -> bool:
    """Say whether a text has as many numbers as a form needs."""
    return not form.fields or len(_numbers(text)) == len(form.fields)


def _numbers(text: str) -> tuple[float, ...]:
    """Read all numbers of a text; absurdly long ones are cut, they are out of range anyway."""
    return tuple(float(number[:24]) for number in NUMBER.findall(text))


def _decode_items(items: Iterable[_Item], form: Form, image: int, reader: _Reader) -> list[Region]:
    """Turn written shapes into regions and count what was odd."""
    found = []
    for item in items:
        if not item.closed or not _is_complete(item, form):
            _note_incomplete(item.text, sum(map(len, item.rings)), reader, cut=not item.closed)
            continue
        geometry, clipped, reordered = _decode(item, form, image, reader)
        if clipped:
            reader.note("clipped", item.text, "what lies outside the grid was cut off or moved to its edge")
        if reordered:
            reader.note("reordered", item.text, "swapped corners or sides were put in order")
        found.append(Region(geometry, image=image))
    return found


def _decode(item: _Item, form: Form, image: int, reader: _Reader) -> tuple[Geometry, bool, bool]:
    """Decode the numbers of one complete item."""
    return decode_numbers(item.rings, form, reader.dialect, reader.frames[image])


def _is_complete(item: _Item, form: Form) -> bool:
    """Say whether an item has the numbers that its form needs."""
    if form.fields:
        return len(item.rings) == 1 and len(item.rings[0]) == len(form.fields)
    return bool(item.rings) and all(len(ring) >= 6 and len(ring) % 2 == 0 for ring in item.rings)


def _note_incomplete(text: str, count: int, reader: _Reader, *, cut: bool) -> None:
    """Report an item that lacks numbers."""
    if cut:
        reader.note("truncated", text, "the list was cut off; its complete items are kept")
    else:
        reader.note("unparsed", text, f"{count} numbers make no shape of this kind")


def _image_index(attribute: str) -> int:
    """Read ` image=2` as index 1; without it the first image is meant."""
    match = re.search(r"image\s*=\s*\"?(\d{1,6})", attribute, re.IGNORECASE)
    return int(match[1]) - 1 if match else 0


def _slots(found: list[Region], form: Form, phrase: str, reader: _Reader, *, ref: bool = True) -> list[str]:
    """Add regions and give the slot that writes them again; `ref` false leaves their phrase out of the text."""
    if not found:
        return []
    first = len(reader.regions)
    phrase = unescape_phrase(phrase)
    reader.regions += [replace(region, phrase=phrase) if phrase else region for region in found]
    named = ref and (bool(phrase) or any(region.phrase for region in found))
    return [str(Slot(form.kind, tuple(range(first, len(reader.regions))), named))]
