"""Tile plans: which square windows of an image the model reads, decided from integers alone, before a pixel is read.

A plan is a thumbnail (level 0: one square window over the whole image) followed by the grid of square, overlapping
windows of one level (level 1: the finest grid that the budget allows, never finer than the image's own pixels). A
window may stick out of the image; what sticks out is padding. Windows and tiles are square, so nothing is ever
distorted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from vlm.errors import WindowError
from vlm.geometry.shapes import Window


@dataclass(frozen=True, slots=True)
class TokenBudget:
    """Bound what one image may cost: `tiles` in all (thumbnail included) and, if given, `visual_tokens`."""

    tiles: int = 7
    visual_tokens: int | None = None

    def __post_init__(self) -> None:
        if self.tiles < 1 or (self.visual_tokens is not None and self.visual_tokens < 1):
            raise WindowError(f"token budget {self} is empty: expected at least 1 tile and at least 1 visual token")

    def max_tiles(self, tokens_per_tile: int) -> int:
        """Give the number of tiles that both bounds allow, at least the thumbnail."""
        if self.visual_tokens is None:
            return self.tiles
        return max(1, min(self.tiles, self.visual_tokens // tokens_per_tile))


@dataclass(frozen=True, slots=True)
class Tile:
    """Name one square window (original-image pixels), read as `tile_px` x `tile_px`, and its place in the plan."""

    level: int
    row: int
    col: int
    window: Window
    tile_px: int
    reason: str

    @property
    def scale(self) -> float:
        """Give tile pixels per original pixel."""
        return self.tile_px / self.window.w

    def frame(self, area: Window) -> tuple[float, float, float, float]:
        """Give the tile's canvas as (x1, y1, x2, y2) in an area of the image, normalised by it; may leave [0, 1]."""
        x, y = self.window.x - area.x, self.window.y - area.y
        return x / area.w, y / area.h, (x + self.window.w) / area.w, (y + self.window.h) / area.h


@dataclass(frozen=True, slots=True)
class TilePlan:
    """Hold the ordered tiles of one image; a selector may reorder or cut them with `select`."""

    width: int
    height: int
    tile_px: int
    tokens_per_tile: int
    tiles: tuple[Tile, ...]

    @property
    def visual_tokens(self) -> int:
        """Give the number of visual tokens that the language model will see for this image."""
        return len(self.tiles) * self.tokens_per_tile

    def select(self, order: Sequence[int]) -> TilePlan:
        """Keep the tiles at these indices, in this order.

        Raises WindowError when an index is not in the plan or none is left.
        """
        if not order or not all(0 <= index < len(self.tiles) for index in order):
            raise WindowError(f"tile selection {list(order)} does not fit a plan of {len(self.tiles)} tiles")
        return replace(self, tiles=tuple(self.tiles[index] for index in order))


@dataclass(frozen=True, slots=True)
class GridLevel:
    """Hold one level of the pyramid: `rows` x `cols` square windows of `side` original pixels."""

    rows: int
    cols: int
    side: int

    @property
    def tiles(self) -> int:
        return self.rows * self.cols


def plan_grids(width: int, height: int, *, tile_px: int, max_tiles: int) -> Iterator[GridLevel]:
    """Yield the useful grids of at most `max_tiles` windows from coarse to fine: each next one has a smaller side.

    A grid is useful when no grid of the same number of windows or fewer has a smaller side. No side is below `tile_px`:
    pixels are never magnified.
    """
    best_side = max(width, height)
    for count in range(2, max_tiles + 1):
        level = _finest_grid(width, height, count=count, tile_px=tile_px)
        if level is not None and level.side < best_side:
            best_side = level.side
            yield level


def _finest_grid(width: int, height: int, *, count: int, tile_px: int) -> GridLevel | None:
    """Give the grid of exactly `count` windows with the smallest side; None when there is none that needs them all."""
    options = []
    for rows in (row for row in range(1, count + 1) if count % row == 0):
        side = max(tile_px, math.ceil(width / (count // rows)), math.ceil(height / rows))
        needed = math.ceil(height / side) * math.ceil(width / side)
        if needed == count:
            options.append(GridLevel(rows=math.ceil(height / side), cols=math.ceil(width / side), side=side))
    return min(options, key=lambda level: level.side, default=None)


def plan_tiles(
    width: int,
    height: int,
    *,
    tile_px: int,
    tokens_per_tile: int,
    budget: TokenBudget,
    fit_factor: float = 1.0,
    window: Window | None = None,
) -> TilePlan:
    """Plan the tiles of a `width` x `height` image, or of one `window` of it, within `budget`.

    An image whose longer side is at most `fit_factor * tile_px` fits one tile. Raises WindowError when the window
    leaves the image.
    """
    area = window or Window(0, 0, width, height)
    if area.x < 0 or area.y < 0 or area.x + area.w > width or area.y + area.h > height:
        raise WindowError(
            f"window x={area.x} y={area.y} w={area.w} h={area.h} leaves the image of {width} x {height} pixels: "
            f"give a window inside it"
        )
    side = max(area.w, area.h)
    thumbnail = Tile(0, 0, 0, Window(area.x, area.y, side, side), tile_px, "overview of the whole image")
    tiles = [thumbnail]
    grids = plan_grids(area.w, area.h, tile_px=tile_px, max_tiles=budget.max_tiles(tokens_per_tile) - 1)
    finest = list(grids)[-1:] if side > fit_factor * tile_px else []
    for level in finest:
        tiles += _grid_tiles(area, level, tile_px)
    return TilePlan(width, height, tile_px, tokens_per_tile, tuple(tiles))


def _grid_tiles(area: Window, level: GridLevel, tile_px: int) -> Iterator[Tile]:
    reason = f"{level.rows} x {level.cols} grid, {level.side} px a tile"
    for row, y in enumerate(_offsets(area.h, level.side, level.rows)):
        for col, x in enumerate(_offsets(area.w, level.side, level.cols)):
            yield Tile(1, row, col, Window(area.x + x, area.y + y, level.side, level.side), tile_px, reason)


def _offsets(length: int, side: int, count: int) -> list[int]:
    """Spread `count` windows of `side` evenly over `length`, first at 0 and last flush with the end."""
    if count == 1:
        return [0]
    return [round(index * (length - side) / (count - 1)) for index in range(count)]
