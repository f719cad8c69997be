"""When two windows see the same object, and what it is then: pieces become one region, whole, once.

All in pixels of the raster. A piece is cut where it reaches an edge of its window that is no edge of the raster. Two
pieces of different windows are one object where they agree on the ground that both windows see, or where one is cut at
an edge and the other goes on beyond it. Of several whole pieces the one farthest from its window's edges counts; pieces
that are all cut are joined: boxes to the box around them, oriented boxes to the smallest rectangle around what each
window saw, masks and polygons to their union.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from vlm.geometry.convert import canonical, min_area_rectangle, polygons_from_shapely, to_shapely
from vlm.geometry.shapes import HBB, OBB, Geometry, Mask, Polygon, Window
from vlm.records import Region

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

Side = Literal["left", "top", "right", "bottom"]
SAME = 0.5
TWICE = 0.8
_ARTICLE = re.compile(r"^(?:the|an?|some)\s+", re.IGNORECASE)


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Hold one region of one window: its outline, the sides where it is cut, and the words of the window's answer."""

    window: Window
    number: int
    region: Region
    shape: BaseGeometry
    cut: frozenset[Side]
    margin: float
    words: str
    label: str

    @property
    def is_area(self) -> bool:
        return isinstance(self.region.geometry, Mask | Polygon)


@dataclass(frozen=True, slots=True, eq=False)
class Object:
    """Hold one object of the raster: its shapes (several parts for a mask), and the pieces that it was made of."""

    geometries: tuple[Geometry, ...]
    kind: str
    phrase: str
    window: Window
    words: str
    pieces: int


def slack_px(side: int, scale: float) -> float:
    """Give how near to an edge counts as at it: two pixels as the model sees them, or a hundredth of the window."""
    return max(2 * scale, 0.01 * side)


def piece_of(
    region: Region, window: Window, size: tuple[int, int], number: int, words: str, slack: float
) -> Piece | None:
    """Give a region of a window as a piece; None where it has no area inside the window."""
    import shapely

    box = shapely.box(window.x, window.y, window.x + window.w, window.y + window.h)
    shape = to_shapely(region.geometry)
    shape = shape if box.contains(shape) else _areas(shapely.intersection(shape, box))
    if shape.area <= 0:
        return None
    x1, y1, x2, y2 = shape.bounds
    gaps: dict[Side, float] = {}
    if window.x > 0:
        gaps["left"] = x1 - window.x
    if window.y > 0:
        gaps["top"] = y1 - window.y
    if window.x + window.w < size[0]:
        gaps["right"] = window.x + window.w - x2
    if window.y + window.h < size[1]:
        gaps["bottom"] = window.y + window.h - y2
    cut = frozenset(side for side, gap in gaps.items() if gap <= slack)
    margin = min(gaps.values(), default=float(max(size)))
    label = _ARTICLE.sub("", region.phrase.strip()).casefold()
    return Piece(window, number, region, shape, cut, margin, words, label)


def are_one(a: Piece, b: Piece, slack: float) -> bool:
    """Say whether two pieces show one object."""
    if a.label != b.label and a.label and b.label:
        return False
    if a.number == b.number:
        return _share(a.shape, b.shape) >= TWICE
    common = _common(a.window, b.window)
    if common is None:
        return _go_on(a, b, slack) or _go_on(b, a, slack)
    shape_a, shape_b = a.shape.intersection(common), b.shape.intersection(common)
    shared = shape_a.intersection(shape_b).area
    least = min(shape_a.area, shape_b.area)
    if shared > 0 and shared >= SAME * (shape_a.area + shape_b.area - shared):
        return True
    if shared > 0 and shared >= SAME * least and (a.is_area and b.is_area):
        return True
    return _go_on(a, b, slack) or _go_on(b, a, slack)


def resolve(pieces: Sequence[Piece], links: Sequence[tuple[int, int]], slack: float) -> list[Object]:
    """Give the objects that linked pieces show: usually one, several where whole pieces are not linked directly.

    `links` are pairs of indices of `pieces`.
    """
    if any(piece.is_area for piece in pieces):
        return [_united(pieces, slack)]
    near: dict[int, set[int]] = {index: set() for index in range(len(pieces))}
    for i, j in links:
        near[i].add(j)
        near[j].add(i)
    whole = sorted((i for i, piece in enumerate(pieces) if not piece.cut), key=lambda i: (-pieces[i].margin, i))
    kept: list[int] = []
    for index in whole:
        if not near[index] & set(kept):
            kept.append(index)
    parts = {i for i, piece in enumerate(pieces) if piece.cut}
    for index in list(kept):
        touching = near[index] & parts
        covered = {i for i in touching if _cover(pieces[index], pieces[i]) >= SAME}
        parts -= covered
        if touching - covered:  # what goes on beyond it shows that it is no whole object
            kept.remove(index)
            parts |= {index, *covered}
    objects = [_single(pieces[index], 1 + len(near[index])) for index in kept]
    return objects + [_joined([pieces[i] for i in group]) for group in _groups(parts, near)]


def _groups(parts: set[int], near: dict[int, set[int]]) -> list[list[int]]:
    """Cut a set of pieces into those that hang together."""
    groups, left = [], set(parts)
    while left:
        group, queue = [], [min(left)]
        left.discard(queue[0])
        while queue:
            index = queue.pop()
            group.append(index)
            found = near[index] & left
            left -= found
            queue += sorted(found)
        groups.append(sorted(group))
    return groups


def _single(piece: Piece, pieces: int) -> Object:
    return Object((piece.region.geometry,), _kind(piece), piece.region.phrase, piece.window, piece.words, pieces)


