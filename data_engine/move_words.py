"""The spatial words of a text and how they turn with the picture.

A word is a direction: left is (-1, 0), top (0, -1), "top right" (1, -1), and so is "north-east". `rewrite` finds the
words in one pass, moves each direction, and writes the new one in the manner of the old: part of the image ("at the
top"), relation ("above", "to the left of"), side ("from the left"), compass ("north-eastern"), cell ('top-left').
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, Protocol

Step = tuple[int, int]


class Turning(Protocol):
    """Move directions as a symmetry of the square does (moves.Move)."""

    @property
    def turns(self) -> int: ...

    @property
    def mirrored(self) -> bool: ...

    def direction(self, step: Step) -> Step: ...


_PICTURE: Final = r"(?:the\ |this\ |that\ )?(?:image|picture|scene|photo|photograph|frame|view|tile)\b"
_PART: Final = r"(?:hand\ )?(?:side|part|half|third|edge|border|corner|portion|area|region|section|quarter|end)s?\b"
_MIDDLE: Final = r"(?:center|centre|middle)"
_PLACE: Final = (
    rf"(?:(?:top|upper|bottom|lower|{_MIDDLE})[- ](?:left|right)|(?:top|upper|bottom|lower)[- ]{_MIDDLE}"
    r"|top|upper|bottom|lower|left|right)"
)
_CORNER: Final = r"(?:top|upper|bottom|lower)[- ](?:left|right)"
_CELL: Final = r"(?:top|center|bottom)-(?:left|center|right)"
_OBJECT: Final = (
    r"(?=\ (?:the|a|an|it|its|them|this|that|these|those|each|another|one|two|three|some|all|many|several)\b)"
)

_WORDS: Final = re.compile(
    rf"""
      (?P<keep>\bfrom\ above\b | \btop[- ]down\b | \bhorizontal\ (?:bounding\ )?box(?:es)?\b)
    | (?P<cells>\[(?:'{_CELL}'(?:,\ )?)+\])
    | (?P<run>\bfrom\ the\ (?P<start>{_CORNER})\ to\ the\ (?P<end>{_CORNER})\b)
    | (?P<diagonal>\b(?P<dv>above|below)\ and\ to\ the\ (?P<dh>left|right)\b(?P<dof>\ of\b)?)
    | (?P<beside>\b(?:to\ the\ (?P<bare>left|right)\b(?![- ]{_PART}|\ of\ {_PICTURE})(?P<of>\ of\b)?
        | (?:on\ the\ )?(?P<near>left|right)\ of\b(?!\ {_PICTURE})))
    | (?P<stacked>\b(?P<stack>above|below)\b(?P<thing>{_OBJECT})?)
    | (?P<most>\b(?P<edge>left|right|top|bottom|upper|lower)(?P<joint>[- ]?)most\b)
    | (?P<placed>\b(?P<prep>in|at|on)\ the\ (?P<where>{_PLACE})\b(?P<part>[- ]{_PART})?)
    | (?P<place>\b(?:{_PLACE}|{_CELL})\b)
    | (?P<compass>\b(?:(?P<ns>north|south)(?:(?P<dash>[- ]?)(?P<ew>east|west))?|(?P<only>east|west))
        (?P<suffix>ern(?:most)?|erly|wards?|bound)?\b)
    | (?P<axis>\b(?:horizontal|vertical)(?:ly)?\b)
    | (?P<spin>\b(?:(?:counter|anti)-?)?clockwise\b)
    """,
    re.VERBOSE | re.IGNORECASE,
)

_NO_PLACE: Final = "".join(rf"(?<!{word}\ )" for word in ("the", "top", "bottom", "upper", "lower", "center", "from"))
_REFUSED: Final = re.compile(
    rf"""
      \bright[- ](?:angle|angled|next|now|away|here|there|of\ way|triang)
    | \bis\ right\b(?!\ of\b|-)
    | \b(?:turn|turns|turning|turned)\ (?:left|right)\b
    | \bon\ top\b
    | \b(?:top|bottom)\ of\ (?!{_PICTURE})
    | (?<!\bfrom\ the\ )(?<!\bat\ the\ )\btops?\ (?:is|are|floor|surface|layer|roof)\b
    | \b(?:circle|circular|round|pointed|white|black|red|blue|green|grey|gray)\ tops?\b
    | {_NO_PLACE}\bright\ (?:in|on|at|by|beside|behind|between)\b
    | \b(?:left|right)\ (?:hand\b(?!\ side)|banks?\b) | \b(?:in|of\ the)\ (?:left|right)\ of\b
    | \b(?:bridge|viaduct|flyover|overpass|road|street|river)s?\b.{{0,40}}\b(?:above|below)\b | \b(?:above|below)\ it\b
    | \brunning\ (?:in\ )?(?:above|below)\b
    | \b(?:cross|intersect|perpendicular)[a-z]*\b.*\bvertical | \bvertical(?:ly)?\b.*\b(?:cross|intersect)
    | \btops?\ view\b | \b(?:flat|hill|mountain|roof|tree|table|cliff|road)[- ]tops?\b
    | \bleft\ (?:over|behind|out|empty|vacant|bare|unused|open|alone)\b
    | {_NO_PLACE}\bleft\ (?:in|by|for|with)\b
    | \b(?:is|are|was|were|has|have|had|been|be|being|that|which)\ (?:left|lower|upper)\b(?![- ](?:most|of)\b)
    | \b(?:lower|upper)\ (?!left|right|most|{_MIDDLE}|{_PART})
    | \b(?:above|below)\ (?:average|ground|sea|zero|\d)
    | \b(?:described|mentioned|shown|listed|see)\ (?:above|below)\b
    | \b(?:runs?|running|goes|going|leads?|leading|extends?|points?|pointing)\ (?:up|down)\b
    | \b(?:columns?|upstream|downstream|uphill|downhill|upwards?|downwards?|upside|sideways)\b
    | (?-i:(?:^|(?<=[a-z,]\ ))(?:North|South|East|West)(?:ern)?\ [A-Z])
    | (?-i:\b(?:NE|NW|SE|SW|NNE|NNW|SSE|SSW)\b)
    """,
    re.VERBOSE | re.IGNORECASE,
)


_STEMS: Final = (
    "left", "right", "top", "bottom", "up", "down", "lower", "above", "below", "north", "south", "east", "west",
    "horizontal", "vertical", "clockwise", "center", "column", "sideways",
)  # fmt: skip
_CAPITALS: Final = ("NE", "NW", "SE", "SW")


def may_say_where(text: str) -> bool:
    """Say whether a text can hold a spatial word at all: most do not, and this is soon known."""
    lower = text.lower()
    return any(stem in lower for stem in _STEMS) or any(letters in text for letters in _CAPITALS)


def find_refusal(text: str) -> str:
    """Give the first words of a text whose meaning is not certain enough to be moved; empty for none."""
    if not may_say_where(text):
        return ""
    found = _REFUSED.search(text)
    return found[0] if found else ""


def rewrite(text: str, move: Turning) -> str:
    """Rewrite every spatial word of a text as the move turns the picture."""
    if not may_say_where(text):
        return text

    def write(found: re.Match[str]) -> str:
        kind = next(name for name in _WRITERS if found[name] is not None)
        new = _WRITERS[kind](found, move)
        return new[:1].upper() + new[1:] if found[0][:1].isupper() else new

    return _WORDS.sub(write, text)


def parse_place(words: str) -> Step:
    """Read a place ("upper left", "center-right", "top") as a direction from the middle."""
    parts = set(re.split(r"[- ]", words.lower()))
    x = (1 if "right" in parts else 0) - (1 if "left" in parts else 0)
    y = (1 if parts & {"bottom", "lower"} else 0) - (1 if parts & {"top", "upper"} else 0)
    return x, y


def _write_place(words: str, step: Step) -> str:
    """Write a direction in the manner of the old place: upper or top, blank or dash, center, centre or none."""
    lower = words.lower()
    dash = "-" if "-" in lower else " "
    low, high = ("lower", "upper") if re.search(r"upper|lower", lower) else ("bottom", "top")
    middle = found[0] if (found := re.search(_MIDDLE, lower)) else ""
    row = {-1: high, 0: middle, 1: low}[step[1]]
    column = {-1: "left", 0: middle, 1: "right"}[step[0]]
    return dash.join(word for word in (row, column) if word)


def _cells(found: re.Match[str], move: Turning) -> str:
    steps = [move.direction(parse_place(cell)) for cell in re.findall(_CELL, found[0], re.IGNORECASE)]
    ordered = sorted(steps, key=lambda step: (step[1], step[0]))
    return str([_write_place("center-center", step) for step in ordered])


def _run(found: re.Match[str], move: Turning) -> str:
    """Write a diagonal from its upper end to its lower one."""
    ends = [(found[name], move.direction(parse_place(found[name]))) for name in ("start", "end")]
    first, second = sorted(ends, key=lambda end: end[1][1])
    return f"from the {_write_place(*first)} to the {_write_place(*second)}"


def _diagonal(found: re.Match[str], move: Turning) -> str:
    x, y = move.direction((-1 if found["dh"].lower() == "left" else 1, -1 if found["dv"].lower() == "above" else 1))
    return f"{'above' if y < 0 else 'below'} and to the {'left' if x < 0 else 'right'}{found['dof'] or ''}"


def _beside(found: re.Match[str], move: Turning) -> str:
    side = (found["bare"] or found["near"]).lower()
    x, y = move.direction((-1 if side == "left" else 1, 0))
    if y:
        return "above" if y < 0 else "below"
    new = "left" if x < 0 else "right"
    return re.sub(r"\b(left|right)\b", new, found[0].lower())


def _stacked(found: re.Match[str], move: Turning) -> str:
    x, y = move.direction((0, -1 if found["stack"].lower() == "above" else 1))
    if y:
        return "above" if y < 0 else "below"
    return f"to the {'left' if x < 0 else 'right'}{' of' if found['thing'] is not None else ''}"


def _most(found: re.Match[str], move: Turning) -> str:
    return f"{_write_place(found['edge'], move.direction(parse_place(found['edge'])))}{found['joint']}most"


def _placed(found: re.Match[str], move: Turning) -> str:
    """Write a place with a preposition; without a noun behind it the preposition follows the place."""
    step = parse_place(found["where"])
    moved = move.direction(step)
    place = _write_place(found["where"], moved)
    if found["part"] or found["where"].lower() in ("upper", "lower") or (step[0] == 0) == (moved[0] == 0):
        return f"{found['prep'].lower()} the {place}{found['part'] or ''}"
    return f"{'at' if moved[0] == 0 else 'on'} the {place}"


def _place(found: re.Match[str], move: Turning) -> str:
    return _write_place(found["place"], move.direction(parse_place(found["place"])))


def _compass(found: re.Match[str], move: Turning) -> str:
    ns, ew = (found["ns"] or "").lower(), (found["ew"] or found["only"] or "").lower()
    x, y = move.direction(({"east": 1, "west": -1}.get(ew, 0), {"south": 1, "north": -1}.get(ns, 0)))
    row, column = {-1: "north", 0: "", 1: "south"}[y], {-1: "west", 0: "", 1: "east"}[x]
    return f"{row}{(found['dash'] or '') if row and column else ''}{column}{(found['suffix'] or '').lower()}"


def _axis(found: re.Match[str], move: Turning) -> str:
    word = found[0].lower()
    if move.turns % 2 == 0:
        return word
    return word.replace("horizontal", "vertical") if "horizontal" in word else word.replace("vertical", "horizontal")


def _spin(found: re.Match[str], move: Turning) -> str:
    word = found[0].lower()
    if not move.mirrored:
        return word
    return "counterclockwise" if word == "clockwise" else "clockwise"


_WRITERS: Final[dict[str, Callable[[re.Match[str], Turning], str]]] = {
    "keep": lambda found, _: found[0], "cells": _cells, "run": _run, "diagonal": _diagonal, "beside": _beside,
    "stacked": _stacked, "most": _most, "placed": _placed, "place": _place, "compass": _compass, "axis": _axis,
    "spin": _spin,
}  # fmt: skip
