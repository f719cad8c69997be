"""A shrunk cell is the mean of the ground it covers, fractions of pixels included: files exactly, arrays nearly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PILImage

from vlm.geometry.shapes import Window
from vlm.processor import ArrayImage
from vlm.raster import Raster

WINDOWS = [Window(0, 0, 120, 120), Window(10, 20, 100, 100), Window(3, 5, 65, 65), Window(0, 0, 128, 96)]
CELLS = (48, 32)


def mean_of_ground(values: np.ndarray, offset: int, length: int, cells: int) -> np.ndarray:
    """Average the first axis of values over `cells` equal stretches of [offset, offset + length)."""
    total = np.concatenate([np.zeros_like(values[:1], float), np.cumsum(values, axis=0, dtype=float)])
    edges = offset + np.arange(cells + 1) * length / cells
    whole, part = np.divmod(edges, 1)
    index = whole.astype(int)
    shape = (-1, *[1] * (values.ndim - 1))
    at = total[index] + part.reshape(shape) * (total[np.minimum(index + 1, len(values))] - total[index])
    return np.diff(at, axis=0) * cells / length


def exact(rgb: np.ndarray, window: Window) -> np.ndarray:
    """Average an (h, w, 3) picture over the ground of each cell."""
    rows = mean_of_ground(rgb, window.y, window.h, CELLS[1])
    return mean_of_ground(rows.swapaxes(0, 1), window.x, window.w, CELLS[0]).swapaxes(0, 1)


@pytest.fixture
def smooth(tmp_path: Path) -> Path:
    noise = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    PILImage.fromarray(noise).resize((160, 120), PILImage.Resampling.BICUBIC).save(tmp_path / "smooth.png")
    return tmp_path / "smooth.png"


@pytest.mark.parametrize("window", WINDOWS)
def test_a_file_is_averaged_over_the_ground_of_each_cell(smooth: Path, window: Window) -> None:
    rgb = np.asarray(PILImage.open(smooth))
    with Raster.open(smooth) as raster:
        shrunk = raster.read(window, CELLS, raster.renderings()[0]).rgb
    assert np.abs(shrunk - exact(rgb, window)).max() < 0.51


@pytest.mark.parametrize("window", WINDOWS)
def test_an_array_is_averaged_over_whole_pixels_which_differs_by_a_few_grey_values(
    smooth: Path, window: Window
) -> None:
    """PIL's box filter takes each pixel wholly or not at all: about 1 of 255 on a smooth picture, 12 at its edges."""
    rgb = np.asarray(PILImage.open(smooth))
    off = np.abs(ArrayImage(rgb).read(window, CELLS).rgb - exact(rgb, window))
    assert off.mean() < 2.5
    assert off.max() < 14
