"""Any image as a small picture in memory, and the digest of its bytes.

Ordinary files are decoded with pillow, JPEG at a fraction of its size where that is enough; GeoTIFFs, folders of bands
and very large images are read through overviews as their first rendering. Nothing is ever replaced by a black image.
"""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from data_engine.store.images import ImageFaultError
from vlm.errors import RasterError
from vlm.geometry.shapes import Window
from vlm.records import Image

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

_MOST_PIXELS: Final = 40_000_000
_PLAIN_MODES: Final = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr")
_PLAIN_FORMATS: Final = ("JPEG", "PNG", "BMP", "WEBP", "GIF")


def digest_image(image: Image) -> bytes:
    """Give 16 bytes that name the content of an image file; folders and remote images are named by their path.

    Raises ImageFaultError when the file is missing.
    """
    if image.data is not None:
        return hashlib.blake2b(image.data, digest_size=16).digest()
    path = str(image.path)
    if not os.path.isfile(path):
        if "://" in path or path.startswith("/vsi") or os.path.isdir(path):
            return hashlib.blake2b(path.encode(), digest_size=16).digest()
        raise ImageFaultError("missing image", f"{path} cannot be found")
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()


def load_grey(image: Image, *, enough_px: int) -> np.ndarray:
    """Read an image as float32 brightness (rows, cols), 0-255, with sides of at least `enough_px` where it has them.

    Raises ImageFaultError when it is missing or cannot be decoded.
    """
    return _load(image, "L", enough_px).astype(np.float32)


def load_rgb(image: Image, *, enough_px: int) -> np.ndarray:
    """Read an image as uint8 (rows, cols, 3) like `load_grey`."""
    return _load(image, "RGB", enough_px)


def _load(image: Image, mode: str, enough_px: int) -> np.ndarray:
    try:
        pixels = _with_pillow(image, mode, enough_px)
        return _with_gdal(image, mode, enough_px) if pixels is None else pixels
    except (OSError, SyntaxError, ValueError, RasterError) as error:
        name = image.path or "an embedded image"
        reason = "corrupt image" if image.data is not None or os.path.exists(str(image.path)) else "missing image"
        raise ImageFaultError(reason, f"{name} cannot be read ({error})") from error


def _with_pillow(image: Image, mode: str, enough_px: int) -> np.ndarray | None:
    """Decode with pillow; None for what GDAL reads better."""
    from PIL import Image as Pillow
    from PIL import UnidentifiedImageError

    if image.data is None and not Path(str(image.path)).is_file():
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)
            with Pillow.open(io.BytesIO(image.data) if image.data is not None else str(image.path)) as picture:
                return _decode(picture, mode, enough_px)
    except (UnidentifiedImageError, Pillow.DecompressionBombError):
        return None


def _decode(picture: Picture, mode: str, enough_px: int) -> np.ndarray | None:
    if picture.format not in _PLAIN_FORMATS or picture.mode not in _PLAIN_MODES:
        return None
    picture.draft(mode, (enough_px, enough_px))
    if picture.width * picture.height > _MOST_PIXELS:
        return None
    return np.asarray(picture.convert(mode))


def _with_gdal(image: Image, mode: str, enough_px: int) -> np.ndarray:
    if image.data is None:
        return _render(str(image.path), mode, enough_px)
    from rasterio.io import MemoryFile

    with MemoryFile(image.data) as file:
        return _render(file.name, mode, enough_px)


def _render(path: str, mode: str, enough_px: int) -> np.ndarray:
    """Read the first rendering of a raster, decimated to sides of about `enough_px`."""
    from vlm.raster import Raster

    with Raster.open(path) as raster:
        scale = min(1.0, enough_px / min(raster.width, raster.height))
        size = max(1, round(raster.width * scale)), max(1, round(raster.height * scale))
        rgb = raster.read(Window(0, 0, raster.width, raster.height), size, raster.renderings(None)[0]).rgb
    return rgb if mode == "RGB" else rgb @ np.array([0.299, 0.587, 0.114])
