"""Windows of a user's images for training, and windows apart from them on the ground for the scores.

Images of the same ground, such as two dates of a place, count as one. Where there are many places, whole places are
held out; else blocks of about a window. Windows for training lie anywhere, at several places to a window, and what they
would show of a held-out block is painted over. A window shows an object when at least half of it is to be seen, cut at
the window's edge: less is neither shown nor missed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import numpy as np

from data_engine.own.labels import OwnData, OwnImage
from vlm.errors import DataError
from vlm.geometry.convert import polygon_area, polygons_from_shapely, to_hbb, to_shapely
from vlm.geometry.shapes import HBB, Window
from vlm.geometry.transform import shift
from vlm.records import Region

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from vlm.grid import Grid

T = TypeVar("T")
By = Literal["auto", "images", "blocks"]
SHOWN: Final = 0.5
"""Least share of an object's area to be seen in a window that shows it, and of a window's own that is not painted."""
SIZES: Final = (1.0, 1.4)
"""Sides of the windows for training, in windows: those that are held out differ in size, too."""
STEPS: Final = (4, 2, 1)
"""Windows for training begin at every fourth part of a window, or coarser where there are more than MOST_WINDOWS."""
MOST_WINDOWS: Final = 1200
MOST_HELD: Final = 160
"""The most held-out windows that are asked about."""
FEWEST: Final = 8
"""The least objects that are split."""
MANY_PLACES: Final = 10
"""Places from which on whole ones are held out, if none has more than half of the objects."""
_DRAWS: Final = 400
_MANY: Final = 2000
"""Objects from which on a tenth of the draws is enough."""
_TOUCH: Final = 1e-3
"""Share of the smaller of two areas that may overlap by rounding."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Hold one window of an image, the objects that it shows in its own pixels, and the block that it lies in.

    `painted` are the parts that it does not show, in its own pixels; `numbers` are those of its objects in the image.
    """

    image: OwnImage
    window: Window
    objects: tuple[Region, ...]
    group: str
    painted: tuple[Window, ...] = ()
    numbers: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Split:
    """Hold the windows of both sides, how they were parted, and how many objects each side shows."""

    train: tuple[Cut, ...]
    held: tuple[Cut, ...]
    by: str
    window_px: int
    train_objects: int
    held_objects: int
    unseen: int
    """Objects that no window shows by half: at the border between both sides."""


@dataclass(frozen=True, slots=True)
class _Block:
    """Hold a part of an image that is held out, or not, as a whole; `place` numbers the ground that it shows."""

    image: OwnImage
    window: Window
    place: int
    objects: frozenset[int]

    @property
    def name(self) -> str:
        return f"{self.image.path.stem}/{self.window.x}-{self.window.y}"


def split_own(data: OwnData, *, window_px: int, holdout: float, seed: int, by: By = "auto") -> Split:
    """Cut the images into windows of `window_px` and hold out about a share `holdout` of the objects.

    Raises DataError where there are too few objects or no ground can be held apart.
    """
    total = sum(len(image.objects) for image in data.images)
    if total < FEWEST:
        raise DataError(
            f"{total} objects lie in the images: expected at least {FEWEST}, some to learn from and some to be "
            "scored on; label more"
        )
    places = _number_places(data.images)
    by = _choose_by(data, places) if by == "auto" else by
    blocks = [
        block for number, image in enumerate(data.images) for block in _blocks(image, places[number], window_px, by)
    ]
    held_blocks = _hold_out(blocks, data, holdout, seed, by)
    rng = random.Random(f"{seed}/windows")
    held_blocks += _hold_out_empty(blocks, held_blocks, data, window_px, holdout, rng)
    parts = _some([(block, part) for block in held_blocks for part in _parts(block, window_px)], MOST_HELD, rng)
    held = [_cut_out(block.image, part, block.name) for block, part in parts]
    train = list(_train_cuts(_place_windows(data, window_px, rng), held_blocks))
    if not any(cut.objects for cut in train) or not any(cut.objects for cut in held):
        raise DataError(
            f"no ground can be held apart: {total} objects in windows of {window_px} px leave none to train on, or "
            "none to score; label more, or give smaller windows with --window-px"
        )
    sides = [{(cut.image.path, number) for cut in cuts for number in cut.numbers} for cuts in (train, held)]
    unseen = total - len(sides[0] | sides[1])
    return Split(tuple(train), tuple(held), by, window_px, len(sides[0]), len(sides[1]), unseen)


def check_apart(split: Split) -> int:
    """Count the pairs of a training and a held-out window that show the same ground; it has to be 0."""
    return sum(not _is_apart(one, other) for one in split.train for other in split.held)


def _is_apart(one: Cut, other: Cut) -> bool:
    if one.image.path != other.image.path:
        return not _share_ground(one.image, one.window, other.image, other.window)
    shared = _shared_part(one.window, other.window)
    return shared is None or any(_shared_part(shared, part) == Window(0, 0, shared.w, shared.h) for part in one.painted)


def _choose_by(data: OwnData, places: Sequence[int]) -> By:
    counts: dict[int, int] = {}
    for place, image in zip(places, data.images, strict=True):
        counts[place] = counts.get(place, 0) + len(image.objects)
    return "images" if len(counts) >= MANY_PLACES and 2 * max(counts.values()) < sum(counts.values()) else "blocks"


def _number_places(images: Sequence[OwnImage]) -> list[int]:
    """Give images that show the same ground the same number."""
    numbers = list(range(len(images)))
    for later, image in enumerate(images):
        for earlier in range(later):
            if _share_ground(image, _whole(image), images[earlier], _whole(images[earlier])):
                old, new = numbers[later], numbers[earlier]
                numbers = [new if number == old else number for number in numbers]
    return numbers


def _blocks(image: OwnImage, place: int, window_px: int, by: str) -> Iterator[_Block]:
    """Cut an image into equal blocks of about a window, or take it as one."""
    side = max(image.grid.width, image.grid.height) if by == "images" else window_px
    xs, ys = _edges(image.grid.width, side), _edges(image.grid.height, side)
    x, y = ((image.bounds[:, at] + image.bounds[:, at + 2]) / 2 for at in (0, 1))
    cols, rows = (
        np.clip(np.searchsorted(edges, at, "right") - 1, 0, len(edges) - 2) for edges, at in ((xs, x), (ys, y))
    )
    inside: dict[tuple[int, int], list[int]] = {}
    for number, key in enumerate(zip(cols.tolist(), rows.tolist(), strict=True)):
        inside.setdefault(key, []).append(number)
    for row, (y1, y2) in enumerate(pairwise(ys)):
        for col, (x1, x2) in enumerate(pairwise(xs)):
            yield _Block(image, Window(x1, y1, x2 - x1, y2 - y1), place, frozenset(inside.get((col, row), ())))


def _parts(block: _Block, window_px: int) -> list[Window]:
    """Give the windows of a held-out block."""
    return list(_equal_parts(block.window, window_px))


def _equal_parts(area: Window, side: int) -> Iterator[Window]:
    """Cut an area into equal parts, as nearly of a side as their number allows."""
    xs, ys = _edges(area.w, side), _edges(area.h, side)
    for y1, y2 in pairwise(ys):
        for x1, x2 in pairwise(xs):
            yield Window(area.x + x1, area.y + y1, x2 - x1, y2 - y1)


def _edges(length: int, side: int) -> list[int]:
    count = max(1, round(length / side))
    return [round(at * length / count) for at in range(count + 1)]


def _hold_out(blocks: Sequence[_Block], data: OwnData, holdout: float, seed: int, by: str) -> list[_Block]:
    """Draw blocks (or places) until their objects are nearest to the share, with every class on both sides."""
    key = (lambda block: block.place) if by == "images" else (lambda block: block.name)
    units: dict[Any, list[_Block]] = {}
    for block in blocks:
        units.setdefault(key(block), []).append(block)
    filled = [unit for unit in units.values() if any(block.objects for block in unit)]
    if len(filled) < 2:
        raise DataError(
            f"all objects lie in one {'place' if by == 'images' else 'block'} of {blocks[0].window.w} px, so that no "
            "ground is left to be scored on: label more, or give smaller windows with --window-px"
        )
    total = sum(len(image.objects) for image in data.images)
    rng, best, least = random.Random(f"{seed}/holdout"), filled[:1], float("inf")
    for _ in range(_DRAWS if total < _MANY else _DRAWS // 10):
        drawn: list[list[_Block]] = []
        share = 0.0
        for unit in rng.sample(filled, len(filled))[:-1]:
            more = sum(len(block.objects) for block in unit) / total
            if drawn and abs(share + more - holdout) > abs(share - holdout):
                continue
            drawn, share = [*drawn, unit], share + more
        loss = abs(share - holdout) + 0.2 * _classes_missing(drawn, data)
        if loss < least:
            best, least = drawn, loss
    return [block for unit in best for block in unit]


def _classes_missing(drawn: Sequence[Sequence[_Block]], data: OwnData) -> int:
    """Count the classes that are on one side only."""
    held = {id(block.image.objects[at]) for unit in drawn for block in unit for at in block.objects}
    there = {True: set[str](), False: set[str]()}
    for image in data.images:
        for region in image.objects:
            there[id(region) in held].add(region.phrase)
    return sum(len(set(data.classes) - found) for found in there.values())


def _hold_out_empty(
    blocks: Sequence[_Block],
    held: Sequence[_Block],
    data: OwnData,
    window_px: int,
    holdout: float,
    rng: random.Random,
) -> list[_Block]:
    """Draw blocks of the labelled parts that hold no object, the same share of them, and no more than hold some."""
    parts = {id(image): _labelled_part(image, window_px) for image in data.images}
    empty = [block for block in blocks if not block.objects and _lies_in(block.window, parts[id(block.image)])]
    return rng.sample(empty, min(len(held), round(holdout * len(empty))))


def _lies_in(window: Window, area: Window) -> bool:
    across = area.x <= window.x and window.x + window.w <= area.x + area.w
    return across and area.y <= window.y and window.y + window.h <= area.y + area.h


def _place_windows(data: OwnData, window_px: int, rng: random.Random) -> list[tuple[OwnImage, Window]]:
    """Place windows for training in the labelled part of each image, as closely as MOST_WINDOWS allows."""
    placed: list[tuple[OwnImage, Window]] = []
    for steps in STEPS:
        placed.clear()
        for image in data.images:
            area = _labelled_part(image, window_px)
            for side in dict.fromkeys(min(round(size * window_px), max(area.w, area.h)) for size in SIZES):
                placed += [(image, window) for window in _grid(area, side, max(1, side // steps))]
        if len(placed) <= MOST_WINDOWS:
            break
    return _some(placed, MOST_WINDOWS, rng)


def _train_cuts(placed: Sequence[tuple[OwnImage, Window]], held: Sequence[_Block]) -> Iterator[Cut]:
    """Yield windows with held-out ground painted over, those that still show SHOWN of themselves."""
    for image, window in placed:
        if any(block.image is not image and _share_ground(image, window, block.image, block.window) for block in held):
            continue
        own = [block.window for block in held if block.image is image]
        cut = _cut_out(image, window, image.path.stem, hidden=own)
        if sum(part.w * part.h for part in cut.painted) <= (1 - SHOWN) * window.w * window.h:
            yield cut


def _grid(area: Window, side: int, step: int) -> Iterator[Window]:
    """Yield the windows of an area, one every `step` pixels, the last ones flush with its end."""
    for y in _offsets(area.h, side, step):
        for x in _offsets(area.w, side, step):
            yield Window(area.x + x, area.y + y, min(side, area.w), min(side, area.h))


def _labelled_part(image: OwnImage, window_px: int) -> Window:
    """Give the part of an image around its objects, a window wider: beyond it nobody may have looked."""
    boxes = [to_hbb(region.geometry) for region in image.objects]
    x1 = max(0, int(min(box.x1 for box in boxes)) - window_px)
    y1 = max(0, int(min(box.y1 for box in boxes)) - window_px)
    x2 = min(image.grid.width, int(max(box.x2 for box in boxes)) + window_px)
    y2 = min(image.grid.height, int(max(box.y2 for box in boxes)) + window_px)
    return Window(x1, y1, x2 - x1, y2 - y1)


def _offsets(length: int, side: int, step: int) -> list[int]:
    starts = list(range(0, max(1, length - side + 1), step))
    return starts if starts[-1] + side >= length else [*starts, length - side]


def _cut_out(image: OwnImage, window: Window, group: str, *, hidden: Sequence[Window] = ()) -> Cut:
    """Cut a window out of an image, with the objects of which enough is to be seen beside what is hidden."""
    painted = [part for other in hidden if (part := _shared_part(window, other)) is not None]
    x1, y1, x2, y2 = (image.bounds - (window.x, window.y, window.x, window.y)).T
    near = np.flatnonzero((x1 < window.w) & (x2 > 0) & (y1 < window.h) & (y2 > 0))
    whole = (x1 >= 0) & (x2 <= window.w) & (y1 >= 0) & (y2 <= window.h)
    for part in painted:
        whole &= (x1 >= part.x + part.w) | (x2 <= part.x) | (y1 >= part.y + part.h) | (y2 <= part.y)
    seen = None if whole[near].all() else _seen(window, painted)
    shown: list[tuple[int, Region]] = []
    for number in near.tolist():
        region = image.objects[number]
        moved = replace(region, geometry=shift(region.geometry, -window.x, -window.y))
        visible = moved if whole[number] or seen is None else _visible(moved, seen)
        shown += [] if visible is None else [(number, visible)]
    numbers, objects = tuple(number for number, _ in shown), tuple(region for _, region in shown)
    return Cut(image, window, objects, group, tuple(painted), numbers)


def _seen(window: Window, painted: Sequence[Window]) -> BaseGeometry:
    """Give what a window shows, in its own pixels."""
    import shapely

    hidden = [shapely.box(part.x, part.y, part.x + part.w, part.y + part.h) for part in painted]
    return shapely.box(0, 0, window.w, window.h).difference(shapely.union_all(hidden))


def _visible(region: Region, seen: BaseGeometry) -> Region | None:
    """Give what is to be seen of an object; None for less than SHOWN of it."""
    shape = to_shapely(region.geometry)
    part = shape.intersection(seen)
    if part.area < SHOWN * shape.area:
        return None
    if isinstance(region.geometry, HBB):
        return replace(region, geometry=HBB(*part.bounds))
    return replace(region, geometry=max(polygons_from_shapely(part), key=polygon_area))


def _shared_part(window: Window, other: Window) -> Window | None:
    """Give the part of a window that another one of the same image shows too, in the window's pixels."""
    x1, x2 = max(window.x, other.x), min(window.x + window.w, other.x + other.w)
    y1, y2 = max(window.y, other.y), min(window.y + window.h, other.y + other.h)
    return Window(x1 - window.x, y1 - window.y, x2 - x1, y2 - y1) if x1 < x2 and y1 < y2 else None


