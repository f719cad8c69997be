"""What may go wrong with one window without stopping the others: refusals, the disk, GDAL, the model."""

from __future__ import annotations

from functools import cache

from vlm.errors import NadirError


@cache
def faults() -> tuple[type[BaseException], ...]:
    """Give the errors that are recorded for a window or a raster; GDAL's own come through where a file is damaged."""
    from rasterio._err import CPLE_BaseError
    from rasterio.errors import RasterioError

    usual = (OSError, RuntimeError, ValueError, LookupError, ArithmeticError, TypeError, AttributeError, MemoryError)
    return (NadirError, RasterioError, CPLE_BaseError, *usual)
