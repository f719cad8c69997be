"""Read JSON lists of objects: an object's key decides the kind of its numbers, its label is the phrase."""

from __future__ import annotations

import json
import re
from dataclasses import replace

from vlm.codecs.layouts import OBJECT, PAIR, forms_of
from vlm.codecs.reader import EXCERPT, Item, Reader, decode_items, make_slots, read_numbers
from vlm.dialects import Form
from vlm.records import Region

_LABELS = ("label", "name", "category")


def read_json(match: re.Match[str], reader: Reader) -> tuple[int, int, list[str]] | None:
    """Read a list; gives (begin, end, slots), or None when it holds no region and stays text.

    Objects without a region and keys that say neither place nor name are left out and reported.
    """
    texts: list[str] = []
    found: list[Region] = []
    previous: Form | None = None
    others: list[str] = []
    for written in OBJECT.finditer(match["json"]):
        form, item, label, extra = _read_object(written.group(), reader)
        others += extra
        if form is None or item is None:
            continue
        if previous not in (None, form):
            texts += make_slots(found, previous, "", reader)
            found = []
        previous = form
        found += [replace(region, phrase=label) for region in decode_items([item], form, 0, reader)]
    if previous is None or not (found or texts):
        return None
    for other in others:
        reader.note("unparsed", other, "it says neither a place nor a name, and is left out")
    stop = match.end()
    if _is_cut_off(match["json"], reader.text, stop):
        reader.note("truncated", reader.text[stop:], "the list was cut off; its complete items are kept")
        stop = len(reader.text)
    return match.start(), stop, texts + make_slots(found, previous, "", reader)


def _is_cut_off(written: str, text: str, stop: int) -> bool:
    """Say whether a list was not closed and the text ends inside its next object."""
    if written.rstrip("`\n ").endswith("]") or text.find("}", stop) >= 0:
        return False
    return text[stop : stop + EXCERPT].lstrip(" \n\t,").startswith("{")


def _read_object(text: str, reader: Reader) -> tuple[Form | None, Item | None, str, list[str]]:
    """Read the form, the numbers and the label of one object, and the pairs (or the object) that are none of these."""
    form, item, label, others = None, None, "", []
    for pair in PAIR.finditer(text):
        named = next(iter(forms_of(reader.dialect, "json", name=pair["key"])), None)
        if pair["string"] is not None and pair["key"] in _LABELS and not label:
            label = _read_string(pair["string"])
        elif pair["list"] is not None and named is not None and item is None:
            form, item = named, Item((read_numbers(pair["list"]),), text)
        else:
            others.append(pair.group())
    return (form, item, label, others) if item is not None else (None, None, "", [text])


def _read_string(text: str) -> str:
    """Read a JSON string; one with a bad escape is taken as it is written."""
    try:
        return str(json.loads(text, strict=False))
    except json.JSONDecodeError:
        return text[1:-1]
