"""Masks of cases: the target as a file or run lengths, and what a model's text says, in pixels of the image.

Run lengths (COCO's) hold a mask in a few hundred bytes, so that a whole test set of masks fits into memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from eval_suites.cases import Case
from eval_suites.images import frames
from eval_suites.rules.pixels import read_mask, to_binary
from vlm.codecs import parse_text
from vlm.geometry import HBB, Mask, to_mask
from vlm.records import Region

FILES: Final = "files"
"""The dialect of a model whose answers are paths of mask pictures."""
EMPTY: Final = "none"


def translate_mask(case: Case, output: str | None, dialect: str, protocol: str) -> tuple[Any, Any]:
    """Give prediction and target as a mask rule takes them: run lengths or a picture's path.

    Text that says "none" is an empty mask; text without a region is no answer.
    """
    del protocol
    if output is None or dialect == FILES:
        return output or None, case.truth
    regions = parse_text(output, sizes=frames(case), dialect=dialect).regions
    answered = regions or output.strip().lower().rstrip(".").endswith(EMPTY)
    return encode_mask(draw(regions, frames(case)[0])) if answered else None, case.truth


def target_regions(case: Case) -> tuple[Region, ...]:
    """Give the target's regions: those of the case, or its mask as one region; none for an empty mask."""
    if case.regions or case.form != "mask" or case.truth is None:
        return case.regions
    values = read_mask(case.truth, where=f"the target of {case.id}")
    bits = np.zeros((1, 1), bool) if values is None else to_binary(values)
    rows, cols = np.flatnonzero(bits.any(axis=1)), np.flatnonzero(bits.any(axis=0))
    if not len(rows):
        return ()
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(cols[0]), int(cols[-1]) + 1
    return (Region(Mask(bits[top:bottom, left:right], HBB(left, top, right, bottom)), case.phrase),)


def draw(regions: Sequence[Region], size: tuple[int, int]) -> np.ndarray:
    """Draw regions as a boolean array (height, width) over an image of (width, height) pixels."""
    width, height = size
    drawn = np.zeros((height, width), bool)
    for region in regions:
        drawn |= to_mask(region.geometry, box=HBB(0, 0, width, height), rows=height, cols=width).bits
    return drawn


def encode_mask(bits: np.ndarray) -> dict[str, Any]:
    """Encode a boolean mask (height, width) as COCO run lengths."""
    from pycocotools import mask

    encoded = mask.encode(np.asfortranarray(bits.astype(np.uint8)))
    return {"size": [int(side) for side in encoded["size"]], "counts": encoded["counts"].decode()}
