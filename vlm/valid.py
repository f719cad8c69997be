"""Where an image holds data: what the tiles show of it, and an island of data that overviews leave out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vlm.errors import RasterError
from vlm.geometry.shapes import Window

if TYPE_CHECKING:
    from vlm.raster import Pixels, Raster, Rendering

SEARCH_PX = 256 * 1024**2
SEARCH_BLOCK_PX = 2048


def check_valid(pixels: Pixels, window: Window, path: str | Path) -> Pixels:
    """Return the pixels, or raise RasterError where none of them is valid."""
    if pixels.valid.any():
        return pixels
    raise _nothing(window, path)


def check_seen(raster: Raster, area: Window, tiles: Sequence[Window], rendering: Rendering, *, tile_px: int) -> None:
    """Raise RasterError where none of the tiles, read as `tile_px` squares, shows a valid pixel of an area.

    The sentence names the window that holds the data, where there is one.
    """
    if any(raster.read(*_part(tile, area, tile_px), rendering).valid.any() for tile in tiles):
        return
    island = find_valid(raster, area, rendering.bands)
    if island is None:
        raise _nothing(area, raster.path, _holding(raster, area, rendering))
    raise RasterError(
        f"the tiles that are read of {raster.path} ({len(tiles)}) show no valid pixel: its data lie within "
        f"{island.x},{island.y},{island.w},{island.h} (x,y,w,h); ask about that window, or raise the budget"
    )


def find_valid(raster: Raster, window: Window, bands: tuple[int, ...]) -> Window | None:
    """Find the smallest window around the valid pixels of bands inside a window, read at full resolution.

    None where there are none, or where the window has more than SEARCH_PX pixels: the search takes seconds, not hours.
    """
    if window.w * window.h > SEARCH_PX:
        return None
    found = [part for block in _blocks(window) if (part := _valid_part(raster, block, bands)) is not None]
    if not found:
        return None
    x, y = min(part.x for part in found), min(part.y for part in found)
    return Window(x, y, max(part.x + part.w for part in found) - x, max(part.y + part.h for part in found) - y)


def _holding(raster: Raster, area: Window, rendering: Rendering) -> list[int]:
    """List the bands of a rendering that hold data where all of them together hold none."""
    bands = sorted(set(rendering.bands))
    return [band for band in bands if find_valid(raster, area, (band,)) is not None] if len(bands) > 1 else []


def _nothing(window: Window, path: str | Path, holding: Sequence[int] = ()) -> RasterError:
    if holding:
        return RasterError(
            f"window {window.x},{window.y},{window.w},{window.h} of {path} has no pixel where all the bands that are "
            f"shown hold data: of them only {', '.join(map(str, holding))} {'does' if len(holding) == 1 else 'do'}; "
            "name other bands with --bands, or choose another window"
        )
    return RasterError(
        f"window {window.x},{window.y},{window.w},{window.h} of {path} holds no valid pixel (only nodata, "
        "transparency, NaN or ground outside the image); choose another window"
    )


def _part(tile: Window, area: Window, tile_px: int) -> tuple[Window, tuple[int, int]]:
    """Give the part of an area that a tile covers, and its size in pixels of the tile."""
    x1, y1 = max(tile.x, area.x), max(tile.y, area.y)
    x2, y2 = min(tile.x + tile.w, area.x + area.w), min(tile.y + tile.h, area.y + area.h)
    part = Window(x1, y1, x2 - x1, y2 - y1)
    return part, (max(1, part.w * tile_px // tile.w), max(1, part.h * tile_px // tile.h))


def _blocks(window: Window) -> Iterator[Window]:
    side = SEARCH_BLOCK_PX
    for y in range(window.y, window.y + window.h, side):
        for x in range(window.x, window.x + window.w, side):
            yield Window(x, y, min(side, window.x + window.w - x), min(side, window.y + window.h - y))


def _valid_part(raster: Raster, block: Window, bands: tuple[int, ...]) -> Window | None:
    valid = raster.valid_pixels(block, bands)
    rows, cols = np.flatnonzero(valid.any(axis=1)), np.flatnonzero(valid.any(axis=0))
    if not rows.size:
        return None
    x, y = int(cols[0]), int(rows[0])
    return Window(block.x + x, block.y + y, int(cols[-1]) + 1 - x, int(rows[-1]) + 1 - y)
