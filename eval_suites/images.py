"""Sizes of the images that cases name, and the lock under which threads open them."""

from __future__ import annotations

import threading
from functools import lru_cache
from pathlib import Path
from typing import Final

from eval_suites.cases import Case
from vlm.errors import DataError

READING: Final = threading.RLock()
"""Held by whoever opens an image while endpoints are asked: opening one silences warnings (vlm.dataset.quiet) for the
whole process, which two threads must not do at once."""


@lru_cache(maxsize=200_000)
def image_size(path: str | Path) -> tuple[int, int]:
    """Read (width, height) in pixels from a file's head; raises RasterError where it is no image."""
    from vlm.dataset import open_dataset

    with READING, open_dataset(str(path)) as dataset:
        return int(dataset.width), int(dataset.height)


def frames(case: Case) -> list[tuple[int, int]]:
    """Give the size (width, height) of what is shown of each image: its window's, or its own."""
    if case.window:
        return [(case.window.w, case.window.h)] * len(case.images)
    return list(case.sizes) or [image_size(path) for path in case.images]


def require_images(cases: tuple[Case, ...], *, where: str) -> None:
    """Refuse cases whose images are missing, with how many and the first; `where` says what to do about it."""
    missing = [
        path for path in dict.fromkeys(path for case in cases for path in case.images) if not Path(path).exists()
    ]
    if missing:
        raise DataError(f"{len(missing)} images are missing, such as {missing[0]}: {where}")
