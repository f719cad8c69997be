"""Opening with GDAL: files, remote paths and folders of single-band files; one sentence instead of GDAL's exceptions.

A folder becomes a virtual raster (VRT) on the grid of its finest band; GDAL then reads proportional windows of the
coarse ones. The block cache is small (CACHE_BYTES a process), so that memory does not grow with what is read.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlm.errors import RasterError
from vlm.gcps import GroundPoint
from vlm.grid import Grid

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

CACHE_BYTES = 64 * 1024**2
FORMATS = "a GeoTIFF, PNG, JPEG, BMP, JP2, VRT or another format that GDAL reads"
_REMOTE = re.compile(r"^(/vsi\w+/|[a-z][a-z0-9+.-]+://)", re.IGNORECASE)
_SUBDATASET = re.compile(r"^\w{2,}:")
_BAND_SUFFIXES = {".tif", ".tiff", ".jp2", ".img"}
_BAND_NAME = re.compile(r"(?<![A-Z0-9])((?:S[RT]_)?B\d{1,2}A?|VV|VH|HH|HV)(?![A-Z0-9])", re.IGNORECASE)
_LANDSAT_NAME = re.compile(r"^L[COTEM]\d\d(?=_)", re.IGNORECASE)
_QUALITY_NAME = re.compile(r"_(QA|SCL|MSK|CLD|SNW|AOT|WVP|TCI)(_|$)", re.IGNORECASE)
_VRT_TYPES = {
    "uint8": "Byte", "int8": "Int8", "uint16": "UInt16", "int16": "Int16", "uint32": "UInt32", "int32": "Int32",
    "uint64": "UInt64", "int64": "Int64", "float32": "Float32", "float64": "Float64",
    "complex64": "CFloat32", "complex128": "CFloat64", "complex_int16": "CInt16",
}  # fmt: skip
_RPC_POINTS = 9


def is_remote(path: str) -> bool:
    """Say whether a path is a URL or a GDAL virtual file system path, which is passed through unchecked."""
    return bool(_REMOTE.match(path))


def open_dataset(path: str) -> DatasetReader:
    """Open a file, a remote path or a folder of bands; RasterError says what is wrong with it."""
    if not is_remote(path) and (os.path.exists(path) or not _SUBDATASET.match(path)):
        _require_content(path)
        if os.path.isdir(path):
            return _open_folder(Path(path))
    dataset = _open(path, path)
    if dataset.count == 0:
        parts = ", ".join(dataset.subdatasets) or "none"
        raise RasterError(f"{path} has no bands of its own: open one of its subdatasets instead ({parts})")
    return dataset


def grid_of(dataset: DatasetReader) -> Grid:
    """Read the georeference of a dataset: an affine before ground control points before rational polynomials (RPC)."""
    with gdal(dataset.name), quiet():
        transform, crs = dataset.transform, dataset.crs
        points, points_crs = dataset.gcps
        if not transform.is_identity:
            affine = (transform.a, transform.b, transform.c, transform.d, transform.e, transform.f)
            return Grid(dataset.width, dataset.height, crs_text(crs), affine)
        if points:
            text, geographic = crs_text(points_crs), bool(points_crs) and points_crs.is_geographic
            gcps = tuple((float(p.col), float(p.row), float(p.x), float(p.y)) for p in points)
            return Grid(dataset.width, dataset.height, text, None, _unwrapped(gcps) if geographic else gcps)
        if dataset.rpcs is not None:
            return Grid(dataset.width, dataset.height, "EPSG:4326", None, _unwrapped(_rpc_points(dataset)))
        return Grid(dataset.width, dataset.height, crs_text(crs))


def crs_text(crs: Any) -> str | None:
    """Write a CRS as "EPSG:32616" where it has such a code, else as WKT; None for none."""
    if not crs:
        return None
    code = crs.to_epsg()
    return f"EPSG:{code}" if code else str(crs.to_wkt())


@contextmanager
def gdal(path: str) -> Iterator[None]:
    """Set GDAL's options for one path: a small block cache, no directory listing, one retry over the network."""
    import rasterio

    options: dict[str, Any] = {"GDAL_CACHEMAX": CACHE_BYTES, "GDAL_DISABLE_READDIR_ON_OPEN": "TRUE"}
    if is_remote(path):
        options |= {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_HTTP_MAX_RETRY": 1, "GDAL_HTTP_TIMEOUT": 30}
    with rasterio.Env(**options):
        yield


class _Silence:
    """Ignore a warning for as long as some thread wants it: Python's filters are one list for all threads."""

    def __init__(self) -> None:
        self._lock, self._threads, self._before = threading.Lock(), 0, warnings.catch_warnings()

    @contextmanager
    def of(self, category: type[Warning]) -> Iterator[None]:
        """Ignore the category until the last thread has left."""
        with self._lock:
            if self._threads == 0:
                self._before = warnings.catch_warnings()
                self._before.__enter__()
                warnings.simplefilter("ignore", category)
            self._threads += 1
        try:
            yield
        finally:
            with self._lock:
                self._threads -= 1
                if self._threads == 0:
                    self._before.__exit__(None, None, None)


_SILENCE = _Silence()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep rasterio's warning about a missing georeference from the user: the grid says it."""
    from rasterio.errors import NotGeoreferencedWarning

    with _SILENCE.of(NotGeoreferencedWarning):
        yield


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Turn a read that fails half-way into a RasterError."""
    from rasterio.errors import RasterioError

    with gdal(path):
        try:
            yield
        except RasterioError as error:
            raise RasterError(
                f"{path} broke off while it was read: {_cause(error)}; the file seems truncated or damaged, "
                "copy or download it again"
            ) from error


def _open(target: str, path: str) -> DatasetReader:
    import rasterio
    from rasterio.errors import RasterioError

    logging.getLogger("rasterio").addHandler(logging.NullHandler())
    with gdal(path), quiet():
        try:
            return rasterio.open(target)
        except RasterioError as error:
            raise RasterError(
                f"{path} cannot be opened as an image: {_cause(error)}; expected {FORMATS}; "
                "check that the file is complete and is an image"
            ) from error


def _require_content(path: str) -> None:
    if not os.path.exists(path):
        raise RasterError(f"{path} does not exist: expected an image file or a folder of band files; check the path")
    if os.path.isfile(path) and os.path.getsize(path) == 0:
        raise RasterError(f"{path} is empty (0 bytes): expected {FORMATS}; copy or download it again")


def _cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


@dataclass(frozen=True, slots=True)
class BandFile:
    """Describe one single-band file of a folder."""

    path: Path
    label: str
    width: int
    height: int
    dtype: str
    nodata: float | None
    grid: Grid


def _open_folder(folder: Path) -> DatasetReader:
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in _BAND_SUFFIXES)
    bands = [_band_file(file) for file in files if not _QUALITY_NAME.search(file.stem)]
    if not bands:
        raise RasterError(
            f"folder {folder} holds no band files: expected single-band {', '.join(sorted(_BAND_SUFFIXES))} files such "
            "as T31UDQ_B04.tif; name one image file instead"
        )
    bands.sort(key=lambda band: _natural(band.label))
    finest = max(bands, key=lambda band: band.width * band.height)
    for band in bands:
        _require_same_extent(band, finest, folder)
    return _open(_vrt(bands, finest), str(folder))


def _band_file(file: Path) -> BandFile:
    with _open(str(file), str(file)) as dataset:
        if dataset.count != 1:
            raise RasterError(
                f"{file} has {dataset.count} bands: expected single-band files in a folder that is opened as one "
                "raster; name the file itself instead"
            )
        name = _BAND_NAME.findall(file.stem)
        mission = _LANDSAT_NAME.findall(file.stem)
        label = " ".join([*mission, name[-1].upper()]) if name else file.stem
        return BandFile(
            file, label, dataset.width, dataset.height, dataset.dtypes[0], dataset.nodata, grid_of(dataset)
        )  # fmt: skip


def _natural(label: str) -> list[tuple[int, str]]:
    """Sort B2 before B10 and B8A after B8."""
    return [(int(number or 0), text) for number, text in re.findall(r"(\d+)|(\D+)", label)]


def _require_same_extent(band: BandFile, finest: BandFile, folder: Path) -> None:
    if band.grid.crs == finest.grid.crs and band.grid.transform is not None and finest.grid.transform is not None:
        x, y = finest.grid.to_pixel(*band.grid.to_map([0.0, float(band.width)], [0.0, float(band.height)]))
        slack = 1.5 * finest.width / band.width
        off = max(abs(x[0]), abs(y[0]), abs(x[1] - finest.width), abs(y[1] - finest.height))
    else:
        slack, off = 0.0, 0.0 if band.grid.crs == finest.grid.crs else float("inf")
    if off > slack:
        raise RasterError(
            f"folder {folder} mixes images: {band.path.name} and {finest.path.name} do not cover the same ground; "
            "expected the bands of one scene; keep one scene in a folder"
        )


def _vrt(bands: list[BandFile], finest: BandFile) -> str:
    parts = [f'<VRTDataset rasterXSize="{finest.width}" rasterYSize="{finest.height}">']
    if finest.grid.crs is not None:
        parts.append(f"<SRS>{escape(finest.grid.crs)}</SRS>")
    if finest.grid.transform is not None:
        a, b, c, d, e, f = finest.grid.transform
        parts.append(f"<GeoTransform>{c!r},{a!r},{b!r},{f!r},{d!r},{e!r}</GeoTransform>")
    parts += [_vrt_band(index + 1, band, finest) for index, band in enumerate(bands)]
    return "".join([*parts, "</VRTDataset>"])


def _vrt_band(number: int, band: BandFile, finest: BandFile) -> str:
    nodata = "" if band.nodata is None else f"<NoDataValue>{band.nodata!r}</NoDataValue>"
    source_nodata = "" if band.nodata is None else f"<NODATA>{band.nodata!r}</NODATA>"
    source = "SimpleSource" if band.nodata is None else "ComplexSource"
    return (
        f'<VRTRasterBand dataType="{_VRT_TYPES[band.dtype]}" band="{number}">'
        f"<Description>{escape(band.label)}</Description>"
        f'{nodata}<{source} resampling="bilinear">'
        f'<SourceFilename relativeToVRT="0">{escape(str(band.path.resolve()))}</SourceFilename>'
        f'<SourceBand>1</SourceBand><SrcRect xOff="0" yOff="0" xSize="{band.width}" ySize="{band.height}"/>'
        f'<DstRect xOff="0" yOff="0" xSize="{finest.width}" ySize="{finest.height}"/>'
        f"{source_nodata}</{source}></VRTRasterBand>"
    )


def _unwrapped(points: tuple[GroundPoint, ...]) -> tuple[GroundPoint, ...]:
    """Shift western longitudes by 360 degrees where the points straddle the antimeridian."""
    longitudes = [point[2] for point in points]
    if max(longitudes) - min(longitudes) <= 180:
        return points
    return tuple((x, y, lon + 360 if lon < 0 else lon, lat) for x, y, lon, lat in points)


def _rpc_points(dataset: DatasetReader) -> tuple[GroundPoint, ...]:
    """Sample rational polynomials at their mean height as control points: flat ground is assumed."""
    from rasterio.transform import RPCTransformer

    cols = [dataset.width * i / (_RPC_POINTS - 1) for i in range(_RPC_POINTS)]
    rows = [dataset.height * i / (_RPC_POINTS - 1) for i in range(_RPC_POINTS)]
    pixels = [(col, row) for row in rows for col in cols]
    with RPCTransformer(dataset.rpcs) as transformer:
        xs, ys = transformer.xy(
            [row for _, row in pixels],
            [col for col, _ in pixels],
            zs=[dataset.rpcs.height_off] * len(pixels),
            offset="ul",
        )
    return tuple((col, row, float(x), float(y)) for (col, row), x, y in zip(pixels, xs, ys, strict=True))
