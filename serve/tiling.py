"""Map tiles of a raster: rio-tiler reads and warps, vlm's renderings colour, so that a map shows what the model sees.

A raster without georeference has tiles too: zoom `maxzoom` is its own pixels, each zoom below is half of that.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from serve.errors import MissingError
from serve.store.inspect import sound
from vlm.dataset import gdal, quiet
from vlm.geometry.shapes import Window
from vlm.paint import paint
from vlm.raster import Pixels, Raster, Rendering
from vlm.stretch import as_float, decibels

if TYPE_CHECKING:
    from rio_tiler.models import ImageData

TILE_PX = 256
MOST_ZOOM = 24  # the finest of Web Mercator: 9 mm a pixel at the equator


@dataclass(frozen=True, slots=True)
class TileSet:
    """Say which zooms a raster has, and whether its tiles are Web Mercator's (`on_map`) or its own pixels."""

    minzoom: int
    maxzoom: int
    on_map: bool


def plan_tile_set(path: Path, name: str) -> TileSet:
    """Plan the zooms of a raster; RasterError where it is damaged."""
    with sound(name), Raster.open(path) as raster:
        if not raster.grid.georeferenced:
            return TileSet(0, _own_zoom(raster), on_map=False)
    from rio_tiler.io import Reader

    with sound(name), gdal(str(path)), quiet(), Reader(str(path)) as reader:
        return TileSet(reader.minzoom, reader.maxzoom, on_map=True)


def render_tile(path: Path, name: str, zoom: int, x: int, y: int, *, bands: str | None = None) -> bytes:
    """Render one tile as a PNG with transparency, in the bands asked for (vlm.bands reads them).

    Raises MissingError for a tile outside the raster, RasterError for bands that it has not and for damage.
    """
    if not (0 <= zoom <= MOST_ZOOM and 0 <= x < 2**zoom and 0 <= y < 2**zoom):
        raise MissingError(
            f"there is no tile {zoom}/{x}/{y}: expected x and y from 0 to {2 ** min(zoom, MOST_ZOOM) - 1}"
        )
    with sound(name), gdal(str(path)), quiet(), Raster.open(path) as raster:
        how = rendering_of(path, bands)
        if raster.grid.georeferenced:
            pixels = _on_map(path, (x, y, zoom), how, raster)
        else:
            pixels = _own_pixels(raster, (x, y, zoom), how)
    return _png(pixels)


@lru_cache(maxsize=256)
def rendering_of(path: Path, bands: str | None) -> Rendering:
    """Choose how a raster is shown and measure its stretch, once; RasterError for bands that it has not."""
    with Raster.open(path) as raster:
        return raster.renderings(bands, limit=1)[0]


def _own_zoom(raster: Raster) -> int:
    return max(0, math.ceil(math.log2(max(raster.width, raster.height) / TILE_PX)))


def _own_pixels(raster: Raster, tile: tuple[int, int, int], how: Rendering) -> Pixels:
    x, y, zoom = tile
    most = _own_zoom(raster)
    side = TILE_PX * 2 ** max(0, most - zoom) // 2 ** max(0, zoom - most)
    if side < 1 or x * side >= raster.width or y * side >= raster.height:
        raise MissingError(f"tile {zoom}/{x}/{y} lies outside the raster: it has zooms 0 to {most}")
    return raster.read(Window(x * side, y * side, side, side), (TILE_PX, TILE_PX), how)


def _on_map(path: Path, tile: tuple[int, int, int], how: Rendering, raster: Raster) -> Pixels:
    from rio_tiler.errors import TileOutsideBounds
    from rio_tiler.io import Reader

    x, y, zoom = tile
    with Reader(str(path)) as reader:
        options: dict[str, Any] = {"resampling_method": "nearest" if how.kind == "palette" else "bilinear"}
        try:
            image = reader.tile(x, y, zoom, tilesize=TILE_PX, indexes=how.bands, **options)
        except TileOutsideBounds as error:
            raise MissingError(f"tile {zoom}/{x}/{y} lies outside the raster") from error
        return _coloured(image, how, reader.colormap if how.kind == "palette" else None)


def _coloured(image: ImageData, how: Rendering, palette: Any) -> Pixels:
    """Colour what rio-tiler has read as vlm.raster colours what it reads."""
    if palette is not None:
        shown = image.apply_colormap(palette)
        return Pixels(np.moveaxis(shown.array.data[:3], 0, -1).astype(np.uint8), shown.mask > 0)
    values, valid = image.array.data, image.mask > 0
    if np.iscomplexobj(values):
        with np.errstate(over="ignore"):
            values = np.abs(values)
    if values.dtype != np.uint8:
        values = as_float(values)
        valid &= np.isfinite(values).all(axis=0)
    if how.decibel:
        values = decibels(values)
        valid &= np.isfinite(values).all(axis=0)
    rgb, defined = paint(values, how)
    return Pixels(rgb, valid & defined)


def _png(pixels: Pixels) -> bytes:
    from PIL import Image

    alpha = np.where(pixels.valid, 255, 0).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(np.dstack([pixels.rgb, alpha]), "RGBA").save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
