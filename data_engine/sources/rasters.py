"""Rasters of any bands and pixel types as images named by path: size, CRS and number of bands from the header."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from data_engine.sources.source import require_image, require_path
from data_engine.store.images import ImageFaultError
from vlm.errors import DataError, RasterError
from vlm.records import Image


def describe_raster(
    path: Path,
    *,
    name: str,
    layout: str,
    sensor: str,
    bands: tuple[str, ...],
    gsd_m: float | None = None,
    date: str | None = None,
) -> Image:
    """Name a raster by path with its size, its CRS and its bands in file order.

    `path` may be a folder of single-band files (vlm.dataset). A missing or damaged one raises ImageFaultError, one with
    another number of bands DataError.
    """
    from vlm.dataset import crs_text, open_dataset, quiet

    require_image(path, name=name, layout=layout)
    try:
        with open_dataset(str(path)) as dataset, quiet():
            size, crs, count = (dataset.width, dataset.height), crs_text(dataset.crs), dataset.count
    except RasterError as error:
        raise ImageFaultError("corrupt image", f"{name}: {error}") from error
    if count != len(bands):
        raise DataError(f"{name}: {path} has {count} bands: expected {len(bands)} ({', '.join(bands)})")
    return Image(
        path=str(path), width=size[0], height=size[1], date=date, sensor=sensor, bands=bands, gsd_m=gsd_m, crs=crs
    )


def load_band(path: Path, *, name: str, layout: str, band: int = 1) -> np.ndarray:
    """Read one band (rows, cols) of a raster whole; a missing or damaged one raises DataError."""
    from vlm.dataset import open_dataset, reading

    try:
        with open_dataset(str(require_path(path, name=name, layout=layout))) as dataset, reading(str(path)):
            pixels: np.ndarray = dataset.read(band)
    except RasterError as error:
        raise DataError(f"{name}: {error}") from error
    return pixels
