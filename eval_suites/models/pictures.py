"""Images as the data URLs that endpoints take.

A PNG or JPEG file goes as it is when it is small enough; everything else (GeoTIFF, 16 bits, a window) is rendered as
Nadir renders it, at most `most_px` on the longer side. A model whose boxes are absolute pixels of its own resized image
is sent exactly that image, so that its numbers mean what the dialect says.
"""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING

from eval_suites.images import READING, frames
from vlm.dialects import DIALECTS, smart_resize

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

    from eval_suites.cases import Case

MOST_PX = 4096
_MOST_BYTES = 20_000_000
_LOSSLESS_PX = 2048
_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}


def encode_images(case: Case, *, dialect: str, most_px: int = MOST_PX) -> list[str]:
    """Give each image of a case as a data URL; raises RasterError where one cannot be read."""
    entry = DIALECTS.get(dialect)
    targets: list[tuple[int, int] | None] = [None] * len(case.images)
    if entry is not None and entry.grid is None:
        targets = [
            smart_resize(size, factor=entry.factor, min_pixels=entry.min_pixels, max_pixels=entry.max_pixels)
            for size in frames(case)
        ]
    with READING:
        return [_encode(case, Path(path), size, most_px) for path, size in zip(case.images, targets, strict=True)]


def _encode(case: Case, path: Path, size: tuple[int, int] | None, most_px: int) -> str:
    """Give one image as it is, or rendered: at `size` where that is given, else at most `most_px`."""
    from PIL import Image

    from vlm.overlay import load_pictures

    if case.window is None and _may_stay(path, size, most_px):
        return _url(path.read_bytes(), _TYPES[path.suffix.lower()])
    (shown,) = load_pictures([path], view=case.window, size_px=max(size) if size else most_px)
    picture = Image.fromarray(shown.rgb)
    return _write(picture if size in (None, picture.size) else picture.resize(size))


def _may_stay(path: Path, size: tuple[int, int] | None, most_px: int) -> bool:
    """Say whether every server reads this file as it is, at the size that it has."""
    from vlm.dataset import open_dataset

    if path.suffix.lower() not in _TYPES or not path.exists() or path.stat().st_size > _MOST_BYTES:
        return False
    with open_dataset(str(path)) as dataset:
        own = (dataset.width, dataset.height)
        plain = dataset.count in (1, 3) and set(dataset.dtypes) == {"uint8"}
    return plain and (own == size if size else max(own) <= most_px)


def _write(picture: PilImage) -> str:
    buffer = io.BytesIO()
    if max(picture.size) <= _LOSSLESS_PX:
        picture.save(buffer, "PNG")
        return _url(buffer.getvalue(), "image/png")
    picture.save(buffer, "JPEG", quality=95)
    return _url(buffer.getvalue(), "image/jpeg")


def _url(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
