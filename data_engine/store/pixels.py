"""Any image of a sample as a picture in memory, and the digest of its bytes.

Ordinary pictures are decoded with pillow, JPEG at a fraction of its size where that is enough; what a model would be
shown of anything else (GeoTIFFs, 16 bits, alpha, folders of bands, very large images) is its first rendering, by the
bands that the sample names. Nothing is ever replaced by a black image.
"""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from typing import TYPE_CHECKING, Final

import numpy as np

from data_engine.store.images import ImageFaultError
from vlm.errors import RasterError
from vlm.geometry.shapes import Window
from vlm.records import Image

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

_MOST_PIXELS: Final = 40_000_000
_PLAIN_MODES: Final = ("1", "L", "P", "RGB", "CMYK", "YCbCr")
_PLAIN_FORMATS: Final = ("JPEG", "PNG", "BMP", "WEBP", "GIF")
_PLAIN_BANDS: Final = ((), ("red", "green", "blue"), ("gray",))


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


def load_rgb(image: Image, *, enough_px: int | None = None) -> np.ndarray:
    """Read an image as uint8 (rows, cols, 3) like `load_grey`; without `enough_px` at its own size."""
    return _load(image, "RGB", enough_px)


def _load(image: Image, mode: str, enough_px: int | None) -> np.ndarray:
    try:
        pixels = _with_pillow(image, mode, enough_px)
        return _with_gdal(image, mode, enough_px) if pixels is None else pixels
    except (OSError, SyntaxError, ValueError, RasterError) as error:
        name = image.path or "an embedded image"
        reason = "corrupt image" if image.data is not None or os.path.exists(str(image.path)) else "missing image"
        raise ImageFaultError(reason, f"{name} cannot be read ({error})") from error


def _with_pillow(image: Image, mode: str, enough_px: int | None) -> np.ndarray | None:
    """Decode with pillow; None for what GDAL reads better."""
    from PIL import Image as Pillow
    from PIL import UnidentifiedImageError

    if image.bands not in _PLAIN_BANDS or (image.data is None and not os.path.isfile(str(image.path))):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)
            with Pillow.open(io.BytesIO(image.data) if image.data is not None else str(image.path)) as picture:
                return _decode(picture, mode, enough_px)
    except (UnidentifiedImageError, Pillow.DecompressionBombError):
        return None


def _decode(picture: Picture, mode: str, enough_px: int | None) -> np.ndarray | None:
    plain = picture.format in _PLAIN_FORMATS and picture.mode in _PLAIN_MODES and "transparency" not in picture.info
    if not plain:
        return None
    if enough_px is not None:
        picture.draft(mode, (enough_px, enough_px))
    if picture.width * picture.height > _MOST_PIXELS:
        return None
    return np.asarray(picture.convert(mode))


def _with_gdal(image: Image, mode: str, enough_px: int | None) -> np.ndarray:
    """Read the first rendering of a raster, decimated to sides of about `enough_px` if given."""
    from vlm.raster import Raster

    with Raster.open(image) as raster:
        scale = min(1.0, enough_px / min(raster.width, raster.height)) if enough_px is not None else 1.0
        size = max(1, round(raster.width * scale)), max(1, round(raster.height * scale))
        rgb = raster.read(Window(0, 0, raster.width, raster.height), size, raster.renderings(None)[0]).rgb
    return rgb if mode == "RGB" else rgb @ np.array([0.299, 0.587, 0.114])
