"""What SOURCE means: one raster, a folder of rasters, a VRT, or a STAC file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from serve.scan.stac import find_assets
from vlm.dataset import is_remote
from vlm.errors import RasterError

SUFFIXES = frozenset({".tif", ".tiff", ".vrt", ".jp2", ".png", ".jpg", ".jpeg", ".img", ".webp", ".bmp"})
_STAC = frozenset({".json", ".geojson"})
_BAND = re.compile(r"(?<![A-Z0-9])(B\d{1,2}A?|VV|VH|HH|HV)(?![A-Z0-9])", re.IGNORECASE)


def find_sources(source: str, *, asset: str | None = None) -> Iterator[str]:
    """Yield the rasters that a source names, in an order that is the same each time.

    Raises RasterError for what does not exist and for a folder without rasters, DataError for a STAC file that cannot
    be used.
    """
    path = Path(source)
    if is_remote(source):
        yield source
    elif path.is_dir():
        yield from _in_folder(path)
    elif path.suffix.lower() in _STAC and path.is_file():
        yield from find_assets(path, asset=asset)
    elif path.exists():
        yield source
    else:
        raise RasterError(
            f"{source} does not exist: expected a raster, a folder of rasters, or a STAC ItemCollection; check the path"
        )


def _in_folder(folder: Path) -> Iterator[str]:
    found = False
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and not name.endswith(".scan"))
        files = [Path(place) / name for name in sorted(names) if _is_raster(name)]
        found = found or bool(files)
        yield from [place] if _is_scene(files) else map(str, files)
    if not found:
        raise RasterError(
            f"folder {folder} holds no rasters: expected files such as scene.tif ({', '.join(sorted(SUFFIXES))})"
        )


def _is_raster(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES


def _is_scene(files: list[Path]) -> bool:
    """Say whether the files of a folder are the bands of one scene, which are read as one raster."""
    return len(files) > 1 and all(_BAND.search(file.stem) for file in files)
