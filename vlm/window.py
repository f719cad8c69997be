"""Windows that a user names: pixels as "x,y,w,h", or a longitude/latitude box, clipped to the image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from vlm.errors import WindowError
from vlm.geometry.shapes import Window

if TYPE_CHECKING:
    from vlm.raster import Raster

_EDGE_POINTS = 21


def window_from_text(text: str, *, raster: Raster | None = None) -> Window:
    """Parse "x,y,w,h" in pixels and clip it to the raster, if given; WindowError for anything else."""
    parts = text.replace(";", ",").split(",")
    try:
        x, y, w, h = (int(part) for part in parts)
    except ValueError as error:
        raise WindowError(
            f"window {text!r} cannot be read: expected four whole numbers x,y,w,h in pixels, such as 0,0,512,512"
        ) from error
    if w <= 0 or h <= 0:
        raise WindowError(f"window {text!r} is empty: w and h must be positive")
    return Window(x, y, w, h) if raster is None else clip_window(x, y, x + w, y + h, raster, f"window {text!r}")


def window_from_bbox(raster: Raster, bbox: Sequence[float]) -> Window:
    """Turn (west, south, east, north) in degrees into the window that covers it, clipped to the image.

    west > east crosses the antimeridian. WindowError when the box is empty, not numbers or outside the image,
    RasterError when the image has no georeference.
    """
    if len(bbox) != 4 or not all(math.isfinite(value) for value in bbox):
        raise WindowError(f"bbox {_text(bbox)} is not four numbers: expected lon1,lat1,lon2,lat2 in degrees")
    west, south, east, north = bbox
    east = east + 360 if east < west else east
    south, north = min(south, north), max(south, north)
    if west == east or south == north:
        raise WindowError(f"bbox {_text(bbox)} is empty: its west and east, south and north must differ")
    if south < -90 or north > 90 or west < -360 or east > 540:
        raise WindowError(
            f"bbox {_text(bbox)} is not on the earth: expected longitude first, lon1,lat1,lon2,lat2 in degrees"
        )
    x, y = raster.grid.from_wgs84(*_outline(west, south, east, north))
    keep = np.isfinite(x) & np.isfinite(y)
    if not keep.any():
        raise WindowError(f"bbox {_text(bbox)} cannot be placed on {raster.path} ({raster.crs}): {_extent(raster)}")
    name = f"bbox {_text(bbox)}"
    x1, y1, x2, y2 = x[keep].min(), y[keep].min(), x[keep].max(), y[keep].max()
    return clip_window(math.floor(x1), math.floor(y1), math.ceil(x2), math.ceil(y2), raster, name)


def clip_window(x1: int, y1: int, x2: int, y2: int, raster: Raster, name: str) -> Window:
    """Clip pixel edges to the raster; WindowError with the raster's extent where nothing is left."""
    left, top, right, bottom = max(x1, 0), max(y1, 0), min(x2, raster.width), min(y2, raster.height)
    if right <= left or bottom <= top:
        raise WindowError(f"{name} lies outside {raster.path}: {_extent(raster)}")
    return Window(left, top, right - left, bottom - top)


def _outline(west: float, south: float, east: float, north: float) -> tuple[np.ndarray, np.ndarray]:
    """Sample the inside of a box too, since an edge may bend far out in a projected CRS."""
    lon, lat = np.meshgrid(np.linspace(west, east, _EDGE_POINTS), np.linspace(south, north, _EDGE_POINTS))
    return lon.ravel(), lat.ravel()


def _extent(raster: Raster) -> str:
    text = f"the image is {raster.width} x {raster.height} pixels"
    if not raster.grid.georeferenced:
        return text + " without georeference"
    edge_x, edge_y = np.array([0, raster.width, raster.width, 0]), np.array([0, 0, raster.height, raster.height])
    lon, lat = raster.grid.to_wgs84(edge_x.astype(float), edge_y.astype(float))
    return f"{text}, longitude {lon.min():.5f} to {lon.max():.5f}, latitude {lat.min():.5f} to {lat.max():.5f}"


def _text(values: Sequence[float]) -> str:
    return ",".join(f"{value:g}" if isinstance(value, (int, float)) else str(value) for value in values)
