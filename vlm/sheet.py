"""A sheet: the tiles of one image under one another in a PNG, with what the model must know of each in a text chunk.

So tiles that were cut here, from a raster of any size, travel to a model elsewhere through an API that takes pictures.
"""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
from PIL import Image as PILImage
from PIL.PngImagePlugin import PngInfo

from vlm.errors import GeometryError, RasterError
from vlm.geometry.shapes import Window
from vlm.processor import TiledImage
from vlm.tiling import Tile, TilePlan

KEY = "nadir-sheet"
_COMPRESSION = 1


def pack_sheet(image: TiledImage) -> bytes:
    """Write a tiled image as a PNG."""
    sheet, info, buffer = as_sheet(image), PngInfo(), io.BytesIO()
    info.add_text(KEY, sheet.info[KEY])
    sheet.save(buffer, "PNG", pnginfo=info, compress_level=_COMPRESSION)
    return buffer.getvalue()


def as_sheet(image: TiledImage) -> PILImage.Image:
    """Give a tiled image as the picture that its PNG is read as."""
    about = {
        "size": (image.width, image.height),
        "origin": image.origin,
        "date": image.date,
        "rendering": image.rendering,
        "partner": image.partner,
        "tiles": [(tile.level, tile.window.x, tile.window.y, tile.window.w) for tile in image.plan.tiles],
    }
    count, side = image.pixels.shape[:2]
    picture = PILImage.fromarray(np.ascontiguousarray(image.pixels.reshape(count * side, side, 3)))
    picture.info[KEY] = json.dumps(about)
    return picture


def is_sheet(picture: PILImage.Image) -> bool:
    """Say whether a picture is a sheet of tiles."""
    return KEY in picture.info


def unpack_sheet(picture: PILImage.Image, *, tile_px: int, tokens_per_tile: int) -> TiledImage:
    """Read a sheet back to the tiled image that it was written from.

    Raises RasterError where it says what no tiled image can be, or its tiles are not of `tile_px` pixels.
    """
    rgb = np.asarray(picture.convert("RGB"))
    try:
        about: dict[str, Any] = json.loads(picture.info[KEY])
        windows = [(int(level), Window(int(x), int(y), int(side), int(side))) for level, x, y, side in about["tiles"]]
        (width, height), (left, top) = map(int, about["size"]), map(int, about["origin"])
        date, rendering = int(about["date"]), int(about["rendering"])
        partner = None if about["partner"] is None else int(about["partner"])
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, GeometryError) as error:
        raise RasterError(f"the text of a sheet of tiles cannot be read ({error}): write it with pack_sheet") from error
    if rgb.shape != (len(windows) * tile_px, tile_px, 3) or not windows:
        raise RasterError(
            f"a sheet of {len(windows)} tiles is {rgb.shape[1]} x {rgb.shape[0]} pixels: expected {tile_px} x "
            f"{max(1, len(windows)) * tile_px}; cut the tiles with the processor of the model that is asked"
        )
    if (
        min(width, height, *(window.w for _, window in windows)) < 1
        or min(date, rendering, *(n for n, _ in windows)) < 0
    ):
        raise RasterError("a sheet of tiles names a size below 1 or a number below 0: write it with pack_sheet")
    tiles = tuple(Tile(level, 0, 0, window, tile_px, "of a sheet") for level, window in windows)
    plan = TilePlan(left + width, top + height, tile_px, tokens_per_tile, tiles)
    pixels = rgb.reshape(len(windows), tile_px, tile_px, 3)
    return TiledImage(pixels, plan, width, height, (left, top), date, rendering, partner)