def _joined(pieces: Sequence[Piece]) -> Object:
    """Join boxes or oriented boxes that are all cut."""
    first = max(pieces, key=lambda piece: piece.shape.area)
    if len(pieces) == 1:
        return _single(first, 1)
    if any(isinstance(piece.region.geometry, OBB) for piece in pieces):
        points = [point for piece in pieces for point in _corners(piece.shape)]
        geometry: Geometry = canonical(min_area_rectangle(points))
        kind = "obb"
    else:
        bounds = [piece.shape.bounds for piece in pieces]
        low = min(b[0] for b in bounds), min(b[1] for b in bounds)
        geometry = HBB(*low, max(b[2] for b in bounds), max(b[3] for b in bounds))
        kind = "box"
    return Object((geometry,), kind, first.region.phrase, first.window, first.words, len(pieces))


def _united(pieces: Sequence[Piece], slack: float) -> Object:
    """Unite masks and polygons; a gap of a rounded outline at a seam is closed."""
    import shapely

    first = max(pieces, key=lambda piece: piece.shape.area)
    if len(pieces) == 1:
        return _single(first, 1)
    union = shapely.union_all([piece.shape for piece in pieces])
    if union.geom_type != "Polygon" and any(piece.cut for piece in pieces):
        closed = union.buffer(slack, join_style="mitre").buffer(-slack, join_style="mitre")
        seams = shapely.union_all([_box(piece.window).boundary.buffer(slack) for piece in pieces if piece.cut])
        union = shapely.union_all([union, closed.intersection(seams)])
    polygons = polygons_from_shapely(_areas(union))
    return Object(polygons, _kind(first), first.region.phrase, first.window, first.words, len(pieces))


def _go_on(cut: Piece, other: Piece, slack: float) -> bool:
    """Say whether `other` goes on where `cut` is cut: both cross the edge at the same place."""
    return any(_goes_on(cut, other, side, slack) for side in cut.cut)


def _goes_on(cut: Piece, other: Piece, side: Side, slack: float) -> bool:
    import shapely

    along, low = side in ("top", "bottom"), side in ("left", "top")
    window, far = cut.window, other.window
    at = {"left": window.x, "top": window.y, "right": window.x + window.w, "bottom": window.y + window.h}[side]
    x1, y1, x2, y2 = other.shape.bounds
    start, stop = (y1, y2) if along else (x1, x2)
    begins, ends = (far.y, far.y + far.h) if along else (far.x, far.x + far.w)
    seen = at - begins if low else ends - at
    inside = ends - at if low else at - begins  # how far the other window looks into the window that cuts
    if seen <= slack or inside < -slack:
        return False
    reaches = start < at if low else stop > at
    touches = stop >= at - slack if low else start <= at + slack
    if not reaches or not touches:
        return False
    crossing = stop > at + slack if low else start < at - slack
    if inside > 2 * slack and not crossing and not _is_sliver(cut, along, slack):
        return False
    low_end, high_end = at - 2 * slack, at + 2 * slack
    band = (-1e18, low_end, 1e18, high_end) if along else (low_end, -1e18, high_end, 1e18)
    one = _interval(shapely.clip_by_rect(cut.shape, *band), along)
    two = _interval(shapely.clip_by_rect(other.shape, *band), along)
    if one is None or two is None:
        return False
    shared = min(one[1], two[1]) - max(one[0], two[0])
    longest = max(one[1], two[1]) - min(one[0], two[0])
    return shared >= SAME * longest > 0


def _is_sliver(piece: Piece, along: bool, slack: float) -> bool:
    x1, y1, x2, y2 = piece.shape.bounds
    return bool((y2 - y1 if along else x2 - x1) <= 2 * slack)


def _interval(shape: BaseGeometry, along: bool) -> tuple[float, float] | None:
    if shape.is_empty:
        return None
    x1, y1, x2, y2 = shape.bounds
    return (x1, x2) if along else (y1, y2)


def _common(a: Window, b: Window) -> BaseGeometry | None:
    x1, y1 = max(a.x, b.x), max(a.y, b.y)
    x2, y2 = min(a.x + a.w, b.x + b.w), min(a.y + a.h, b.y + b.h)
    if x2 <= x1 or y2 <= y1:
        return None
    import shapely

    return shapely.box(x1, y1, x2, y2)


def _share(a: BaseGeometry, b: BaseGeometry) -> float:
    """Measure the intersection over union of two outlines."""
    shared = a.intersection(b).area
    return float(shared / (a.area + b.area - shared)) if shared else 0.0


def _cover(whole: Piece, part: Piece) -> float:
    """Measure how much of a part lies in a whole piece."""
    return float(whole.shape.intersection(part.shape).area / part.shape.area)


def _corners(shape: BaseGeometry) -> list[tuple[float, float]]:
    return [point for polygon in polygons_from_shapely(shape) for point in polygon.exterior]


def _areas(shape: BaseGeometry) -> BaseGeometry:
    """Keep the polygons of an intersection, which may have lines and points too."""
    import shapely

    parts = [shapely.Polygon(p.exterior, p.holes) for p in polygons_from_shapely(shape)]
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)


def _box(window: Window) -> BaseGeometry:
    import shapely

    return shapely.box(window.x, window.y, window.x + window.w, window.y + window.h)


def _kind(piece: Piece) -> str:
    kinds: dict[type, str] = {HBB: "box", OBB: "obb", Polygon: "polygon", Mask: "mask"}
    return kinds[type(piece.region.geometry)]
