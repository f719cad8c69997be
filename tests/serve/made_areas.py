"""Rasters with bright shapes, and a stand-in for the model that finds them in the very pixels that it is shown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import rasterio
from PIL import Image as PILImage
from PIL import ImageDraw
from scipy import ndimage

from serve.scan.asking import View
from serve.scan.findings import Finding
from serve.scan.options import ScanOptions
from tests.vlm.made_rasters import write_raster
from vlm.geometry import HBB, OBB, Mask, scale, shift
from vlm.geometry.shapes import Geometry
from vlm.records import Region

Kind = Literal["box", "obb", "mask"]
BRIGHT, DARK = 250, 40


def turned(degrees: float = 0.0, *, metres: float = 0.5) -> dict[str, Any]:
    """Give the georeference of a raster that is turned on the map."""
    transform = rasterio.Affine(metres, 0, 500_000, 0, -metres, 5_000_000) @ rasterio.Affine.rotation(degrees)
    return {"crs": "EPSG:32633", "transform": transform}


def write_area(path: Path, size: tuple[int, int], shapes: Sequence[Geometry], **profile: Any) -> Path:
    """Write a dark raster of (width, height) pixels with bright shapes."""
    picture = PILImage.new("L", size, DARK)
    draw = ImageDraw.Draw(picture)
    for shape in shapes:
        if isinstance(shape, HBB):
            draw.rectangle((shape.x1, shape.y1, shape.x2 - 1, shape.y2 - 1), fill=BRIGHT)
        elif isinstance(shape, OBB):
            draw.polygon([(x - 0.5, y - 0.5) for x, y in shape.corners()], fill=BRIGHT)
    band = np.asarray(picture)[None]
    tiled = {"tiled": True, "blockxsize": 128, "blockysize": 128} if min(size) > 128 else {}
    return write_raster(path, band.repeat(3, axis=0), **({**turned(), **tiled} | profile))


class BrightAsker:
    """Find bright shapes in the pixels of a window, as boxes, oriented boxes or masks, exactly as far as they show."""

    batch = 1

    def __init__(self, kind: Kind = "box", *, at_once: int = 1, words: str | None = None) -> None:
        self.model, self.digest = "bright", kind
        self.kind, self.at_once, self.words = kind, at_once, words
        self.asked: list[int] = []

    def ask(self, instruction: str, views: Sequence[View], options: ScanOptions) -> list[Finding]:
        """Answer each window by looking."""
        self.asked += [view.number for view in views]
        return [self._look(view) for view in views]

    def close(self) -> None:
        """Do nothing."""

    def _look(self, view: View) -> Finding:
        if self.words is not None:
            return Finding(view.number, "answered", self.words.format(number=view.number), ms=1.0)
        found, count = ndimage.label(view.pixels.rgb[..., 0] > (BRIGHT + DARK) // 2, np.ones((3, 3)))
        regions = [Region(self._shape(found == number + 1, view), "square") for number in range(count)]
        return Finding(view.number, "answered", f"{count} squares", tuple(regions), ms=1.0)

    def _shape(self, bits: np.ndarray, view: View) -> Geometry:
        rows, cols = np.flatnonzero(bits.any(axis=1)), np.flatnonzero(bits.any(axis=0))
        box = HBB(float(cols[0]), float(rows[0]), float(cols[-1] + 1), float(rows[-1] + 1))
        mask = Mask(bits[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1].copy(), box)
        if self.kind == "box":
            shape: Geometry = box
        elif self.kind == "mask":
            shape = mask
        else:
            from vlm.geometry import to_obb

            shape = to_obb(mask)
        factor_x = view.window.w / view.pixels.valid.shape[1]
        factor_y = view.window.h / view.pixels.valid.shape[0]
        return shift(scale(shape, factor_x, factor_y), view.window.x, view.window.y)


def square(x: float, y: float, side: float) -> HBB:
    """Give a square around a centre, on whole pixels."""
    low_x, low_y = math.floor(x - side / 2), math.floor(y - side / 2)
    return HBB(low_x, low_y, low_x + round(side), low_y + round(side))