def _share_ground(image: OwnImage, window: Window, other: OwnImage, its: Window) -> bool:
    """Say whether windows of two images show the same ground; without a place on the earth they do not."""
    if not (image.grid.georeferenced and other.grid.georeferenced):
        return False
    if not _footprint(image.grid, _whole(image)).intersects(_footprint(other.grid, _whole(other))):
        return False
    one, two = _footprint(image.grid, window), _footprint(other.grid, its)
    return bool(one.intersection(two).area > _TOUCH * min(one.area, two.area))


def _whole(image: OwnImage) -> Window:
    return Window(0, 0, image.grid.width, image.grid.height)


@lru_cache(maxsize=10_000)
def _footprint(grid: Grid, window: Window) -> BaseGeometry:
    """Give the corners of a window on the earth in degrees."""
    import shapely

    x = np.array([0.0, window.w, window.w, 0.0]) + window.x
    y = np.array([0.0, 0.0, window.h, window.h]) + window.y
    lon, lat = grid.to_wgs84(x, y)
    return shapely.Polygon(list(zip(lon, lat, strict=True)))


def _some(items: list[T], most: int, rng: random.Random) -> list[T]:
    """Draw at most `most` of the items, in their order."""
    return items if len(items) <= most else [items[at] for at in sorted(rng.sample(range(len(items)), most))]
