"""Label images -> masks: thresholded masks, their connected components, and instances by colour."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from vlm.errors import DataError
from vlm.geometry.shapes import HBB, Mask


def load_label(path: Path) -> np.ndarray:
    """Read a label image as stored: (rows, cols) or (rows, cols, bands); an unreadable one raises DataError."""
    from PIL import Image as Picture
    from PIL import UnidentifiedImageError

    try:
        with Picture.open(path) as picture:
            return np.asarray(picture)
    except (OSError, UnidentifiedImageError) as error:
        raise DataError(f"label {path} cannot be read as an image ({error}): copy it again from the dataset") from error


def load_mask(path: Path, *, threshold: int = 128) -> np.ndarray:
    """Read a label image as booleans (rows, cols): true where its first band is at least the threshold."""
    label = load_label(path)
    if label.dtype == np.bool_:
        return label
    return (label if label.ndim == 2 else label[..., 0]) >= threshold


def crop_mask(bits: np.ndarray) -> Mask | None:
    """Cut a full-image boolean array (rows, cols) to the box of its true pixels; None where none is true."""
    rows, cols = np.flatnonzero(bits.any(axis=1)), np.flatnonzero(bits.any(axis=0))
    if not rows.size:
        return None
    y1, y2, x1, x2 = int(rows[0]), int(rows[-1]) + 1, int(cols[0]), int(cols[-1]) + 1
    return Mask(np.ascontiguousarray(bits[y1:y2, x1:x2]), HBB(x1, y1, x2, y2))


def join_masks(masks: Sequence[Mask]) -> Mask | None:
    """Give the union of full-resolution masks (one cell a pixel) over their common box; None for no masks."""
    if not masks:
        return None
    x1, y1 = int(min(mask.box.x1 for mask in masks)), int(min(mask.box.y1 for mask in masks))
    x2, y2 = int(max(mask.box.x2 for mask in masks)), int(max(mask.box.y2 for mask in masks))
    bits = np.zeros((y2 - y1, x2 - x1), dtype=bool)
    for mask in masks:
        rows, cols = mask.bits.shape
        if (cols, rows) != (mask.box.w, mask.box.h):
            raise DataError(f"mask of {cols} x {rows} cells over {mask.box} px: joining needs one cell a pixel")
        y, x = int(mask.box.y1) - y1, int(mask.box.x1) - x1
        bits[y : y + rows, x : x + cols] |= mask.bits
    return Mask(bits, HBB(x1, y1, x2, y2))


def split_components(bits: np.ndarray, *, min_px: int = 1) -> tuple[Mask, ...]:
    """Give each 8-connected component of at least `min_px` true pixels as a mask over its own box."""
    import cv2

    _, labels, stats, _ = cv2.connectedComponentsWithStats(bits.astype(np.uint8), connectivity=8)
    masks = []
    for number, (x, y, w, h, area_px) in enumerate(stats.tolist()):
        if number and area_px >= min_px:
            masks.append(Mask(labels[y : y + h, x : x + w] == number, HBB(x, y, x + w, y + h)))
    return tuple(masks)


def encode_colours(label_rgb: np.ndarray) -> np.ndarray:
    """Turn an RGB(A) label (rows, cols, 3 or 4) into 24-bit ids: R + 256 G + 65536 B."""
    r, g, b = (label_rgb[..., band].astype(np.int64) for band in range(3))
    return r + 256 * g + 65536 * b


def split_instances(ids: np.ndarray) -> Iterator[tuple[int, Mask]]:
    """Give (id, mask over its own box) for each non-zero id of an integer label (rows, cols), in order of id."""
    rows, cols = np.nonzero(ids)
    values = ids[rows, cols]
    order = np.argsort(values, kind="stable")
    found, starts = np.unique(values[order], return_index=True)
    for value, members in zip(found.tolist(), np.split(order, starts[1:]), strict=bool(found.size)):
        y, x = rows[members], cols[members]
        y1, x1, y2, x2 = int(y.min()), int(x.min()), int(y.max()) + 1, int(x.max()) + 1
        bits = np.zeros((y2 - y1, x2 - x1), dtype=bool)
        bits[y - y1, x - x1] = True
        yield value, Mask(bits, HBB(x1, y1, x2, y2))
