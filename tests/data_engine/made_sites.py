"""Sites of a user: a placed raster with bright squares on grey, and vector labels of them in any CRS and format."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import rasterio
import shapely
from rasterio.transform import from_origin

from vlm.dataset import quiet

WEST, NORTH, GSD_M, CRS = 500000.0, 4000000.0, 0.5, "EPSG:32616"
SIDE = 12
"""Side of a square in pixels."""


def corners(side: int, *, step: int = 24, margin: int = 6) -> list[tuple[int, int]]:
    """Give the corners of squares in a grid over an image of `side` pixels, each a little off its place."""
    starts = range(margin, side - SIDE - margin - 7, step)
    return [(x + 4 * ((y // step) % 3), y + 4 * ((x // step) % 3)) for y in starts for x in starts]


def write_raster(
    path: Path, places: Sequence[tuple[int, int]], *, side: int = 96, west: float = WEST, placed: bool = True
) -> Path:
    """Write an image with a bright square at each place; `west` moves it on the map."""
    path.parent.mkdir(exist_ok=True)
    pixels = np.random.default_rng(0).integers(60, 100, (3, side, side)).astype(np.uint8)
    for x, y in places:
        pixels[:, y : y + SIDE, x : x + SIDE] = 230
    where: dict[str, Any] = {"crs": CRS, "transform": from_origin(west, NORTH, GSD_M, GSD_M)} if placed else {}
    size: dict[str, Any] = {"width": side, "height": side, "count": 3, "dtype": "uint8"}
    with quiet(), rasterio.open(path, "w", driver="GTiff", **size, **where) as file:
        file.write(pixels)
    return path


def squares(places: Sequence[tuple[int, int]], *, west: float = WEST) -> list[Any]:
    """Give the squares on the map, in CRS."""
    return [
        shapely.box(west + x * GSD_M, NORTH - (y + SIDE) * GSD_M, west + (x + SIDE) * GSD_M, NORTH - y * GSD_M)
        for x, y in places
    ]


def write_labels(
    path: Path, shapes: Sequence[Any], *, crs: str | None = CRS, fields: dict[str, Sequence[Any]] | None = None
) -> Path:
    """Write shapes that are given in CRS as a vector file in `crs` (None states none), with the columns `fields`."""
    columns = {"class": ["tank"] * len(shapes)} if fields is None else fields
    frame = geopandas.GeoDataFrame({name: list(values) for name, values in columns.items()}, geometry=list(shapes))
    if crs is not None:
        frame = frame.set_crs(CRS).to_crs(crs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        frame.to_file(path)
    return path
