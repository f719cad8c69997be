"""How published systems spell geometry in text: a dialect of vlm.dialects in other punctuation.

A dialect says what numbers mean, and `vlm.codecs` reads and writes it. Some systems write the same numbers with other
marks, or leave the marks out. A spelling rewrites such text into its dialect and back, so that there is one codec.

GeoChat: `{<x1><y1><x2><y2>|<a>}`, 0-100, the dialect geochat (its paper, demo and data). EarthDial: the same numbers
and angle as `[[x1, y1, x2, y2, a]]`, several as `[[..]][[..]]`, `[[..], [..]]` or `<box>[[[..]][[..]]]</box>`, phrases
in `<ref>` (its released results). TEOChat: `[x1, y1, x2, y2]`, 0-100, several joined by commas (its evaluation divides
by 100 and multiplies by width and height). VHM: `[x1,y1,x2,y2]` and building outlines `[x1,y1,x2,y2,x3,y3,...]`,
0-1000 (RSEvalKit, its evaluation). InternVL: `<ref>..</ref><box>[[..]]</box>`, 0-1000 (its data guide). Qwen2-VL:
`<|box_start|>(x1,y1),(x2,y2)<|box_end|>`, 0-1000. In all of them x goes by the width and y by the height.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from vlm.codecs import ParsedText, Slot, escape_braces, parse_text, render_text, split_template
from vlm.codecs.layouts import NUMBER
from vlm.dialects import DIALECTS, Kind, Size, frame, get_dialect
from vlm.errors import DataError
from vlm.records import Issue, Region

_N: Final = r"[-+]?\d+(?:\.\d+)?"
_SHAPE: Final = re.compile(rf"\[\s*({_N}(?:\s*,\s*{_N}){{3,}})\s*\]")
_LIST: Final = re.compile(
    rf"(?P<box><box>\s*)?(?P<list>(?:\[\s*){{0,2}}{_SHAPE.pattern}(?:\]{{0,2}}\s*,?\s*\[{{0,2}}{_SHAPE.pattern})*)"
)
_CLOSING: Final = re.compile(r"\s*\]")
_BOX_END: Final = re.compile(r"\s*</box>")
_REF: Final = re.compile(r"<ref>([^<]*+)</ref>\s*+(?=\{<)")
_RUN: Final = re.compile(r"\{<[-\d][^{}]*\}(?:<delim>\{<[-\d][^{}]*\})*")
_PHRASE: Final = re.compile(r"<p>([^<]*+)</p>\s*+(?=\{<)")
_LOOKS_LIKE_COORDINATES: Final = re.compile(
    rf"\{{<\s*{_N}\s*>|<(?:box|obb|quad|poly|seg)\b[^<>]*>\s*[\[(\d]|<loc_\d+>|\"bbox(?:_2d)?\"|<\|box_start\|>"
    rf"|[\[(]\s*{_N}\s*,\s*{_N}\s*,\s*{_N}\s*,\s*{_N}\s*[,\])]|\(\s*{_N}\s*,\s*{_N}\s*\)\s*,\s*\(\s*{_N}\s*,\s*{_N}\s*\)"
)
_COMMA: Final = re.compile(r"(?<=>\})\s*,\s*(?=\{<)")
_TOLERATED: Final = 0.05  # of the grid; numbers that stand out further are in another frame
NO_GEOMETRY: Final = "none"
Instead = tuple[tuple[Kind, Kind], ...]
_BOXES_ONLY: Final[Instead] = (("obb", "box"), ("quad", "box"), ("poly", "box"), ("seg", "box"))


@dataclass(frozen=True, slots=True)
class Spelling:
    """Name a way of writing geometry: the dialect of its numbers, and how its text becomes that dialect's and back.

    `instead` says as which kind another kind is written, where the system has fewer than its dialect.
    """

    name: str
    dialect: str
    read: Callable[[str], str] = str
    write: Callable[[str], str] = str
    instead: Instead = ()


def get_spelling(name: str | None) -> Spelling:
    """Look a spelling up by name; None is the one of text without geometry. DataError lists the known ones."""
    if (name or NO_GEOMETRY) not in SPELLINGS:
        raise DataError(f"no way of writing geometry is called {name!r}: known are {', '.join(SPELLINGS)}")
    return SPELLINGS[name or NO_GEOMETRY]


def read_text(
    text: str, spelling: Spelling, *, sizes: Sequence[Size], resized: Sequence[Size] | None, where: str
) -> ParsedText:
    """Read the text of a data set: a template and its regions, in pixels of the original images.

    Raises DataError where coordinates cannot be read as they are, stand outside the grid, or are written in another
    way than the spelling's: they would stay words, or would land in the wrong place.
    """
    if spelling.name == NO_GEOMETRY:
        parsed = ParsedText(escape_braces(text), (), ())
    else:
        parsed = _parse(text, spelling, sizes, resized)
    for issue in parsed.issues:
        if issue.kind not in ("clipped", "reordered") or _far_outside(issue, spelling, sizes, resized):
            raise DataError(
                f"{where}: {issue.text[:80]!r} cannot be read as {spelling.name} ({issue.detail}): "
                "name the dialect that the file is written in"
            )
    words = "".join("\n" if isinstance(piece, Slot) else piece for piece in split_template(parsed.template))
    found = _LOOKS_LIKE_COORDINATES.search(words)
    if found is not None:
        raise DataError(
            f"{where}: {words[found.start() :][:60]!r} looks like coordinates and is not written as in "
            f"{spelling.name}: name the dialect that the file is written in ({', '.join(SPELLINGS)})"
        )
    if parsed.regions and len(set(sizes)) > 1 and not get_dialect(spelling.dialect).names_images:
        raise DataError(
            f"{where}: the images have different sizes and {spelling.name} does not say which one a region lies in, "
            "so its frame is not known"
        )
    return parsed


def write_text(
    template: str,
    regions: Sequence[Region],
    spelling: Spelling,
    *,
    sizes: Sequence[Size],
    resized: Sequence[Size] | None,
) -> str:
    """Write a template and its regions in a spelling; DataError for regions where the spelling has no geometry."""
    pieces = [_in_kind(piece, spelling) for piece in split_template(template)]
    if spelling.name == NO_GEOMETRY and any(isinstance(piece, Slot) for piece in pieces):
        raise DataError(f"a text holds regions, and none is written: choose a dialect ({', '.join(SPELLINGS)})")
    adapted = "".join(str(piece) if isinstance(piece, Slot) else escape_braces(piece) for piece in pieces)
    return spelling.write(render_text(adapted, regions, sizes=sizes, dialect=spelling.dialect, resized=resized))


def _parse(text: str, spelling: Spelling, sizes: Sequence[Size], resized: Sequence[Size] | None) -> ParsedText:
    """Parse a text with its reasoning; shapes that commas part are one list."""
    text = spelling.read(text)
    if get_dialect(spelling.dialect).style.item_open == "{":
        text = _COMMA.sub("<delim>", text)
    return parse_text(text, sizes=sizes, dialect=spelling.dialect, resized=resized, keep_reasoning=True)


def _in_kind(piece: str | Slot, spelling: Spelling) -> str | Slot:
    """Give a slot the kind in which the spelling writes it."""
    return replace(piece, kind=dict(spelling.instead).get(piece.kind, piece.kind)) if isinstance(piece, Slot) else piece


def _far_outside(issue: Issue, spelling: Spelling, sizes: Sequence[Size], resized: Sequence[Size] | None) -> bool:
    """Say whether a number of a clipped region stands out of the grid by more than rounding explains."""
    if issue.kind != "clipped":
        return False
    dialect = get_dialect(spelling.dialect)
    tops = [frame(dialect, size, resized[i] if resized else None) for i, size in enumerate(sizes)]
    top = max(max(one.top_x, one.top_y) for one in tops)
    values = [float(number) for number in NUMBER.findall(issue.text)]
    return any(value < -_TOLERATED * top or value > (1 + _TOLERATED) * top for value in values)


def _read_brackets(text: str) -> str:
    """Rewrite `[[x1, y1, x2, y2, a]]` and its relatives as the dialect geochat writes them.

    A list whose brackets do not close, or with other numbers of numbers, stays as it is.
    """
    out, end = [], 0
    for match in _LIST.finditer(text):
        shapes = [_braces(numbers) for numbers in _SHAPE.findall(match["list"])]
        stop = _close(text, match)
        if stop is not None and all(shapes):
            out += [text[end : match.start()], "<delim>".join(shapes)]
            end = stop
    return _REF.sub(r"<p>\1</p> ", "".join((*out, text[end:])))


def _close(text: str, match: re.Match[str]) -> int | None:
    """Give the end of a list with the brackets and the tag that close it; None where they are missing."""
    stop = match.end()
    closing = [_CLOSING] * (match["list"].count("[") - match["list"].count("]"))
    for pattern in (*closing, *([_BOX_END] if match["box"] else [])):
        found = pattern.match(text, stop)
        if found is None:
            return None
        stop = found.end()
    return stop


def _braces(numbers: str) -> str:
    """Write four or five numbers as geochat does; nothing for any other number of them."""
    values = [value.strip() for value in numbers.split(",")]
    if len(values) not in (4, 5):
        return ""
    marks = "".join(f"<{value}>" for value in values[:4])
    return f"{{{marks}|<{values[4]}>}}" if len(values) == 5 else f"{{{marks}}}"


def _values(run: str) -> list[str]:
    """Give the numbers of each shape of a geochat run, joined by commas."""
    return [", ".join(re.findall(r"<([^<>]+)>", shape)) for shape in run.split("<delim>")]


def _write_earthdial(text: str) -> str:
    text = _PHRASE.sub(r"<ref>\1</ref> ", text)
    return _RUN.sub(lambda match: "".join(f"[[{values}]]" for values in _values(match[0])), text)


def _write_teochat(text: str) -> str:
    text = _PHRASE.sub(r"\1 ", text)
    return _RUN.sub(lambda match: ", ".join(f"[{values}]" for values in _values(match[0])), text)


def _read_vhm(text: str) -> str:
    """Rewrite `[x1,y1,x2,y2]` and outlines as the dialect nadir writes them."""

    def tagged(match: re.Match[str]) -> str:
        count = match[1].count(",") + 1
        name = "box" if count == 4 else "poly"
        return match[0] if count % 2 else f"<{name}>[[{match[1]}]]</{name}>"

    return _SHAPE.sub(tagged, text)


def _write_vhm(text: str) -> str:
    def bare(match: re.Match[str]) -> str:
        if ";" in match[2]:
            raise DataError("an outline with holes cannot be written as in vhm, which has one ring a region")
        return match[2].replace("],[", "], [")

    text = re.sub(r"<ref>([^<]*+)</ref>", r"\1 ", text)
    return re.sub(r"<(box|poly)>\[(.*?)\]</\1>", bare, text)


def _read_qwen2(text: str) -> str:
    for mark, tag in (("object_ref", "ref"), ("box", "box")):
        text = text.replace(f"<|{mark}_start|>", f"<{tag}>").replace(f"<|{mark}_end|>", f"</{tag}>")
    return text


def _write_qwen2(text: str) -> str:
    def marked(match: re.Match[str]) -> str:
        shapes = [shape.split(",") for shape in re.findall(r"\[([\d,]+)\]", match[1])]
        return "".join(f"<|box_start|>({x1},{y1}),({x2},{y2})<|box_end|>" for x1, y1, x2, y2 in shapes)

    text = re.sub(r"<box>(.*?)</box>", marked, text)
    return re.sub(r"<ref>([^<]*+)</ref>", r"<|object_ref_start|>\1<|object_ref_end|>", text)


_ALL: Final = (
    Spelling(NO_GEOMETRY, "nadir"),
    Spelling("earthdial", "geochat", _read_brackets, _write_earthdial),
    Spelling("teochat", "geochat", _read_brackets, _write_teochat, _BOXES_ONLY),
    Spelling("vhm", "nadir", _read_vhm, _write_vhm, (("obb", "box"), ("quad", "poly"), ("seg", "poly"))),
    Spelling("internvl", "geoground", instead=_BOXES_ONLY),
    Spelling("qwen2", "geoground", _read_qwen2, _write_qwen2, _BOXES_ONLY),
)
SPELLINGS: Final[dict[str, Spelling]] = {name: Spelling(name, name) for name in DIALECTS} | {
    spelling.name: spelling for spelling in _ALL
}
