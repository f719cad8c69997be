"""What a task's answer may look like, as a regular expression: a decoder that is held to it writes regions that parse.

The expressions are plain: literals, classes, groups, alternatives and counts, so that any engine of constrained
decoding reads them. They are made of the dialect's table, as the encoder's text and the decoder's patterns are.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from vlm.dialects import Dialect, Field, Form, Kind, get_dialect
from vlm.errors import GeometryError
from vlm.records import TASKS, Task

NOTHING = "none"
_MARKS = frozenset("\\.^$*+?{}[]|()/")
_TASK_KINDS: dict[Task, tuple[Kind, ...]] = {"ground": ("box", "obb"), "detect": ("box", "obb"), "segment": ("seg",)}
_ALL_KINDS: tuple[Kind, ...] = ("box", "obb", "quad", "poly", "seg")
_MOST_PHRASE = 80
_COUNT = "[0-9]{1,5}"
_ABSOLUTE = "[0-9]{1,5}"
# The lengths of a row's runs and how many there are: no more than 1,024 cells in all, which is the most that is read.
_PAIRS = (("(?:[1-9]|[12][0-9]|3[0-2])", 32), ("[1-9][0-9]?", 10), ("(?:[1-9][0-9]?|[12][0-9]{2}|3[0-3][0-9])", 3))
_ANGLE = {"le90": "-?(?:[0-9]|[1-8][0-9]|90)", "geochat": "(?:[0-9]|[1-8][0-9]|90)"}


@cache
def answer_pattern(task: Task | None, dialect: str, *, dates: int = 1) -> str:
    """Give the expression that the whole answer to a task matches.

    `ground`, `detect` and `segment` are lists of their regions, or "none"; `count` is a number; anything else is words
    with any of the dialect's regions between them. Regions of later dates are named where the dialect can. Raises
    GeometryError for an unknown dialect or task.
    """
    if task is not None and task not in TASKS:
        raise GeometryError(f"task {task!r} is unknown: known tasks are {', '.join(TASKS)}")
    entry = get_dialect(dialect)
    if task == "count":
        return _COUNT
    if task in _TASK_KINDS:
        lists = _any(_list(form, entry, dates) for form in _forms(entry, _TASK_KINDS[task]))
        return f"(?:{NOTHING}|{lists}{{1,20}})"
    lists = _any(_list(form, entry, dates) for form in _forms(entry, _ALL_KINDS))
    return f"(?:{_word(entry)}|{lists})+"


def escape_literal(text: str) -> str:
    """Write a text as an expression that matches it alone."""
    return "".join(f"\\{character}" if character in _MARKS else character for character in text)


def _any(patterns: Iterable[str]) -> str:
    """Join alternatives, each once."""
    return f"(?:{'|'.join(dict.fromkeys(patterns))})"


def _forms(dialect: Dialect, kinds: tuple[Kind, ...]) -> list[Form]:
    """Give the forms in which a dialect writes kinds; a kind that it cannot write has its fallback's."""
    return list(dict.fromkeys(dialect.form(kind) for kind in kinds))


def _word(dialect: Dialect) -> str:
    """Match a character that begins no region."""
    return r'[^<{"\[]' if any(form.layout in ("json", "run") for form in dialect.forms) else "[^<]"


def _list(form: Form, dialect: Dialect, dates: int) -> str:
    """Match one list of regions of a form, with its phrase."""
    if form.layout == "json":
        return _json_list(form, dialect)
    style, phrase = dialect.style, _phrase(dialect)
    items = _repeated(_mask(dialect), "/") if form.kind == "seg" else _items(form, dialect)
    if form.layout == "run":
        return phrase + items
    image = f"(?: image=(?:{'|'.join(map(str, range(2, dates + 1)))}))?" if dialect.names_images and dates > 1 else ""
    opened, closed = ("", "") if form.kind == "seg" else (style.list_open, style.list_close)
    return f"{phrase}<{form.name}{image}>{escape_literal(opened)}{items}{escape_literal(closed)}<\\/{form.name}>"


