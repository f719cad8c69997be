"""The images of samples as files: how they are called in what is written, and embedded ones put on disk."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from vlm.errors import DataError
from vlm.output import write_bytes
from vlm.records import Image, Sample

FOLDER: Final = "images"
_SUFFIXES: Final = (
    (b"\x89PNG", ".png"),
    (b"\xff\xd8", ".jpg"),
    (b"II*\x00", ".tif"),
    (b"MM\x00*", ".tif"),
    (b"BM", ".bmp"),
)


def name_images(sample: Sample, out: Path, *, images: Path | None) -> list[str]:
    """Name each image of a sample as a file; an embedded one is written to images/ in the folder `out`."""
    return [name_image(image, out, images=images) for image in sample.images]


def name_image(image: Image, out: Path, *, images: Path | None) -> str:
    """Name one image: relative to the folder `images` where it lies in it, else by its own path.

    An embedded image is written once, named after its content, and named relative to `out`.
    """
    if image.data is not None:
        path = out / FOLDER / f"{hashlib.sha256(image.data).hexdigest()[:20]}{_suffix(image.data)}"
        if not path.exists():
            write_bytes(path, image.data)
        return path.relative_to(out).as_posix()
    if image.path is None:
        raise DataError("an image has neither a path nor bytes")
    path = Path(image.path)
    if images is not None and path.is_relative_to(images):
        return path.relative_to(images).as_posix()
    return path.as_posix()


def _suffix(data: bytes) -> str:
    """Tell a file's type by its first bytes."""
    return next((suffix for start, suffix in _SUFFIXES if data.startswith(start)), ".img")
