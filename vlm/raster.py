"""Any raster, opened lazily: windows and overviews only, so that memory does not grow with the image.

    Raster.open("scene.tif") -> size, bands, CRS, grid
    raster.renderings("ndvi") -> how bands become RGB, with a sentence that says what is seen
    raster.read(window, (448, 448), rendering) -> rgb and validity, decimated through overviews

A raster belongs to the thread that opened it. The raster knows nothing about tiles or models.
"""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from vlm.bands import BandTable, Rendering, band_table, plan_renderings
from vlm.errors import RasterError
from vlm.geometry.shapes import Window
from vlm.grid import Grid
from vlm.stretch import AS_STORED, Limits, decibels, normalised_difference, percentile_limits, ramp, to_bytes

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

__all__ = ["Grid", "Pixels", "Raster", "Rendering", "check_valid"]

CACHE_BYTES = 64 * 1024**2
STATISTICS_PX = 512
LOOKS = 4
_REMOTE = re.compile(r"^(/vsi\w+/|[a-z][a-z0-9+.-]+://)", re.IGNORECASE)
_INDEX_LIMITS: Limits = (-1.0, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """Hold what was read: `rgb` uint8 (h, w, 3) and `valid` bool (h, w); padding, nodata and NaN are invalid."""

    rgb: np.ndarray
    valid: np.ndarray


class Raster:
    """Read windows of one image at any size; open with Raster.open, close with close or `with`."""

    def __init__(self, dataset: DatasetReader, path: str, grid: Grid) -> None:
        self._dataset = dataset
        self.path = path
        self.grid = grid
        self.width, self.height, self.count = grid.width, grid.height, dataset.count
        self.dtype = str(dataset.dtypes[0])
        self.driver = dataset.driver
        self.nodata = dataset.nodata
        self.descriptions: tuple[str | None, ...] = tuple(dataset.descriptions)
        self.overviews: list[int] = list(dataset.overviews(1))
        self._limits: dict[tuple[int, bool], Limits] = {}

    @classmethod
    def open(cls, path: str | Path) -> Raster:
        """Open an image file, a remote path or a folder of single-band files; RasterError says what is wrong with it."""
        dataset = open_dataset(str(path))
        return cls(dataset, str(path), grid_of(dataset))

    @property
    def crs(self) -> str | None:
        """Name the coordinate system, "EPSG:32616" or WKT; None without one."""
        return self.grid.crs

    @property
    def gsd_m(self) -> float | None:
        """Give metres per pixel at the centre; None without georeference."""
        return self.grid.gsd_m

    @property
    def window(self) -> Window:
        """Give the window that covers the whole image."""
        return Window(0, 0, self.width, self.height)

    @property
    def bands(self) -> BandTable:
        """Say which role each band plays."""
        colours = [colour.name for colour in self._dataset.colorinterp]
        return band_table(self.descriptions, colours, self.dtype)

    def renderings(self, spec: str | None = None, *, limit: int = 1) -> tuple[Rendering, ...]:
        """Choose how bands become RGB (bands.plan_renderings) and measure each stretch on overviews."""
        if spec is None and self._palette() is not None:
            return (Rendering("palette", (1,), "Colours of the file's own palette.", "palette"),)
        planned = plan_renderings(spec, self.bands, limit=limit, where=self.path)
        return tuple(self._with_limits(rendering) for rendering in planned)

    def read(self, window: Window, size: tuple[int, int], rendering: Rendering) -> Pixels:
        """Read a window as RGB of size (width, height), averaged when shrunk, bilinear when enlarged.

        The window may stick out of the image: what lies outside is black and invalid. RasterError when the file breaks.
        """
        part = _inside(window, size, self.width, self.height)
        rgb = np.zeros((size[1], size[0], 3), np.uint8)
        valid = np.zeros((size[1], size[0]), bool)
        if part is not None:
            (col, row, cols, rows), source = part
            rgb_part, valid_part = self._render(source, (cols, rows), rendering)
            rgb[row : row + rows, col : col + cols] = rgb_part
            valid[row : row + rows, col : col + cols] = valid_part
        return Pixels(rgb, valid)

    def close(self) -> None:
        """Close the file; reading afterwards is an error."""
        self._dataset.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _render(
        self, source: SourceWindow, size: tuple[int, int], rendering: Rendering
    ) -> tuple[np.ndarray, np.ndarray]:
        if rendering.kind == "palette":
            return self._render_palette(source, size)
        values, valid = self._values(rendering.bands, source, size, rendering.decibel)
        if rendering.kind == "difference":
            index = normalised_difference(values[0], values[1])
            low, high = rendering.limits[0]
            rgb = ramp(np.clip((index - low) / (high - low), 0, 1), rendering.colours)
            valid &= np.isfinite(index)
        else:
            if rendering.kind == "radar" and len(values) == 2:
                values = np.stack([values[0], values[1], values[0] - values[1]])
            channels = [to_bytes(band, limits) for band, limits in zip(values, rendering.limits, strict=True)]
            rgb = np.stack(channels if len(channels) == 3 else channels * 3, axis=-1)
        if not (self.dtype == "uint8" and self.nodata is not None and all(x == AS_STORED for x in rendering.limits)):
            rgb = np.where(valid[..., None], rgb, np.uint8(0))
        return rgb, valid

    def _values(
        self, bands: tuple[int, ...], source: SourceWindow, size: tuple[int, int], decibel: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Read bands as (n, h, w) with one validity (h, w)."""
        from rasterio.enums import Resampling
        from rasterio.windows import Window as RioWindow

        window = RioWindow(*source)
        shape = (len(bands), size[1], size[0])
        shrunk = source[2] > size[0] or source[3] > size[1]
        with _reading(self.path):
            if self.dtype.startswith("complex"):
                values = self._amplitude(bands, window, source, size)
            else:
                how = Resampling.average if shrunk else Resampling.bilinear
                values = self._dataset.read(list(bands), window=window, out_shape=shape, resampling=how)
            mask = self._mask(bands, window, size)
        if values.dtype != np.uint8:
            values = values.astype(np.float64)
            mask &= np.isfinite(values).all(axis=0)
        if decibel and not self._is_decibel(bands):
            values = decibels(values)
            mask &= np.isfinite(values).all(axis=0)
        return values, mask

    def _mask(self, bands: tuple[int, ...], window: Any, size: tuple[int, int]) -> np.ndarray:
        shape = (len(bands), size[1], size[0])
        masks: np.ndarray = self._dataset.read_masks(list(bands), window=window, out_shape=shape)
        return masks.any(axis=0)

    def _amplitude(
        self, bands: tuple[int, ...], window: Any, source: SourceWindow, size: tuple[int, int]
    ) -> np.ndarray:
        """Read complex bands as root-mean-square amplitude over up to LOOKS x LOOKS samples of each cell."""
        looks = max(1, min(LOOKS, int(source[2] / size[0]), int(source[3] / size[1])))
        shape = (len(bands), size[1] * looks, size[0] * looks)
        samples = self._dataset.read(list(bands), window=window, out_shape=shape)
        power = samples.real.astype(np.float64) ** 2 + samples.imag.astype(np.float64) ** 2
        cells = power.reshape(len(bands), size[1], looks, size[0], looks)
        amplitude: np.ndarray = np.sqrt(cells.mean(axis=(2, 4)))
        return amplitude

    def _is_decibel(self, bands: tuple[int, ...]) -> bool:
        return False

    def _with_limits(self, rendering: Rendering) -> Rendering:
        if rendering.kind == "difference":
            return replace(rendering, limits=(_INDEX_LIMITS,))
        decibel = rendering.decibel or self.dtype.startswith("complex")
        rendering = replace(rendering, decibel=decibel)
        if self.dtype == "uint8" and len(rendering.bands) == 3:
            return replace(rendering, limits=(AS_STORED,) * 3)
        values, valid = self._sample(rendering)
        limits = tuple(percentile_limits(band[valid]) for band in values)
        if self.dtype == "uint8" and not decibel:
            limits = tuple(AS_STORED if values[i][valid].max(initial=0) > 15 else x for i, x in enumerate(limits))
        if rendering.kind == "radar" and len(values) == 2:
            limits += (percentile_limits((values[0] - values[1])[valid]),)
        return replace(rendering, limits=limits)

    def _sample(self, rendering: Rendering) -> tuple[np.ndarray, np.ndarray]:
        scale = min(1.0, STATISTICS_PX / max(self.width, self.height))
        size = max(1, round(self.width * scale)), max(1, round(self.height * scale))
        return self._values(rendering.bands, (0, 0, self.width, self.height), size, rendering.decibel)

    def _palette(self) -> np.ndarray | None:
        if self.count != 1 or self.dtype != "uint8" or self._dataset.colorinterp[0].name != "palette":
            return None
        table = np.zeros((256, 4), np.uint8)
        for index, colour in self._dataset.colormap(1).items():
            table[index] = colour
        return table

    def _render_palette(self, source: SourceWindow, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        from rasterio.windows import Window as RioWindow

        table = self._palette()
        assert table is not None
        with _reading(self.path):
            codes = self._dataset.read(1, window=RioWindow(*source), out_shape=(size[1], size[0]))
            valid = self._mask((1,), RioWindow(*source), size)
        return table[codes][..., :3], valid & (table[codes][..., 3] > 0)


SourceWindow = tuple[float, float, float, float]


def check_valid(pixels: Pixels, window: Window, path: str) -> Pixels:
    """Return the pixels, or raise RasterError where none of them is valid."""
    if pixels.valid.any():
        return pixels
    raise RasterError(
        f"window {window.x},{window.y},{window.w},{window.h} of {path} holds no valid pixel (only nodata, transparency, NaN "
        "or ground outside the image); choose another window"
    )


def open_dataset(path: str) -> DatasetReader:
    """Open a path with rasterio; RasterError instead of its exceptions, and no warning about missing georeference."""
    _require_file(path)
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioError

    logging.getLogger("rasterio").addHandler(logging.NullHandler())
    with _gdal(path), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            dataset = rasterio.open(path)
            _ = dataset.transform
        except RasterioError as error:
            raise RasterError(
                f"{path} cannot be opened as an image: {_first_line(error)}; expected a GeoTIFF, PNG, JPEG, BMP, JP2, VRT or "
                "another format that GDAL reads; check that the file is complete and is an image"
            ) from error
    if dataset.count == 0:
        raise RasterError(
            f"{path} has no bands of its own: name one of its subdatasets: {', '.join(dataset.subdatasets)}"
        )
    return dataset


def grid_of(dataset: DatasetReader) -> Grid:
    """Read the georeference of a dataset: transform before control points."""
    gcps, gcp_crs = dataset.gcps
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        transform = dataset.transform
    points = tuple((float(p.col), float(p.row), float(p.x), float(p.y)) for p in gcps)
    if not transform.is_identity:
        affine = (transform.a, transform.b, transform.c, transform.d, transform.e, transform.f)
        return Grid(dataset.width, dataset.height, _crs_text(dataset.crs), affine)
    return Grid(dataset.width, dataset.height, _crs_text(gcp_crs) if points else None, None, points)


def _crs_text(crs: Any) -> str | None:
    if not crs:
        return None
    code = crs.to_epsg()
    return f"EPSG:{code}" if code else str(crs.to_wkt())


def _require_file(path: str) -> None:
    if _REMOTE.match(path) or path.startswith("<"):
        return
    if not os.path.exists(path):
        raise RasterError(f"{path} does not exist: expected an image file; check the path")
    if os.path.isfile(path) and os.path.getsize(path) == 0:
        raise RasterError(f"{path} is empty (0 bytes): expected an image; copy or download it again")


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


@contextmanager
def _gdal(path: str) -> Iterator[None]:
    import rasterio

    remote = bool(_REMOTE.match(path))
    options = {"GDAL_CACHEMAX": CACHE_BYTES, "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR" if remote else "TRUE"}
    with rasterio.Env(**options):
        yield


@contextmanager
def _reading(path: str) -> Iterator[None]:
    from rasterio.errors import RasterioError

    with _gdal(path):
        try:
            yield
        except RasterioError as error:
            raise RasterError(
                f"{path} broke off while it was read: {_first_line(error)}; the file seems truncated or damaged; "
                "copy or download it again"
            ) from error


def _inside(
    window: Window, size: tuple[int, int], width: int, height: int
) -> tuple[tuple[int, int, int, int], SourceWindow] | None:
    """Give the output cells (col, row, cols, rows) that lie wholly inside the image and the source window they cover."""
    col, cols, x, w = _span(window.x, window.w, size[0], width)
    row, rows, y, h = _span(window.y, window.h, size[1], height)
    if cols <= 0 or rows <= 0:
        return None
    return (col, row, cols, rows), (x, y, w, h)


def _span(offset: int, length: int, cells: int, limit: int) -> tuple[int, int, float, float]:
    """Give first cell, cell count, source offset and source length along one axis."""
    first = max(0, -(offset * cells // length)) if offset < 0 else 0
    last = min(cells, (limit - offset) * cells // length)
    start = offset + first * length / cells
    stop = offset + last * length / cells
    return first, last - first, start, stop - start
