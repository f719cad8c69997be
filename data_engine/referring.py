"""Phrases that name exactly one object by class, position, size, order, place, relation or colour, provably.

To data_engine.phrases this adds "second ship from the left", "ship in the top left", "ship to the left of the bridge",
"ship nearest to the bridge" and "left-most white ship". Every phrase fits its object by a margin, and no other object
of the image even without one; a class whose name ends in another class's name ("vehicle", "small vehicle") is named by
none, for a reader cannot tell which of the two is meant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from data_engine.phrases import POSITION_MARGIN, UniquePhrase, find_unique_phrases, group_by_phrase
from data_engine.places import (
    PLACES,
    RELATIONS,
    centre_of,
    distance_px,
    find_clear_place,
    find_relation,
    may_lie_in,
    overlap,
    say_place,
)
from vlm.geometry.shapes import Geometry
from vlm.records import Region

BASES: Final = ("single", "position", "size", "colour", "order", "place", "relation")
"""Why a phrase can be unique."""

NEAREST_RATIO: Final = 1.5
"""How many times farther the second nearest object must be."""

ORDINALS: Final = ("second", "third")
MAX_MEMBERS: Final = 60
"""The most objects of a class that are compared with an anchor; more are too crowded to be told apart."""
_PLAIN: Final = {
    words: step for step, words in RELATIONS.items() if 0 in step
}  # only four directions name one of several


@dataclass(frozen=True, slots=True)
class Frame:
    """State the size of the image in pixels."""

    width: int
    height: int


def find_referring_phrases(
    regions: Sequence[Region], *, width: int, height: int, colours: Sequence[str | None] = ()
) -> list[UniquePhrase]:
    """List phrases that each fit exactly one of the regions of a `width` x `height` px image.

    `colours`, where given, holds one colour (or None for unknown) per region.
    """
    frame = Frame(width, height)
    groups = group_by_phrase(regions)
    unclear = {label for label in groups for other in groups if other.endswith(f" {label}")}
    found = [
        unique
        for unique in find_unique_phrases(regions, width=width, height=height, colours=colours)
        if regions[unique.index].phrase not in unclear
    ]
    anchors = [(label, members[0]) for label, members in groups.items() if len(members) == 1 and label not in unclear]
    for label, members in groups.items():
        if label in unclear or len(members) == 1:
            continue
        found += _by_order(label, members, regions, frame)
        found += _by_place(label, members, regions, frame)
        if len(members) <= MAX_MEMBERS:
            for anchor, at in anchors:
                found += _by_relation(label, members, regions, anchor, regions[at].geometry)
        if colours and all(colours[index] for index in members):
            found += _by_colour_and_position(members, regions, frame, [str(colours[index]) for index in members])
    return found


def name_each(found: Sequence[UniquePhrase]) -> dict[int, list[UniquePhrase]]:
    """Collect phrases by the object they name."""
    named: dict[int, list[UniquePhrase]] = {}
    for unique in found:
        named.setdefault(unique.index, []).append(unique)
    return named


def _by_order(label: str, members: Sequence[int], regions: Sequence[Region], frame: Frame) -> Iterator[UniquePhrase]:
    """Name the second and the third from each side where every gap up to the next one can be seen."""
    x, y = zip(*(centre_of(regions[index].geometry) for index in members), strict=True)
    sides = (
        ("left", [value / frame.width for value in x]),
        ("right", [-value / frame.width for value in x]),
        ("top", [value / frame.height for value in y]),
        ("bottom", [-value / frame.height for value in y]),
    )
    for side, values in sides:
        order = sorted(range(len(members)), key=lambda at: values[at])
        for rank, ordinal in enumerate(ORDINALS, start=1):
            gaps = [values[order[at + 1]] - values[order[at]] for at in range(min(rank + 1, len(members) - 1))]
            if len(members) < rank + 2 or min(gaps) < POSITION_MARGIN:
                break
            yield UniquePhrase(f"{ordinal} {label} from the {side}", members[order[rank]], "order")


def _by_place(label: str, members: Sequence[int], regions: Sequence[Region], frame: Frame) -> Iterator[UniquePhrase]:
    """Name the only one in a ninth of the image, where no other one is even near that ninth."""
    for place in PLACES:
        near = [at for at in members if may_lie_in(place, regions[at].geometry, width=frame.width, height=frame.height)]
        if len(near) == 1:
            clear = find_clear_place(regions[near[0]].geometry, width=frame.width, height=frame.height)
            if clear == place:
                yield UniquePhrase(f"{label} {say_place(place)}", near[0], "place")


def _by_relation(
    label: str, members: Sequence[int], regions: Sequence[Region], anchor: str, place: Geometry
) -> Iterator[UniquePhrase]:
    """Name the only one on one side of an anchor, and the one nearest to it."""
    shapes = [regions[index].geometry for index in members]
    for words in _PLAIN:
        there = [at for at, shape in enumerate(shapes) if may_be(words, shape, place)]
        if len(there) == 1 and find_relation(shapes[there[0]], place) == words:
            yield UniquePhrase(f"{label} {words} the {anchor}", members[there[0]], "relation")
    first, second = sorted(range(len(members)), key=lambda at: distance_px(shapes[at], place))[:2]
    if distance_px(shapes[second], place) >= NEAREST_RATIO * max(distance_px(shapes[first], place), 1.0):
        yield UniquePhrase(f"{label} nearest to the {anchor}", members[first], "relation")


def may_be(relation: str, first: Geometry, second: Geometry) -> bool:
    """Tell whether one could say that the first thing lies in one of the four plain relations to the second.

    Anything whose centre lies at all on that side counts, and so does whatever touches the second thing.
    """
    if overlap(first, second):
        return True
    (x1, y1), (x2, y2) = centre_of(first), centre_of(second)
    dx, dy = _PLAIN[relation]
    return (x1 - x2) * dx + (y1 - y2) * dy > 0


def _by_colour_and_position(
    members: Sequence[int], regions: Sequence[Region], frame: Frame, colours: Sequence[str]
) -> Iterator[UniquePhrase]:
    """Name the outermost ones and the largest and smallest among those of one colour."""
    painted = [
        Region(regions[index].geometry, f"{colour} {regions[index].phrase}")
        for index, colour in zip(members, colours, strict=True)
    ]
    for unique in find_unique_phrases(painted, width=frame.width, height=frame.height):
        if unique.basis != "single":
            yield UniquePhrase(unique.phrase, members[unique.index], "colour")
