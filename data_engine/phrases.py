"""Phrases that name exactly one object: provably, among the regions that are given.

A phrase is unique because the class has one member, because one member has a colour that no other has, or because one
member lies or measures beyond all the others by a margin that a reader can see.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from vlm.geometry.convert import polygon_area, to_hbb
from vlm.geometry.shapes import Geometry, Polygon
from vlm.records import Region

POSITION_MARGIN: Final = 0.05
"""How far the centre must lie beyond the next one, as a share of the image's width or height."""

SIZE_RATIO: Final = 1.5
"""How many times the area of the next one the largest must have (and the next one that of the smallest)."""


@dataclass(frozen=True, slots=True)
class UniquePhrase:
    """Name the object `index` of a list of regions by a phrase that fits no other; `basis` says why it is unique."""

    phrase: str
    index: int
    basis: str


def area_of(geometry: Geometry) -> float:
    """Give the area of any geometry in square pixels."""
    return polygon_area(geometry) if isinstance(geometry, Polygon) else geometry.area


def group_by_phrase(regions: Sequence[Region]) -> dict[str, list[int]]:
    """Give the indices of the regions of each class (its phrase), classes in order of first appearance."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index, region in enumerate(regions):
        groups[region.phrase].append(index)
    return dict(groups)


def find_unique_phrases(
    regions: Sequence[Region], *, width: int, height: int, colours: Sequence[str | None] = ()
) -> list[UniquePhrase]:
    """List phrases that each fit exactly one of the regions of a `width` x `height` px image.

    `colours`, where given, holds one colour (or None for unknown) per region; a colour is used only where the colour of
    every member of the class is known.
    """
    found: list[UniquePhrase] = []
    for label, members in group_by_phrase(regions).items():
        if len(members) == 1:
            found.append(UniquePhrase(label, members[0], "single"))
            continue
        found += _by_position(label, members, regions, width=width, height=height)
        found += _by_size(label, members, regions)
        if colours:
            found += _by_colour(label, members, colours)
    return found


def _by_position(
    label: str, members: Sequence[int], regions: Sequence[Region], *, width: int, height: int
) -> list[UniquePhrase]:
    boxes = [to_hbb(regions[index].geometry) for index in members]
    x = [(box.x1 + box.x2) / 2 for box in boxes]
    y = [(box.y1 + box.y2) / 2 for box in boxes]
    extremes = (
        ("left-most", [-value / width for value in x]),
        ("right-most", [value / width for value in x]),
        ("top-most", [-value / height for value in y]),
        ("bottom-most", [value / height for value in y]),
    )
    found = []
    for word, values in extremes:
        winner = _find_winner(values, margin=POSITION_MARGIN)
        if winner is not None:
            found.append(UniquePhrase(f"{word} {label}", members[winner], "position"))
    return found


def _by_size(label: str, members: Sequence[int], regions: Sequence[Region]) -> list[UniquePhrase]:
    logs = [math.log(max(area_of(regions[index].geometry), 1e-9)) for index in members]
    largest = _find_winner(logs, margin=math.log(SIZE_RATIO))
    smallest = _find_winner([-value for value in logs], margin=math.log(SIZE_RATIO))
    pairs = (("largest", largest), ("smallest", smallest))
    return [UniquePhrase(f"{word} {label}", members[at], "size") for word, at in pairs if at is not None]


def _by_colour(label: str, members: Sequence[int], colours: Sequence[str | None]) -> list[UniquePhrase]:
    known = [colours[index] for index in members]
    if None in known:
        return []
    return [
        UniquePhrase(f"{colour} {label}", index, "colour")
        for index, colour in zip(members, known, strict=True)
        if known.count(colour) == 1
    ]


def _find_winner(values: Sequence[float], *, margin: float) -> int | None:
    """Give the place of the greatest value where it beats the second by at least the margin, else None."""
    first, second = sorted(range(len(values)), key=lambda at: values[at], reverse=True)[:2]
    return first if values[first] - values[second] >= margin else None
