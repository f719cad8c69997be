"""The patterns that find regions in text, built from a dialect's table.

Every pattern is linear: repetitions are possessive, and no character can begin two matches that both run on over the
same text. What a pattern does not match stays text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from vlm.dialects import Dialect, Form, get_dialect

NUMBER = re.compile(r"[-+]?(?:\d++(?:\.\d*+)?|\.\d++)")
_DIGITS = r"[\d\s.,;+\-\[\]()*|/]*+"
_STRING = r'"(?:[^"\\]++|\\.)*+"'
_LIST = r"\[[\d\s.,+\-\[\]]*+"
_PAIR = rf'"[\w \-]++"\s*+:\s*+(?:{_STRING}|{_LIST}|-?[\d.]++|true|false|null)'
_OBJECT = rf"\{{\s*+{_PAIR}(?:[\s,]*+{_PAIR})*+[\s,]*+\}}"
_JSON = rf"(?P<json>(?:```\w*+\s*+)?+(?:\[\s*+)?+{_OBJECT}(?:\s*+,\s*+{_OBJECT})*+(?:\s*+,)?+(?:\s*+\])?+(?:\s*+```)?+)"
_LINE = r"(?P<line>^[ \t]*+-?\d++(?:\.\d++)?+(?:[ \t]*+,[ \t]*+-?\d++(?:\.\d++)?+){3,7}+)[ \t]++(?P<label>[^\n]++)$"
OBJECT = re.compile(_OBJECT)
PAIR = re.compile(rf'"(?P<key>[\w \-]++)"\s*+:\s*+(?:(?P<string>{_STRING})|(?P<list>{_LIST})|)')


@cache
def region_pattern(dialect: str) -> re.Pattern[str]:
    """Give the pattern that finds every way of writing a region which a dialect reads."""
    entry = get_dialect(dialect)
    layouts = {form.layout for form in entry.forms}
    parts = []
    if "tag" in layouts:
        parts.append(_tag_pattern(entry))
    if "run" in layouts:
        parts.append(_run_pattern(entry))
    if "json" in layouts:
        parts.append(_JSON)
    if "line" in layouts:
        parts.append(_LINE)
    return re.compile("|".join(parts), re.IGNORECASE | re.MULTILINE | re.DOTALL)


@cache
def opening_pattern(dialect: str) -> re.Pattern[str]:
    """Give the pattern of what looks like the beginning of a region, to report the ones that did not parse."""
    entry = get_dialect(dialect)
    parts = []
    for form in entry.forms:
        if form.layout == "tag":
            parts.append(rf"<\s*+{form.name}\b")
        elif form.layout == "json":
            parts.append(rf'"{form.name}"')
        elif form.layout == "run" and entry.style.item_open:
            parts.append(re.escape(entry.style.item_open) + r"\s*+" + re.escape(entry.style.number_open))
        elif form.layout == "run":
            parts.append(rf"(?:{_number_token(entry)}\s*+)++|{re.escape(entry.style.number_open)}")
    return re.compile("|".join(dict.fromkeys(parts)), re.IGNORECASE)


@cache
def item_pattern(dialect: str) -> re.Pattern[str]:
    """Give the pattern of one item within a run of number tokens."""
    entry = get_dialect(dialect)
    if not entry.style.item_open:
        most = max(len(form.fields) for form in entry.forms)
        return re.compile(rf"(?:{_number_token(entry)}\s*+){{1,{most}}}", re.IGNORECASE)
    opening, closing = re.escape(entry.style.item_open), re.escape(entry.style.item_close)
    return re.compile(rf"{opening}[^{opening}{closing}]*+{closing}?")


def forms_of(dialect: Dialect, layout: str, *, name: str | None = None, count: int | None = None) -> Iterable[Form]:
    """Give the forms of a layout that have this tag or key, and this number of numbers."""
    for form in dialect.forms:
        if form.layout != layout or (name is not None and form.name != name):
            continue
        if count is None or len(form.fields) == count:
            yield form


def _phrase_pattern(dialect: Dialect, group: str) -> str:
    """Match the phrase that stands before a list."""
    if dialect.phrase is None or not dialect.phrase[0]:
        return ""
    opening, closing = (re.escape(mark.strip()) for mark in dialect.phrase)
    return rf"(?:{opening}(?P<{group}>[^<]*+){closing}\s*+)?"


def _tag_pattern(dialect: Dialect) -> str:
    """Match `<name image=2>...</name>`, the end tag being optional."""
    names = "|".join(dict.fromkeys(form.name for form in dialect.forms if form.layout == "tag"))
    inside = _DIGITS
    if dialect.style.number_open:
        inside = rf"(?:{_number_token(dialect)}|{re.escape(dialect.style.item_separator)}|[\s,;]|(?=\d)[\d,*;]++)*+"
    return (
        _phrase_pattern(dialect, "tag_phrase")
        + rf"<\s*+(?P<tag>{names})(?P<attribute>\s[^<>]{{0,40}}+)?>"
        + rf"(?P<tag_body>{inside})(?P<tag_end></\s*+(?P=tag)\s*+>)?"
    )


def _run_pattern(dialect: Dialect) -> str:
    """Match a run of number tokens with the marks around and between items."""
    style = dialect.style
    opening = re.escape(style.item_open) + r"\s*+" if style.item_open else ""
    marks = [mark for mark in (style.item_open, style.item_close, style.item_separator, style.before_angle[:1]) if mark]
    token = rf"(?:{_number_token(dialect)}|{'|'.join(map(re.escape, marks))})"
    return (
        _phrase_pattern(dialect, "run_phrase")
        + rf"(?P<run>(?={opening}{_number_token(dialect)}){token}(?:\s*+{token})*+)"
    )


def _number_token(dialect: Dialect) -> str:
    """Match one number between its marks."""
    style = dialect.style
    return rf"{re.escape(style.number_open)}\s*+[-+]?[\d.]++\s*+{re.escape(style.number_close)}"