def _phrase(dialect: Dialect) -> str:
    """Match the phrase before a list, which may lack."""
    if dialect.phrase is None:
        return ""
    opening, closing = (escape_literal(mark) for mark in dialect.phrase)
    words = f"[A-Za-z][A-Za-z ]{{0,{_MOST_PHRASE - 2}}}[A-Za-z]" if not opening else f"[^<{{]{{1,{_MOST_PHRASE}}}"
    return f"(?:{opening}{words}{closing})?"


def _items(form: Form, dialect: Dialect) -> str:
    """Match the items of a list, with the separator between them."""
    style = dialect.style
    rings = _ring(form, dialect)
    if form.holes:
        rings = _repeated(rings, ";")
    return _repeated(
        f"{escape_literal(style.item_open)}{rings}{escape_literal(style.item_close)}", style.item_separator
    )


def _ring(form: Form, dialect: Dialect) -> str:
    """Match the numbers of one shape; a polygon has three points or more."""
    style = dialect.style
    between = escape_literal(style.number_separator)
    if not form.fields:
        point = between.join(_marked("x", dialect) for _ in range(2))
        return f"{point}(?:{between}{point}){{2,}}"
    numbers = [_marked(field, dialect) for field in form.fields]
    if form.fields[-1] == "a" and style.before_angle:
        numbers[-1] = escape_literal(style.before_angle) + numbers[-1]
    return between.join(numbers)


def _marked(field: Field, dialect: Dialect) -> str:
    """Match one number between its marks."""
    style = dialect.style
    return f"{escape_literal(style.number_open)}{_number(field, dialect)}{escape_literal(style.number_close)}"


def _number(field: Field, dialect: Dialect) -> str:
    """Match one number on the dialect's grid, or an angle."""
    if field == "a":
        return _ANGLE[dialect.angle]
    top = dialect.top or dialect.grid
    return _ABSOLUTE if top is None else _up_to(top)


def _up_to(top: int) -> str:
    """Match the whole numbers from 0 to 10^n or 10^n - 1, without leading zeros."""
    digits = len(str(top))
    round_top = top == 10 ** (digits - 1)
    longest = digits - 1 if round_top else digits
    if not round_top and top != 10**digits - 1:
        raise GeometryError(f"a grid of {top} has no expression: expected a power of ten, or one less")
    shorter = f"0|[1-9][0-9]{{0,{longest - 1}}}"
    return f"(?:{shorter}|{top})" if round_top else f"(?:{shorter})"


def _mask(dialect: Dialect) -> str:
    """Match one mask."""
    style = dialect.mask
    if style is None:
        raise GeometryError(f"the dialect {dialect.name} has no masks")
    if style.syntax == "pairs":
        row = _any(rf"[01]\*{count}(?:,[01]\*{count}){{0,{most - 1}}}" for count, most in _PAIRS)
        return f"{row}(?:;{row}){{0,63}};?"
    corner, runs = _number("x", dialect), "(?:[0-9]{1,2}(?:,[0-9]{1,2}){0,31})?"
    row = rf"{runs}(?:\*[1-9][0-9]?)?"
    return rf"{corner},{corner},{corner},{corner}\|{style.cells}\|{row}(?:;{row}){{0,{style.cells - 1}}}"


def _json_list(form: Form, dialect: Dialect) -> str:
    """Match a fenced JSON list of objects as the encoder writes it."""
    numbers = ", ".join(_number(field, dialect) for field in form.fields)
    item = rf'\{{"{form.name}": \[{numbers}\](?:, "label": "[^"\\\n]{{1,{_MOST_PHRASE}}}")?\}}'
    return "```json\n\\[\n\t" + _repeated(item, ",\n\t") + "\n\\]\n```"


def _repeated(item: str, separator: str) -> str:
    """Match one item or more, with a separator between them."""
    return f"{item}(?:{escape_literal(separator)}{item})*"
