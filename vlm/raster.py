"""Any raster, opened lazily: windows and overviews only, so that memory does not grow with the image.

    Raster.open("scene.tif")              size, bands, CRS, grid
    raster.renderings("ndvi")             how bands become RGB, with a sentence that says what is seen
    raster.read(window, (448, 448), ...)  rgb and validity, decimated through overviews

A raster belongs to the thread that opened it, and knows nothing about tiles or models. Opening is dataset.py's
business, the choice of bands bands.py's, two dates pair.py's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from vlm.bands import BandTable, Rendering, band_table, plan_renderings
from vlm.dataset import grid_of, open_dataset, reading
from vlm.errors import RasterError
from vlm.geometry.shapes import Window
from vlm.grid import Grid
from vlm.paint import paint, with_ratio
from vlm.records import Image
from vlm.stretch import AS_STORED, Limits, as_float, decibels, percentile_limits
from vlm.valid import check_seen, check_valid, find_valid
from vlm.window import clip_window, window_from_bbox, window_from_text

if TYPE_CHECKING:
    from rasterio.io import DatasetReader, MemoryFile

    from vlm.drape import Draped

__all__ = [
    "Grid", "Pixels", "Raster", "Rendering", "check_seen", "check_valid", "clip_window", "window_from_bbox",
    "window_from_text",
]  # fmt: skip

STATISTICS_PX = 512
STATISTICS_BLOCKS = 8
FEWEST_SAMPLES = 64
WHOLE_READ_PX = 64 * 1024**2
LABEL_MAX = 15
LOOKS = 4
_INDEX_LIMITS: Limits = (-0.8, 0.8)
SourceWindow = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """Hold `rgb` uint8 (h, w, 3) and `valid` bool (h, w); padding, nodata, alpha 0 and NaN are invalid."""

    rgb: np.ndarray
    valid: np.ndarray


class Raster:
    """Read windows of one image at any size; open with Raster.open, close with close or `with`."""

    def __init__(
        self,
        dataset: DatasetReader | Draped,
        path: str,
        grid: Grid,
        *,
        origin: Raster | None = None,
        said: Image | None = None,
    ) -> None:
        """Take an open dataset; `origin` is the file before it was warped, whose bands and statistics count.

        `grid` is that of the dataset, `file_grid` that of the file before it was warped. `said` is what a sample says
        of the image: its names of the bands count, not the file's.
        """
        self.dataset = dataset
        self._sensor = said.sensor if said else None
        self._memory: MemoryFile | None = None
        self._origin = origin
        self._islands: dict[tuple[int, ...], Window | None] = {}
        self.path = path
        self.grid = grid
        self.file_grid = grid if origin is None or dataset is origin.dataset else origin.grid
        self.width, self.height, self.count = grid.width, grid.height, int(dataset.count)
        with reading(path):
            self.dtype = str(dataset.dtypes[0])
            self.driver = str(dataset.driver)
            self.nodata: float | None = dataset.nodata
            self.descriptions: tuple[str | None, ...] = tuple(dataset.descriptions)
            self.colours: tuple[str, ...] = tuple(colour.name for colour in dataset.colorinterp)
            flags = dataset.mask_flag_enums
            self._unmasked = bool(flags) and all(flag.name == "all_valid" for band in flags for flag in band)
            ignored = self._unmasked and self.dtype not in ("uint8", "uint16") and "alpha" in self.colours
            self._ignored_alpha = self.colours.index("alpha") + 1 if ignored else None
            self.overviews: list[int] = list(dataset.overviews(1))
        if said and said.bands:
            self.descriptions = self._named(said.bands)

    @classmethod
    def open(cls, image: str | Path | Image) -> Raster:
        """Open an image file, a remote path, a folder of single-band files, or the image of a sample.

        RasterError says what is wrong.
        """
        said = image if isinstance(image, Image) else None
        if said is None or said.path is not None:
            path = str(said.path if said else image)
            dataset = open_dataset(path)
            return cls(dataset, path, grid_of(dataset), said=said)
        return cls._open_bytes(said)

    @classmethod
    def _open_bytes(cls, said: Image) -> Raster:
        from rasterio.io import MemoryFile

        memory = MemoryFile(said.data)
        try:
            dataset = open_dataset(memory.name)
            raster = cls(dataset, memory.name, grid_of(dataset), said=said)
        except RasterError:
            memory.close()
            raise
        raster._memory = memory
        return raster

    def _named(self, names: tuple[str, ...]) -> tuple[str | None, ...]:
        """Give the names that a sample gives its bands; an alpha band at the end needs none."""
        rest = self.colours[len(names) :]
        if len(names) > self.count or any(colour != "alpha" for colour in rest):
            raise RasterError(
                f"{self.path} has {self.count} bands and its sample names {len(names)} ({', '.join(names)}): name each "
                "band of the file, in its order"
            )
        return (*names, *[None] * len(rest))

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

    @cached_property
    def bands(self) -> BandTable:
        """Say which role each band plays; an assumed order is dropped where negative values contradict reflectance."""
        if self._origin is not None:
            return self._origin.bands
        table = band_table(self.descriptions, self.colours, self.dtype, self.gsd_m, sensor=self._sensor)
        if table.assumed and self.dtype.startswith(("float", "int")) and "vv" not in table.roles:
            values, valid = self._sample(tuple(range(1, min(self.count, 3) + 1)))
            if percentile_limits(values[:, valid].ravel())[0] < 0:
                return table.unnamed()
        return table

    @property
    def advice(self) -> str | None:
        """Warn in a sentence when reading the whole image small means reading all of it; None when overviews help."""
        if self.overviews or self.width * self.height <= WHOLE_READ_PX:
            return None
        return f"{self.path} has no overviews, so a view of the whole image reads every pixel: add them with gdaladdo"

    def renderings(self, spec: str | None = None, *, limit: int = 3) -> tuple[Rendering, ...]:
        """Choose how bands become RGB (bands.plan_renderings reads `spec`) and measure each stretch on overviews.

        Without `spec` a multispectral image gives up to `limit` renderings, true colour first, any other image one.
        """
        if spec is None and "palette" in self.colours and self.dtype == "uint8":
            return (Rendering("palette", (1,), "Colours of the file's own palette.", "palette"),)
        planned = plan_renderings(spec, self.bands, limit=limit, where=self.path)
        return tuple(self._with_limits(rendering) for rendering in planned)

    def read(self, window: Window, size: tuple[int, int], rendering: Rendering) -> Pixels:
        """Read a window as RGB of size (width, height) in pixels, averaged when shrunk, bilinear when enlarged.

        The window may stick out of the image: what lies outside is black and invalid. RasterError when the file breaks.
        """
        rgb = np.zeros((size[1], size[0], 3), np.uint8)
        valid = np.zeros((size[1], size[0]), bool)
        col, cols, x, w = span(window.x, window.w, size[0], self.width)
        row, rows, y, h = span(window.y, window.h, size[1], self.height)
        if cols > 0 and rows > 0:
            part = np.s_[row : row + rows, col : col + cols]
            rgb[part], valid[part] = self._render((x, y, w, h), (cols, rows), rendering)
        return Pixels(rgb, valid)

    def valid_pixels(self, window: Window, bands: tuple[int, ...]) -> np.ndarray:
        """Say which pixels of a window inside the image hold data in bands, at full resolution: bool (h, w)."""
        return self._values(bands, (window.x, window.y, window.w, window.h), (window.w, window.h))[1]

    def read_stored(self) -> np.ndarray:
        """Read the whole image as it is stored: (bands, height, width)."""
        from rasterio.enums import Resampling

        whole = (0, 0, self.width, self.height)
        with reading(self.path):
            return self._get(tuple(range(1, self.count + 1)), whole, (self.width, self.height), Resampling.nearest)

    def close(self) -> None:
        """Close the file; reading afterwards is an error."""
        self.dataset.close()
        if self._memory is not None:
            self._memory.close()
        if self._origin is not None:
            self._origin.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _render(self, source: SourceWindow, size: tuple[int, int], how: Rendering) -> tuple[np.ndarray, np.ndarray]:
        """Turn a source window (x, y, w, h; fractions allowed) into rgb (h, w, 3) and validity (h, w)."""
        if how.kind == "palette":
            return self._render_palette(source, size)
        values, valid = self._values(how.bands, source, size, decibel=how.decibel)
        rgb, defined = paint(values, how)
        valid &= defined
        stored = self.nodata is not None and self.dtype == "uint8" and set(how.limits) == {AS_STORED}
        return (rgb if stored or valid.all() else np.where(valid[..., None], rgb, np.uint8(0))), valid

    def _values(
        self, bands: tuple[int, ...], source: SourceWindow, size: tuple[int, int], *, decibel: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Read bands as (n, h, w), uint8 as stored and anything else as float64, with one validity (h, w)."""
        with reading(self.path):
            if self.dtype.startswith("complex"):
                values = self._amplitude(bands, source, size)
            else:
                values = self._resampled(bands, source, size)
            valid = self._mask(bands, source, size)
        if values.dtype != np.uint8:
            values = as_float(values)
        if decibel:
            values = decibels(values)
        if values.dtype != np.uint8:
            valid &= np.isfinite(values).all(axis=0)
        return values, valid

    def _resampled(self, bands: tuple[int, ...], source: SourceWindow, size: tuple[int, int]) -> np.ndarray:
        from rasterio.enums import Resampling

        shrunk = source[2] > size[0] or source[3] > size[1]
        return self._get(bands, source, size, Resampling.average if shrunk else Resampling.bilinear)

    def _amplitude(self, bands: tuple[int, ...], source: SourceWindow, size: tuple[int, int]) -> np.ndarray:
        """Read complex bands as root-mean-square amplitude over up to LOOKS x LOOKS samples a cell (multilook)."""
        from rasterio.enums import Resampling

        cols, rows = size
        looks = max(1, min(LOOKS, int(source[2] / cols), int(source[3] / rows)))
        samples = self._get(bands, source, (cols * looks, rows * looks), Resampling.nearest)
        with np.errstate(over="ignore"):  # what is too large for its square is inf, which is no data
            power = np.square(as_float(samples.real)) + np.square(as_float(samples.imag))
            return np.sqrt(power.reshape(len(bands), rows, looks, cols, looks).mean(axis=(2, 4)))

    def _get(self, bands: tuple[int, ...], source: SourceWindow, size: tuple[int, int], how: Any) -> np.ndarray:
        from rasterio.windows import Window as SourceBlock

        shape = (len(bands), size[1], size[0])
        values: np.ndarray = self.dataset.read(
            list(bands), window=SourceBlock(*source), out_shape=shape, resampling=how
        )
        return values

    def _mask(self, bands: tuple[int, ...], source: SourceWindow, size: tuple[int, int]) -> np.ndarray:
        """Read validity (h, w): valid where any of the bands is (nodata), or where alpha or the mask says so.

        GDAL heeds alpha in 8 and 16 bits only (a warped float image has it too), so other types are read here.
        """
        from rasterio.enums import Resampling
        from rasterio.windows import Window as SourceBlock

        if self._ignored_alpha is not None:
            return np.asarray(self._get((self._ignored_alpha,), source, size, Resampling.nearest)[0] != 0)
        if self._unmasked:
            return np.ones((size[1], size[0]), bool)
        shape = (len(bands), size[1], size[0])
        masks: np.ndarray = self.dataset.read_masks(list(bands), window=SourceBlock(*source), out_shape=shape)
        return np.asarray(masks.any(axis=0))

    def _with_limits(self, how: Rendering) -> Rendering:
        """Fill in the stretch: fixed for indices, none for 8-bit colour, percentiles of an overview for the rest."""
        if how.kind == "difference":
            return replace(how, limits=(_INDEX_LIMITS,))
        if self.dtype == "uint8" and len(how.bands) == 3:
            return replace(how, limits=(AS_STORED,) * 3)
        how = replace(how, decibel=self._needs_decibel(how))
        values, valid = self._sample(how.bands, decibel=how.decibel)
        if how.kind == "radar" and len(values) == 2:
            values = with_ratio(values)
        if self.dtype == "uint8" and not how.decibel and values[:, valid].max(initial=0) > LABEL_MAX:
            return replace(how, limits=(AS_STORED,) * len(values))
        return replace(how, limits=tuple(percentile_limits(band[valid]) for band in values))

    def _needs_decibel(self, how: Rendering) -> bool:
        """Say whether radar values are linear: complex or never negative; negative ones are in decibels already."""
        if self.dtype.startswith("complex") or how.kind != "radar":
            return self.dtype.startswith("complex")
        values, valid = self._sample(how.bands)
        return bool(percentile_limits(values[:, valid].ravel())[0] >= 0)

    def _sample(self, bands: tuple[int, ...], *, decibel: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Read about STATISTICS_PX squared pixels: the whole image small, or blocks where that is dear.

        Where they hold hardly any data, the island of data is read instead.
        """
        if self._origin is not None:
            return self._origin._sample(bands, decibel=decibel)
        read = self._small if self.advice is None else self._blocks
        values, valid = read(bands, self.window, decibel=decibel)
        if valid.sum() >= FEWEST_SAMPLES or valid.size == self.width * self.height:
            return values, valid
        if bands not in self._islands:
            self._islands[bands] = find_valid(self, self.window, bands)
        island = self._islands[bands]
        return (values, valid) if island is None else self._small(bands, island, decibel=decibel)

    def _blocks(self, bands: tuple[int, ...], window: Window, *, decibel: bool) -> tuple[np.ndarray, np.ndarray]:
        """Read blocks of full resolution that are spread over a window, side by side."""
        side = STATISTICS_PX // STATISTICS_BLOCKS
        cols, rows = min(side, window.w), min(side, window.h)
        xs = window.x + np.linspace(0, window.w - cols, STATISTICS_BLOCKS).astype(int)
        ys = window.y + np.linspace(0, window.h - rows, STATISTICS_BLOCKS).astype(int)
        blocks = [self._values(bands, (x, y, cols, rows), (cols, rows), decibel=decibel) for y in ys for x in xs]
        return np.concatenate([block[0] for block in blocks], axis=2), np.concatenate(
            [block[1] for block in blocks], axis=1
        )

    def _small(self, bands: tuple[int, ...], window: Window, *, decibel: bool) -> tuple[np.ndarray, np.ndarray]:
        """Read a window with at most STATISTICS_PX on the longer side."""
        scale = min(1.0, STATISTICS_PX / max(window.w, window.h))
        size = max(1, round(window.w * scale)), max(1, round(window.h * scale))
        return self._values(bands, (window.x, window.y, window.w, window.h), size, decibel=decibel)

    def _render_palette(self, source: SourceWindow, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        from rasterio.enums import Resampling

        table = np.zeros((256, 4), np.uint8)
        with reading(self.path):
            for code, colour in self.dataset.colormap(1).items():
                table[code] = colour
            codes = self._get((1,), source, size, Resampling.nearest)[0]
            valid = self._mask((1,), source, size) & (table[codes][..., 3] > 0)
        return np.where(valid[..., None], table[codes][..., :3], np.uint8(0)), valid


def span(offset: int, length: int, cells: int, limit: int) -> tuple[int, int, float, float]:
    """Find the output cells of one axis that lie wholly inside the image.

    Give the first cell, their count, and the offset and length of source pixels that they cover.
    """
    first = -(offset * cells // length) if offset < 0 else 0
    last = min(cells, (limit - offset) * cells // length)
    start, stop = offset + first * length / cells, offset + last * length / cells
    return first, last - first, start, stop - start
