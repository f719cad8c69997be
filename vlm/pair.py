"""Several dates of one place, read on one grid: later images are warped to the first one's, window by window."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vlm.dataset import quiet, reading
from vlm.drape import Draped
from vlm.errors import PairError
from vlm.grid import Grid
from vlm.raster import Raster
from vlm.records import Image

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

_EDGE_POINTS = 21
_SAME_PLACE_PX = 0.01


def open_dates(*images: str | Path | Image) -> tuple[Raster, ...]:
    """Open images of one place so that the pixels of the later ones lie on the first one's grid.

    They are paths or the images of samples. Images of one grid, or of one size where one of them has no georeference,
    pass as they are; others are warped by CRS (rasterio's WarpedVRT, 1/8 pixel; control points through vlm.drape).
    PairError when they do not overlap, or when sizes differ without georeference.
    """
    with contextlib.ExitStack() as undo:
        files = [undo.enter_context(Raster.open(image)) for image in images]
        aligned = [Raster(_aligned(files[0], file), file.path, files[0].grid, origin=file) for file in files[1:]]
        undo.pop_all()
    return *files[:1], *aligned


def _aligned(first: Raster, second: Raster) -> DatasetReader | Draped:
    """Choose what to read the second image from: its own dataset, or a warped one."""
    same_size = (first.width, first.height) == (second.width, second.height)
    if first.grid.georeferenced and second.grid.georeferenced:
        return second.dataset if same_size and _same_place(first.grid, second.grid) else _warped(first, second)
    if same_size:
        return second.dataset
    lacking = second if first.grid.georeferenced else first
    why = f" ({lacking.grid.flaw})" if lacking.grid.flaw else ""
    raise PairError(
        f"{first.path} is {first.width} x {first.height} pixels and {second.path} is {second.width} x {second.height}, "
        f"and {lacking.path} has no georeference to align them by{why}: expected one size or two georeferenced images; "
        "cut both to the same ground first"
    )


def _same_place(first: Grid, second: Grid) -> bool:
    x, y = np.array([0, first.width, first.width, 0.0]), np.array([0, 0, first.height, first.height])
    return first.crs == second.crs and _distance(*second.to_pixel(*first.to_map(x, y)), x, y) < _SAME_PLACE_PX


def _distance(x: np.ndarray, y: np.ndarray, other_x: np.ndarray, other_y: np.ndarray) -> float:
    return float(np.abs([x - other_x, y - other_y]).max())


def _require_overlap(first: Raster, second: Raster) -> None:
    """Refuse images that share no ground; the outline of either is looked at in the other's pixels.

    Both ways, because the outline of a large image may leave the projection of a small one.
    """
    if not (_reaches(first.grid, second.grid) or _reaches(second.grid, first.grid)):
        raise PairError(
            f"{first.path} and {second.path} do not overlap: {_place(first)}, {_place(second)}; expected two dates of "
            "one place; check that the files belong together"
        )


def _reaches(image: Grid, frame: Grid) -> bool:
    from shapely.geometry import Polygon, box

    along = np.linspace(0, 1, _EDGE_POINTS)
    ones, zeros = np.ones_like(along), np.zeros_like(along)
    x = np.concatenate([along, ones, along[::-1], zeros]) * image.width
    y = np.concatenate([zeros, along, ones, along[::-1]]) * image.height
    px, py = frame.from_wgs84(*image.to_wgs84(x, y))
    if not (np.isfinite(px).all() and np.isfinite(py).all()):
        return False
    outline = Polygon(list(zip(px, py, strict=True))).buffer(0)
    inside = box(0, 0, frame.width, frame.height)
    return bool(outline.intersects(inside) and not outline.touches(inside))


def _place(raster: Raster) -> str:
    lon, lat = raster.grid.to_wgs84(raster.width / 2, raster.height / 2)
    return f"{Path(raster.path).name} is centred at longitude {lon:.5f}, latitude {lat:.5f}"


def _warped(first: Raster, second: Raster) -> DatasetReader | Draped:
    import rasterio
    from rasterio.enums import Resampling
    from rasterio.vrt import WarpedVRT

    _require_overlap(first, second)
    if first.grid.transform is None or second.grid.transform is None:
        return Draped(second.dataset, second.grid, first.grid)
    needs_alpha = second.nodata is None and "alpha" not in second.colours
    codes = second.dtype.startswith("complex") or "palette" in second.colours
    how = Resampling.nearest if codes else Resampling.bilinear
    with reading(second.path), quiet():
        return WarpedVRT(
            second.dataset, crs=first.crs, transform=rasterio.Affine(*first.grid.transform), width=first.width,
            height=first.height, resampling=how, add_alpha=needs_alpha,
        )  # fmt: skip
