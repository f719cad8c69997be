"""Arrays of npz and npy files by their names; a file that holds anything else is one sentence."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Final
from zipfile import BadZipFile

import numpy as np

from vlm.errors import DataError

ALONE: Final = "array"
_BROKEN: Final = (OSError, AttributeError, TypeError, ValueError, EOFError, KeyError, BadZipFile, zlib.error)


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Give the arrays of an npz by name, or the one of an npy, which stays on disk, as `array`.

    Raises DataError for a file that is missing, damaged, or holds Python objects.
    """
    try:
        if path.suffix != ".npz":
            return {ALONE: np.load(path, allow_pickle=False, mmap_mode="r")}
        with path.open("rb") as file, np.load(file, allow_pickle=False) as loaded:
            return {name: loaded[name] for name in loaded.files}
    except _BROKEN as error:
        raise DataError(
            f"{path} cannot be read ({error}): expected arrays of numbers or words in npz or npy"
        ) from error
