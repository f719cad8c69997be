"""Look at a file that somebody sent before anything else does: its format, sizes, blocks and what it refers to.

Only headers are read. What passes here is bounded in memory however it is read later, and reads no other file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serve.errors import FormatError, TooLargeError
from serve.settings import Limits
from serve.store.formats import HEAD_BYTES, ImageFormat, format_of
from vlm.dataset import gdal, quiet
from vlm.errors import RasterError

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

_ODD = (ValueError, TypeError, LookupError, ArithmeticError, RuntimeError, MemoryError, AttributeError)


@contextmanager
def sound(name: str) -> Iterator[None]:
    """Turn what a damaged file makes GDAL and its readers raise into a RasterError."""
    from rasterio._err import CPLE_BaseError
    from rasterio.errors import RasterioError

    try:
        yield
    except (RasterioError, CPLE_BaseError, *_ODD) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise RasterError(f"{name} cannot be read as an image ({reason}): it seems damaged; send it again") from error


def inspect_file(path: Path, name: str, limits: Limits) -> ImageFormat:
    """Give the format of a file, called `name` in refusals.

    Raises FormatError for what is no served image or refers to other files, TooLargeError for what a limit forbids,
    RasterError for what is damaged.
    """
    with path.open("rb") as file:
        found = format_of(file.read(HEAD_BYTES))
    with sound(name), gdal(str(path)), quiet(), _open(path, found) as dataset:
        _require_alone(dataset, name)
        _require_small(dataset, found, name, limits)
    return found


def _open(path: Path, found: ImageFormat) -> DatasetReader:
    import rasterio

    return rasterio.open(path, driver=found.driver)


def _require_alone(dataset: DatasetReader, name: str) -> None:
    """Refuse a TIFF whose tags send GDAL to another file or address for its overviews."""
    referred = dataset.tags(ns="OVERVIEWS")
    if referred:
        raise FormatError(
            f"{name} refers to another file ({', '.join(referred)}): expected one that holds all of its own pixels; "
            "write it again with gdal_translate -of COG"
        )


def _require_small(dataset: DatasetReader, found: ImageFormat, name: str, limits: Limits) -> None:
    pixels, size = dataset.width * dataset.height, f"{dataset.width} x {dataset.height} pixels"
    if dataset.count < 1:
        raise FormatError(f"{name} holds no band of its own: send one of its subdatasets as a file")
    if dataset.count > limits.bands:
        raise TooLargeError(f"{name} has {dataset.count} bands: at most {limits.bands} are served; send those you need")
    if found.whole and pixels > limits.whole_px:
        raise TooLargeError(
            f"{name} has {size}, and {found.driver} is decoded as a whole: at most {limits.whole_px:,} pixels are; "
            "write it as a COG (gdal_translate -of COG)"
        )
    if pixels > limits.raster_px:
        raise TooLargeError(f"{name} has {size}: at most {limits.raster_px:,} pixels are served; cut it into parts")
    if not found.whole:
        _require_small_blocks(dataset, name, limits)
    if pixels > limits.flat_px and not dataset.overviews(1):
        raise TooLargeError(
            f"{name} has {size} and no overviews, so that each question would read all of it: at most "
            f"{limits.flat_px:,} pixels may come without; add them with gdaladdo, or write it as a COG"
        )


def _require_small_blocks(dataset: DatasetReader, name: str, limits: Limits) -> None:
    """Refuse blocks that need more memory to decode than is allowed: a strip may span the whole image."""
    import numpy as np

    rows, cols = (max(sides) for sides in zip(*dataset.block_shapes, strict=True))
    bands = dataset.count if _is_interleaved(dataset) else 1
    block_bytes = rows * cols * bands * max(_bytes(np, kind) for kind in set(dataset.dtypes))
    if block_bytes > limits.block_bytes:
        raise TooLargeError(
            f"{name} has blocks of {cols} x {rows} pixels, {block_bytes / 2**20:,.0f} MiB each when decoded: at most "
            f"{limits.block_bytes / 2**20:,.0f} MiB are; write it with tiles (gdal_translate -of COG)"
        )


def _is_interleaved(dataset: DatasetReader) -> bool:
    return bool(dataset.interleaving is not None and dataset.interleaving.value == "PIXEL")


def _bytes(np: Any, kind: str) -> int:
    return 4 if kind == "complex_int16" else int(np.dtype(kind).itemsize)
