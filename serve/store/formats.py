"""Which files are images that may be served, told from their first bytes: GDAL is asked with that driver and no other.

GDAL itself opens whatever looks like something it knows, and much of that is a letter that says where to read: VRT, WMS
and tile index files name other files and addresses, also from inside a JPEG's comment. So a file is refused where a
driver that searches its head for such words could find any.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from serve.errors import FormatError

HEAD_BYTES = 4096
_WORDS = re.compile(rb"<[A-Za-z?!]")


@dataclass(frozen=True, slots=True)
class ImageFormat:
    """Name a format: GDAL's driver, the suffix of its files, and whether decoding needs the whole image at once."""

    driver: str
    suffix: str
    whole: bool


TIFF = ImageFormat("GTiff", ".tif", whole=False)
JP2 = ImageFormat("JP2OpenJPEG", ".jp2", whole=False)
_HEADS: tuple[tuple[re.Pattern[bytes], ImageFormat], ...] = (
    (re.compile(rb"II[*+]\0|MM\0[*+]"), TIFF),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), ImageFormat("PNG", ".png", whole=True)),
    (re.compile(rb"\xff\xd8\xff"), ImageFormat("JPEG", ".jpg", whole=True)),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), ImageFormat("WEBP", ".webp", whole=True)),
    (re.compile(rb"BM.{4}\0\0\0\0", re.DOTALL), ImageFormat("BMP", ".bmp", whole=True)),
    (re.compile(rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"), JP2),
)


def format_of(head: bytes) -> ImageFormat:
    """Tell a file's format from its first HEAD_BYTES; FormatError where it is none that is served."""
    for pattern, found in _HEADS:
        if pattern.match(head):
            if _WORDS.search(head[:HEAD_BYTES].split(b"\0", 1)[0]):
                break
            return found
    raise FormatError(
        f"the bytes begin with {head[:8]!r}, which is no image format that is served: expected a GeoTIFF or COG, PNG, "
        "JPEG, JP2, WebP or BMP; convert it with gdal_translate"
    )
