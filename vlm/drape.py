"""A raster laid on another image's grid where control points place either: rasterio's WarpedVRT cannot do that.

Draped offers the few dataset methods that vlm.raster reads through. Output pixels go to longitude and latitude on the
first grid and from there to pixels of the second image; between NODES x NODES exact points they are interpolated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vlm.grid import Grid

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

NODES = 33


class Draped:
    """Read a raster's dataset through another image's grid, bilinearly; outside is zero and masked."""

    def __init__(self, dataset: DatasetReader, own: Grid, onto: Grid) -> None:
        self._dataset, self._from, self._onto = dataset, own, onto
        self.count, self.dtypes, self.driver = dataset.count, dataset.dtypes, dataset.driver
        self.mask_flag_enums: tuple[list[Any], ...] = ()
        self.nodata, self.descriptions, self.colorinterp = dataset.nodata, dataset.descriptions, dataset.colorinterp

    def overviews(self, band: int) -> list[int]:
        """List the decimations of the underlying file."""
        return list(self._dataset.overviews(band))

    def colormap(self, band: int) -> dict[int, tuple[int, int, int, int]]:
        """Give the palette of a band."""
        return dict(self._dataset.colormap(band))

    def tags(self) -> dict[str, str]:
        """Give the metadata of the underlying file."""
        return dict(self._dataset.tags())

    def close(self) -> None:
        """Close the underlying file."""
        self._dataset.close()

    def read(self, bands: list[int], *, window: Any, out_shape: tuple[int, int, int], resampling: Any) -> np.ndarray:
        """Read bands (n, h, w) of a window of the grid, in the file's type."""
        x, y = self._positions(window, out_shape)
        block = _block(x, y, self._from)
        values = np.zeros(out_shape, self._dataset.dtypes[0])
        if block is not None:
            got = self._dataset.read(
                bands, window=block.window, out_shape=(len(bands), *block.shape), resampling=resampling
            )
            smooth = resampling.name != "nearest" and not np.iscomplexobj(got)
            values = (_bilinear if smooth else _nearest)(got, *block.cells(x, y)).astype(got.dtype)
        return values

    def read_masks(self, bands: list[int], *, window: Any, out_shape: tuple[int, int, int]) -> np.ndarray:
        """Read masks (n, h, w), 255 where the pixel and its neighbours are valid, 0 elsewhere."""
        x, y = self._positions(window, out_shape)
        block = _block(x, y, self._from)
        if block is None:
            return np.zeros(out_shape, np.uint8)
        got = self._dataset.read_masks(bands, window=block.window, out_shape=(len(bands), *block.shape))
        all_valid = _bilinear((got > 0).astype(np.float64), *block.cells(x, y)) > 1 - 1e-6
        inside = (x >= 0) & (x < self._from.width) & (y >= 0) & (y < self._from.height)
        return np.where(all_valid & inside, np.uint8(255), np.uint8(0))

    def _positions(self, window: Any, out_shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Find the source pixel (x, y), each (h, w), under each output cell's centre."""
        rows, cols = out_shape[1:]
        at_x, at_y = np.linspace(0, 1, min(NODES, cols + 1)), np.linspace(0, 1, min(NODES, rows + 1))
        node_x, node_y = np.meshgrid(window.col_off + at_x * window.width, window.row_off + at_y * window.height)
        found = np.stack(self._from.from_wgs84(*self._onto.to_wgs84(node_x, node_y)))
        row = (np.arange(rows) + 0.5) / rows * (len(at_y) - 1)
        col = (np.arange(cols) + 0.5) / cols * (len(at_x) - 1)
        x, y = _bilinear(np.where(np.isfinite(found), found, -1e9), *np.meshgrid(col, row))
        return x, y


class _Block:
    """A window of the source and the shape it is read in."""

    def __init__(self, x: int, y: int, width: int, height: int, shape: tuple[int, int]) -> None:
        from rasterio.windows import Window

        self.window = Window(x, y, width, height)
        self.shape = shape

    def cells(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Turn source pixels into fractional columns and rows of the block (0 = centre of the first cell)."""
        col = (x - self.window.col_off) * self.shape[1] / self.window.width - 0.5
        row = (y - self.window.row_off) * self.shape[0] / self.window.height - 0.5
        return col, row


def _block(x: np.ndarray, y: np.ndarray, source: Grid) -> _Block | None:
    """Find the source window under all positions, decimated to their spacing; None outside the source."""
    left, right = max(0, int(x.min()) - 2), min(source.width, int(x.max()) + 3)
    top, bottom = max(0, int(y.min()) - 2), min(source.height, int(y.max()) + 3)
    if right <= left or bottom <= top or x.max() < 0 or y.max() < 0:
        return None
    step = max(1.0, float(np.median(np.hypot(*np.gradient(x)[:2])))) if min(x.shape) > 1 else 1.0
    shape = max(1, round((bottom - top) / step)), max(1, round((right - left) / step))
    return _Block(left, top, right - left, bottom - top, shape)


def _nearest(values: np.ndarray, col: np.ndarray, row: np.ndarray) -> np.ndarray:
    rows, cols = values.shape[-2:]
    return values[..., np.rint(row).astype(int).clip(0, rows - 1), np.rint(col).astype(int).clip(0, cols - 1)]


def _bilinear(values: np.ndarray, col: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Interpolate values (..., rows, cols) at fractional cells; beyond the border the border's value holds."""
    rows, cols = values.shape[-2:]
    row, col = row.clip(0, rows - 1), col.clip(0, cols - 1)
    top, left = row.astype(int).clip(0, max(rows - 2, 0)), col.astype(int).clip(0, max(cols - 2, 0))
    down, right = np.minimum(top + 1, rows - 1), np.minimum(left + 1, cols - 1)
    v, u = row - top, col - left
    upper = values[..., top, left] * (1 - u) + values[..., top, right] * u
    lower = values[..., down, left] * (1 - u) + values[..., down, right] * u
    return upper * (1 - v) + lower * v
