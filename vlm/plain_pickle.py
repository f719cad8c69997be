"""Pickles that hold plain values alone: a pickle can run any code while it is read, so everything else is refused."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, Final

import numpy as np

from vlm.errors import DataError


def _encode_latin(text: str, encoding: str) -> bytes:
    """Give the bytes that pickles of old protocols write as text."""
    return text.encode("latin1" if encoding == "latin1" else "ascii")


_SCALAR: Final = np.int64(0).__reduce__()[0]
_PLAIN: Final[dict[tuple[str, str], Any]] = {
    ("_codecs", "encode"): _encode_latin,
    ("collections", "OrderedDict"): dict,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "scalar"): _SCALAR,
    ("numpy._core.multiarray", "scalar"): _SCALAR,
}
"""What a pickle may load: plain containers, and numbers of numpy under the names of its old and new modules."""


def load_plain_pickle(path: Path) -> Any:
    """Read a pickle of lists, dicts, texts and numbers; DataError where it holds anything else, or would run code."""
    with path.open("rb") as stream:
        try:
            return _PlainUnpickler(stream, encoding="latin1").load()
        except (pickle.UnpicklingError, EOFError, AttributeError, IndexError, UnicodeDecodeError, ValueError) as error:
            raise DataError(f"{path} is no readable pickle ({error}): download it again") from error


class _PlainUnpickler(pickle.Unpickler):
    """Read lists, dicts, texts and numbers, and refuse everything else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _PLAIN:
            raise pickle.UnpicklingError(f"it wants to load {module}.{name}, and only plain values are read")
        return _PLAIN[module, name]
