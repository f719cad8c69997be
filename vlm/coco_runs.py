"""COCO's run lengths: `{"size": [height, width], "counts": list or string}`, lengths down the columns, zeros first.

Lengths are unpacked and added up here before anything is drawn: pycocotools itself does not notice lengths that end
early, and gives pixels that nobody has set (https://github.com/cocodataset/cocoapi, maskApi.c, says how they are
packed).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from vlm.errors import DataError


def read_coco_runs(value: Mapping[str, Any], *, where: str) -> np.ndarray:
    """Draw run lengths as a boolean array (height, width); DataError where they are none, or do not fill the grid.

    `where` names what holds them, in the error.
    """
    height, width = _read_size(value.get("size"), where)
    stated = value.get("counts")
    lengths = unpack_coco_runs(stated, where=where) if isinstance(stated, str | bytes) else stated
    if not isinstance(lengths, list | tuple) or not all(_is_length(length) for length in lengths):
        raise DataError(f"{where} has run lengths {stated!r:.40}: expected a list of whole numbers or a string")
    if sum(lengths) != height * width:
        raise DataError(
            f"{where} has run lengths that add up to {sum(lengths):.0f}: expected {height} x {width} = "
            f"{height * width} pixels"
        )
    filled = np.repeat(np.arange(len(lengths)) % 2 == 1, np.array(lengths, np.int64))
    return filled.reshape((height, width), order="F")


def unpack_coco_runs(text: str | bytes, *, where: str) -> list[int]:
    """Read the run lengths that pycocotools packs into characters, five bits each; their sum is not looked at.

    From the fourth on, a length is written as its difference from the last but one. DataError for text that packs
    nothing or breaks off.
    """
    lengths: list[int] = []
    value = shift = 0
    for code in text.encode() if isinstance(text, str) else text:
        if not 48 <= code < 112:
            raise DataError(f"{where} has run lengths {text!r:.40}, which hold a character that packs nothing")
        bits = code - 48
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            value -= (1 << shift) if bits & 16 else 0
            lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
            value = shift = 0
    if shift:
        raise DataError(f"{where} has run lengths {text!r:.40}, which break off in the middle of a number")
    return lengths


def _read_size(size: Any, where: str) -> tuple[int, int]:
    whole = isinstance(size, list | tuple) and len(size) == 2 and all(_is_length(side) for side in size)
    if not whole or not min(size):
        raise DataError(f"{where} has run lengths of size {size!r:.40}: expected [height, width] in pixels")
    return int(size[0]), int(size[1])


def _is_length(value: Any) -> bool:
    number = isinstance(value, int | float | np.integer) and not isinstance(value, bool)
    return number and value >= 0 and float(value).is_integer()
