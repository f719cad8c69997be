"""Read runs of number tokens: `{<10><20><30><40>|<5>}<delim>{...}` and `ship<loc_1><loc_2>...`."""

from __future__ import annotations

import re
from itertools import takewhile

from vlm.codecs.layouts import forms_of, item_pattern, run_tail_pattern, token_pattern
from vlm.codecs.reader import Item, Reader, decode_items, make_slots, read_numbers
from vlm.dialects import Form

_LONGEST_PHRASE = 200  # characters of text before a run of numbers that can still be its phrase
_LONGEST_TAIL = 400  # characters of an item that a text may end with
_BETWEEN_LISTS = re.compile(r"[\s,]*+\Z")


def read_run(match: re.Match[str], reader: Reader, *, start: int) -> tuple[int, int, list[str]]:
    """Read one list of shapes whose text begins at or after `start`; gives its begin, its end and its slots.

    The number of numbers decides the kind. A list that only blanks or commas part from the list before shares its
    phrase.
    """
    begin, stop = match.start(), match.end()
    phrase = (match.groupdict().get("run_phrase") or "").strip()
    if reader.dialect.phrase == ("", ""):
        begin, phrase = _phrase_before(reader, start, begin)
    shared = ""
    if not phrase and 0 <= reader.run_end <= begin and _BETWEEN_LISTS.fullmatch(reader.text, reader.run_end, begin):
        shared = reader.run_phrase
    texts: list[str] = []
    for form, items in _by_form(match, reader):
        found = decode_items(items, form, 0, reader)
        texts += make_slots(found, form, phrase or shared, reader, ref=bool(phrase) and not texts)
    reader.run_end, reader.run_phrase = stop, phrase or shared
    return begin, _drop_cut_item(reader, stop), texts


def _by_form(match: re.Match[str], reader: Reader) -> list[tuple[Form, list[Item]]]:
    """Group the items of a list by what their numbers make, in order."""
    groups: list[tuple[Form, list[Item]]] = []
    items = item_pattern(reader.dialect.name).finditer(reader.text, match.start("run"))
    for written in takewhile(lambda written: written.start() < match.end(), items):
        item = Item((read_numbers(written.group()),), written.group())
        (form,) = forms_of(reader.dialect, "run", count=len(item.rings[0]))
        if groups and groups[-1][0] == form:
            groups[-1][1].append(item)
        else:
            groups.append((form, [item]))
    return groups


def _drop_cut_item(reader: Reader, stop: int) -> int:
    """Leave out, and report, the beginning of another item with which the text ends."""
    text = reader.text
    if len(text) - stop > _LONGEST_TAIL or not text[stop:].strip():
        return stop
    if run_tail_pattern(reader.dialect.name).match(text, stop) is None:
        return stop
    reader.note("truncated", text[stop:], "the list was cut off; its complete items are kept")
    return len(text)


def _phrase_before(reader: Reader, start: int, begin: int) -> tuple[int, str]:
    """Find the phrase that stands directly before a run: the text since the last region, token or line end."""
    text = reader.text
    first = max(start, begin - _LONGEST_PHRASE - 1)
    first = max(first, text.rfind("\n", first, begin) + 1)
    for token in token_pattern(reader.dialect.name).finditer(text, first, begin):
        first = token.end()
    kept = text[first:begin].lstrip()
    is_phrase = kept and not kept[-1].isspace() and "<" not in kept and any(map(str.isalnum, kept))
    if not is_phrase or len(kept) > _LONGEST_PHRASE:
        return begin, ""
    return begin - len(kept), kept
