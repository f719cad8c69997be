"""Words for where things are: nine places of an image, eight relations of two things, and when a word is certain.

A word is certain when a reader who measures by eye cannot come to another one: a centre that lies near the border of
two places has no place here, and a direction between two of the eight has no name. Shares are of the image's width and
height, x to the right, y down.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from vlm.errors import DataError
from vlm.geometry.convert import to_hbb
from vlm.geometry.shapes import Geometry, Point

PLACES: Final = ("top left", "top", "top right", "left", "center", "right", "bottom left", "bottom", "bottom right")
"""Names of the cells of a 3 x 3 grid over the image, in reading order."""

CELLS: Final = tuple(f"{row}-{column}" for row in ("top", "center", "bottom") for column in ("left", "center", "right"))
"""The same cells as ChangeChat writes them."""

CLEAR_SHARE: Final = 0.04
"""How far a centre must lie from the border of a place, as a share of the image's side."""

CLEAR_DEG: Final = 15.0
"""How far a direction may lie from one of the eight that have a name."""

RELATIONS: Final[dict[tuple[int, int], str]] = {
    (1, 0): "to the right of",
    (1, 1): "below and to the right of",
    (0, 1): "below",
    (-1, 1): "below and to the left of",
    (-1, 0): "to the left of",
    (-1, -1): "above and to the left of",
    (0, -1): "above",
    (1, -1): "above and to the right of",
}
"""Words for the direction (x, y) from the second thing to the first."""


def centre_of(geometry: Geometry) -> Point:
    """Give the middle of the box around a shape, in pixels."""
    box = to_hbb(geometry)
    return (box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2


def find_place(x_share: float, y_share: float) -> str:
    """Name the ninth of the image in which a point lies; points outside count to the nearest ninth."""
    column, row = (min(2, max(0, math.floor(3 * share))) for share in (x_share, y_share))
    return PLACES[3 * row + column]


def find_clear_place(geometry: Geometry, *, width: int, height: int) -> str | None:
    """Name the place of a shape's centre; None where it lies within CLEAR_SHARE of a border between places."""
    x, y = centre_of(geometry)
    shares = (x / width, y / height)
    if any(abs(share - border) < CLEAR_SHARE for share in shares for border in (1 / 3, 2 / 3)):
        return None
    return find_place(*shares)


def may_lie_in(place: str, geometry: Geometry, *, width: int, height: int) -> bool:
    """Tell whether the centre of a shape lies in a place or so near to it that one could say so."""
    index = PLACES.index(place)
    for share, cell in zip(_shares(geometry, width, height), (index % 3, index // 3), strict=True):
        if not (cell / 3 - CLEAR_SHARE <= share <= (cell + 1) / 3 + CLEAR_SHARE):
            return False
    return True


def say_place(place: str) -> str:
    """Put the preposition before a place: "in the top left", "at the top", "on the left"."""
    if place not in PLACES:
        raise DataError(f"no place is called {place!r}: known are {', '.join(PLACES)}")
    if place in ("top", "bottom"):
        return f"at the {place}"
    return f"on the {place}" if place in ("left", "right") else f"in the {place}"


def find_relation(first: Geometry, second: Geometry) -> str | None:
    """Say where the first thing lies seen from the second, "above and to the left of"; None where it is not certain.

    Certain are directions within CLEAR_DEG of the eight, between things whose boxes do not touch.
    """
    if overlap(first, second):
        return None
    (x1, y1), (x2, y2) = centre_of(first), centre_of(second)
    angle = math.degrees(math.atan2(y1 - y2, x1 - x2))
    turns = round(angle / 45)
    if abs(angle - 45 * turns) > CLEAR_DEG:
        return None
    direction = 45 * turns
    return RELATIONS[round(math.cos(math.radians(direction))), round(math.sin(math.radians(direction)))]


def overlap(first: Geometry, second: Geometry) -> bool:
    """Tell whether the boxes around two shapes touch or overlap."""
    a, b = to_hbb(first), to_hbb(second)
    return a.x1 <= b.x2 and b.x1 <= a.x2 and a.y1 <= b.y2 and b.y1 <= a.y2


def distance_px(first: Geometry, second: Geometry) -> float:
    """Measure the distance of two shapes' centres in pixels."""
    return math.dist(centre_of(first), centre_of(second))


def share_by_place(bits: np.ndarray) -> np.ndarray:
    """Give the share of true cells in each ninth of a boolean (rows, cols) array, in the order of PLACES."""
    rows, cols = bits.shape
    if min(rows, cols) < 3:
        raise DataError(f"a label of {cols} x {rows} px has no nine places: expected at least 3 x 3")
    y = [round(rows * step / 3) for step in range(4)]
    x = [round(cols * step / 3) for step in range(4)]
    return np.array([bits[y[i // 3] : y[i // 3 + 1], x[i % 3] : x[i % 3 + 1]].mean() for i in range(9)])


def join_words(words: list[str], *, last: str = "and") -> str:
    """Join words as a sentence does: "a", "a and b", "a, b and c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def _shares(geometry: Geometry, width: int, height: int) -> Point:
    x, y = centre_of(geometry)
    return x / width, y / height
