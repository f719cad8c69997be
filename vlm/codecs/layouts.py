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
_OTHER = r"-?[\d.]++(?:e[-+]?\d++)?+|true|false|null"
_PAIR = rf'"[\w \-]++"\s*+:\s*+(?:{_STRING}|{_LIST}|{_OTHER})'
_OBJECT = rf"\{{\s*+{_PAIR}(?:[\s,]*+{_PAIR})*+[\s,]*+\}}"
_JSON = rf"(?P<json>(?:```\w*+\s*+)?+(?:\[\s*+)?+{_OBJECT}(?:\s*+,\s*+{_OBJECT})*+(?:\s*+,)?+(?:\s*+\])?+(?:\s*+```)?+)"
_LINE = r"(?P<line>^[ \t]*+-?\d++(?:\.\d++)?+(?:[ \t]*+,[ \t]*+-?\d++(?:\.\d++)?+){3,7}+)[ \t]++(?P<label>[^\n]++)$"
OBJECT = re.compile(_OBJECT, re.IGNORECASE)
PAIR = re.compile(rf'"(?P<key>[\w \-]++)"\s*+:\s*+(?:(?P<string>{_STRING})|(?P<list>{_LIST})|{_OTHER})', re.IGNORECASE)


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
def cut_pattern(dialect: str) -> re.Pattern[str]:
    """Give the pattern of a region that the text's end cuts off, from where opening_pattern found it."""
    entry = get_dialect(dialect)
    layouts = {form.layout for form in entry.forms}
    parts = []
    if "tag" in layouts:
        parts.append(rf"<\s*+(?:{_tag_names(entry)})\b[^<>]{{0,60}}+(?:>{_tag_inside(entry)}(?:<\s*+[\d.]*+)?+)?+\Z")
    if "json" in layouts:
        names = "|".join(form.name for form in entry.forms if form.layout == "json")
        parts.append(rf'"(?:{names})"(?:(?!</)[^}}])*+\Z')
    if "run" in layouts:
        parts.append(rf"{_cut_item(entry)}\Z")
    return re.compile("|".join(parts), re.IGNORECASE)


@cache
def run_tail_pattern(dialect: str) -> re.Pattern[str]:
    """Give the pattern of what stands between the last complete item of a run and the text's end that cuts it off."""
    entry = get_dialect(dialect)
    separator = re.escape(entry.style.item_separator)
    opening = rf"{re.escape(entry.style.item_open)}\s*+" if entry.style.item_open else ""
    item = _cut_item(entry)
    return re.compile(
        rf"(?:\s*+{separator}\s*+(?:{item}|{opening})?+|\s*+{item}|{_beginning(entry.style.item_separator)})\s*+\Z",
        re.IGNORECASE,
    )


@cache
def item_pattern(dialect: str) -> re.Pattern[str]:
    """Give the pattern of one item within a run of number tokens."""
    return re.compile(_run_item(get_dialect(dialect)), re.IGNORECASE)


@cache
def token_pattern(dialect: str) -> re.Pattern[str]:
    """Give the pattern of one token of a run: a number between its marks, or a separator."""
    entry = get_dialect(dialect)
    return re.compile(rf"{_number_token(entry)}|{re.escape(entry.style.item_separator)}", re.IGNORECASE)


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


def _tag_names(dialect: Dialect) -> str:
    """Match the name of any tag."""
    return "|".join(dict.fromkeys(form.name for form in dialect.forms if form.layout == "tag"))


def _tag_inside(dialect: Dialect) -> str:
    """Match the numbers within a tag."""
    if not dialect.style.number_open:
        return _DIGITS
    return rf"(?:{_number_token(dialect)}|{re.escape(dialect.style.item_separator)}|[\s,;]|(?=\d)[\d,*;]++)*+"


def _tag_pattern(dialect: Dialect) -> str:
    """Match `<name image=2>...</name>`, the end tag being optional."""
    return (
        _phrase_pattern(dialect, "tag_phrase")
        + rf"<\s*+(?P<tag>{_tag_names(dialect)})(?P<attribute>\s[^<>]{{0,40}}+)?>"
        + rf"(?P<tag_body>{_tag_inside(dialect)})(?P<tag_end></\s*+(?P=tag)\s*+>)?"
    )


def _run_pattern(dialect: Dialect) -> str:
    """Match items of number tokens with the separator between them."""
    item, separator = _run_item(dialect), re.escape(dialect.style.item_separator)
    return rf"{_phrase_pattern(dialect, 'run_phrase')}(?P<run>{item}(?:\s*+{separator}\s*+{item})*+)"


def _run_item(dialect: Dialect) -> str:
    """Match the tokens of one shape; a mark that closes it may lack where words go on."""
    style, token = dialect.style, _number_token(dialect)
    kinds = []
    for form in sorted(dialect.forms, key=lambda form: -len(form.fields)):
        before = rf"\s*+(?:{re.escape(style.before_angle)})?+" if form.fields[-1:] == ("a",) else ""
        kinds.append(rf"{token}(?:[\s,]*+{token}){{{len(form.fields) - 2}}}+[\s,]*+{before}\s*+{token}")
    if not style.item_open:
        return "(?:" + "|".join(kinds) + ")"
    closing = rf"(?:\s*+{re.escape(style.item_close)}|(?=\s*+[^\W\d]))"
    return rf"{re.escape(style.item_open)}\s*+(?:{'|'.join(kinds)}){closing}"


def _cut_item(dialect: Dialect) -> str:
    """Match the beginning of an item of number tokens; at least the beginning of one number."""
    style = dialect.style
    opening = rf"{re.escape(style.item_open)}\s*+" if style.item_open else ""
    number = rf"(?:{re.escape(style.number_open)}\s*+[-+]?[\d.]*+|{_beginning(style.number_open)})"
    return rf"{opening}(?={re.escape(style.number_open[:1])})(?:{_number_token(dialect)}[\s,|]*+)*+(?:{number})?+"


def _beginning(mark: str) -> str:
    """Match the first characters of a mark, one at least."""
    pattern = ""
    for character in reversed(mark):
        pattern = f"{re.escape(character)}(?:{pattern})?+" if pattern else re.escape(character)
    return pattern


def _number_token(dialect: Dialect) -> str:
    """Match one number between its marks."""
    style = dialect.style
    return rf"{re.escape(style.number_open)}\s*+[-+]?(?:\d++(?:\.\d*+)?+|\.\d++)\s*+{re.escape(style.number_close)}"
