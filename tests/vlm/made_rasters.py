"""Small rasters that tests write in the layouts that users have; deterministic, a few kilobytes each."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.errors import NotGeoreferencedWarning
from rasterio.rpc import RPC

UTM = {"crs": "EPSG:32616", "transform": rasterio.Affine(0.5, 0, 733_601, 0, -0.5, 3_725_139)}


def write_raster(path: Path, bands: np.ndarray, *, names: tuple[str, ...] = (), **profile: Any) -> Path:
    """Write bands (n, h, w) as GeoTIFF, or as what `driver` says."""
    options = {"driver": "GTiff", "count": len(bands), "height": bands.shape[1], "width": bands.shape[2]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", dtype=bands.dtype, **(options | profile)) as dataset:
            dataset.write(bands)
            if names:
                dataset.descriptions = names
    return path


def checker(bands: int, height: int, width: int, *, dtype: str = "uint8", seed: int = 0) -> np.ndarray:
    """Make a smooth gradient with noise, so that flips, shifts and band swaps are seen."""
    rows, cols = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(seed).normal(0, 4, (bands, height, width))
    slope = np.stack([40 + 15 * band + 60 * rows / height + 80 * cols / width for band in range(bands)])
    return np.clip(slope + noise, 1, 250).astype(dtype)


def with_gcps(path: Path, *, width: int = 60, height: int = 40, bend: float = 0.0) -> Path:
    """Write an image with 25 control points in WGS84 on a mirrored, turned, slightly bent surface, and no affine."""
    points = []
    for row in np.linspace(0, height, 5):
        for col in np.linspace(0, width, 5):
            lon = 12.0 - 1e-4 * col + 2e-5 * row + bend * (col / width) ** 2 * 1e-4
            lat = 48.0 + 1e-5 * col + 1e-4 * row + bend * (col * row / width / height) * 1e-4
            points.append(GroundControlPoint(row=row, col=col, x=lon, y=lat))
    return place_by_gcps(write_raster(path, checker(1, height, width)), points)


def with_gcps_on_a_line(path: Path) -> Path:
    """Write an image whose four control points lie on its diagonal."""
    points = [GroundControlPoint(row=9 * k, col=9 * k, x=12 + 1e-4 * k, y=48 + 1e-4 * k) for k in range(4)]
    return place_by_gcps(write_raster(path, checker(3, 60, 60)), points)


def place_by_gcps(path: Path, points: list[GroundControlPoint]) -> Path:
    """Give an image control points in WGS84."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "r+") as dataset:
            dataset.gcps = points, rasterio.CRS.from_epsg(4326)
    return path


def with_rpc(path: Path) -> Path:
    """Write an image of 100 x 80 px whose rational polynomials are linear: longitude by column, latitude by row."""
    one, along, across = [1.0] + [0.0] * 19, [0.0, 1.0] + [0.0] * 18, [0.0, 0.0, -1.0] + [0.0] * 17
    rpc = RPC(
        height_off=100.0, height_scale=500.0, lat_off=48.0, lat_scale=0.004, line_off=40.0, line_scale=40.0,
        line_num_coeff=across, line_den_coeff=one, long_off=12.0, long_scale=0.005, samp_off=50.0, samp_scale=50.0,
        samp_num_coeff=along, samp_den_coeff=one, err_bias=None, err_rand=None,
    )  # fmt: skip
    write_raster(path, checker(1, 80, 100))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "r+") as dataset:
            dataset.rpcs = rpc
    return path


def sentinel2_folder(folder: Path, *, shape: tuple[int, int] = (60, 48)) -> Path:
    """Write a folder of single-band files at 10, 20 and 60 m, like a Sentinel-2 scene; each band is constant."""
    folder.mkdir()
    height, width = shape
    fine = ("B02", "B03", "B04", "B08")
    coarse = ("B01", "B09", "B10")
    names = [*fine, *coarse, "B05", "B06", "B07", "B8A", "B11", "B12"]
    for name in names:
        factor = 1 if name in fine else 6 if name in coarse else 2
        rows, cols = height // factor, width // factor
        value = 100 * (int(name[1:].rstrip("A")) + (20 if name.endswith("A") else 0))
        band = np.full((1, rows, cols), value, np.uint16) + np.arange(cols, dtype=np.uint16)
        transform = rasterio.Affine(10 * factor, 0, 500_000, 0, -10 * factor, 5_000_000)
        write_raster(folder / f"T31UDQ_20170829T105019_{name}.tif", band, crs="EPSG:32631", transform=transform)
    return folder
