"""The images of samples as files: is it there, is it whole, has it the size that is stated; and its bytes.

Every pixel is decoded once, since a truncated file has an intact header. GeoTIFFs and very large images are read block
by block with GDAL, the others with pillow. A file that many samples share is looked at once.
"""

from __future__ import annotations

import io
import os
import warnings
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Final

from vlm.dataset import gdal, is_remote, open_dataset
from vlm.errors import DataError, RasterError
from vlm.records import Image

_WITH_GDAL: Final = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_MOST_PIXELS: Final = 40_000_000
"""Images above this are decoded block by block."""
_SUFFIXES: Final = {b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png", b"RIFF": ".webp", b"BM": ".bmp", b"GIF8": ".gif"}
Size = tuple[int, int]


class ImageFaultError(DataError):
    """Say why an image cannot be used; `reason` is the short name that a ledger counts."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def check_image(image: Image) -> None:
    """Raise ImageFaultError unless the image is there, decodes to its last pixel and has the stated size.

    Remote images (URLs and GDAL's virtual paths) are believed.
    """
    name = str(image.path or "an embedded image")
    if image.data is not None:
        size = _decode_bytes(image.data)
    elif is_remote(name):
        return
    else:
        size = _decode_file(name, _stamp(name))
    stated = (image.width or size[0], image.height or size[1])
    if stated != size:
        raise ImageFaultError(
            "wrong size", f"{name} is {size[0]} x {size[1]} px, its sample says {stated[0]} x {stated[1]}"
        )


def embed_image(image: Image) -> Image:
    """Give the image with its file's bytes in place of its path; raises ImageFaultError when there is no one file."""
    if image.data is not None:
        return image
    name = str(image.path)
    if is_remote(name):
        raise ImageFaultError("not a file", f"{name} lies elsewhere and cannot be embedded: download it first")
    return replace(image, path=None, data=_read(name, _stamp(name)))


def suffix_of(data: bytes) -> str:
    """Tell the suffix of an encoded image from its first bytes; `.bin` for an unknown one."""
    if data.startswith(_WITH_GDAL):
        return ".tif"
    return next((suffix for start, suffix in _SUFFIXES.items() if data.startswith(start)), ".bin")


def _stamp(path: str) -> tuple[int, int]:
    """Give size and time of a file, so that a file that was replaced is looked at again."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise ImageFaultError("missing image", f"{path} cannot be found ({error.strerror})") from error
    return status.st_size, status.st_mtime_ns


@lru_cache(maxsize=4)
def _read(path: str, stamp: tuple[int, int]) -> bytes:
    del stamp
    if os.path.isdir(path):
        raise ImageFaultError("not a file", f"{path} is a folder of bands and cannot be embedded: keep it by path")
    return Path(path).read_bytes()


@lru_cache(maxsize=20_000)
def _decode_file(path: str, stamp: tuple[int, int]) -> Size:
    if not stamp[0]:
        raise ImageFaultError("corrupt image", f"{path} is empty (0 bytes)")
    if os.path.isdir(path):
        return _decode_blocks(path)
    with open(path, "rb") as file:
        start = file.read(4)
    return (None if start in _WITH_GDAL else _decode_picture(path, path)) or _decode_blocks(path)


def _decode_bytes(data: bytes) -> Size:
    from rasterio.io import MemoryFile

    if data[:4] not in _WITH_GDAL and (size := _decode_picture(io.BytesIO(data), "an embedded image")):
        return size
    with MemoryFile(data) as file:
        return _decode_blocks(file.name)


def _decode_picture(source: str | io.BytesIO, name: str) -> Size | None:
    """Decode with pillow and give the size; None for an image that is too large to be decoded at once."""
    from PIL import Image as Picture

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Picture.DecompressionBombWarning)
            with Picture.open(source) as picture:
                if picture.size[0] * picture.size[1] > _MOST_PIXELS:
                    return None
                picture.load()
                return picture.size
    except Picture.DecompressionBombError:
        return None
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageFaultError("corrupt image", f"{name} cannot be decoded ({error})") from error


def _decode_blocks(path: str) -> Size:
    """Read every block of every band with GDAL, one at a time."""
    from rasterio.errors import RasterioError

    try:
        with gdal(path), open_dataset(path) as dataset:
            for _, window in dataset.block_windows(1):
                dataset.read(window=window)
            return dataset.width, dataset.height
    except (RasterError, RasterioError) as error:
        raise ImageFaultError("corrupt image", f"{path} cannot be decoded ({error})") from error
