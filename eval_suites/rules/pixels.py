"""Masks as files hold them, to arrays of classes, and the counts of pixels that all mask scores are made of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from eval_suites.readers.arrays import ALONE, load_arrays
from vlm.coco_runs import read_coco_runs
from vlm.errors import DataError

HALF = 127  # a picture's threshold: what is brighter is set
GREY_STEPS = (64, 192)  # what lies between is a road
GREY_CLASSES = np.digitize(np.arange(256), GREY_STEPS).astype(np.uint8)


def read_mask(value: Any, *, where: str = "a mask") -> np.ndarray | None:
    """Give a mask's values (height, width): of an array, a picture's path or COCO run lengths; None for no mask.

    Raises DataError for anything else, for a picture that is not there, and for run lengths that do not fill their
    grid; `where` names the mask in it.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, np.ndarray):
        return _flat(value)
    if isinstance(value, str | Path):
        return _read_picture(Path(value))
    if isinstance(value, Mapping) and {"size", "counts"} <= value.keys():
        return read_coco_runs(value, where=where)
    if isinstance(value, list) and value and isinstance(value[0], list):
        return _flat(np.asarray(value))
    raise DataError(f"{where} is {str(value)[:60]!r}: expected an array, a picture's path or COCO run lengths")


def to_binary(values: np.ndarray, *, probability: float = 0.5) -> np.ndarray:
    """Say which pixels are set: those brighter than HALF, or all above 0 in a mask that holds no brighter one.

    Floats are probabilities, and set where they are more than `probability`.
    """
    dim, bright = to_binary_both(values, probability=probability)
    return bright if is_bright(values) else dim


def to_binary_both(values: np.ndarray, *, probability: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Say which pixels are set if values are numbers of classes (above 0), and if they are grey (above HALF).

    The two are one array where they are equal at a glance: for probabilities, and for a mask without values between.
    """
    if np.issubdtype(values.dtype, np.floating) and not is_bright(values):
        likely: np.ndarray = values > probability
        return likely, likely
    above: np.ndarray = values > 0
    grey: np.ndarray = values > HALF
    return above, above if np.count_nonzero(above) == np.count_nonzero(grey) else grey


def is_bright(values: np.ndarray) -> bool:
    """Say whether a mask is a picture of greys: it holds a value that no number of a class and no probability has."""
    return bool(values.size and values.max() > HALF)


def to_classes(values: np.ndarray) -> np.ndarray:
    """Give LEVIR-MCI's classes: 0, 1 (road, written as 128) and 2 (building, 255), or values up to 2 as they are."""
    if values.size and values.max() <= 2:
        return values.astype(np.uint8)
    return GREY_CLASSES[values] if values.dtype == np.uint8 else np.digitize(values, GREY_STEPS).astype(np.uint8)


def lay_on(values: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    """Give a prediction on the target's pixels: zeros for none, the nearest pixel where the sizes differ."""
    if values is None:
        return np.zeros(shape, np.uint8)
    if values.shape == shape:
        return values
    rows, cols = ((np.arange(n) + 0.5) * have / n for n, have in zip(shape, values.shape, strict=True))
    return values[np.ix_(rows.astype(int), cols.astype(int))]


def resize_nearest(bits: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Resize a boolean mask to (rows, columns) with Pillow's nearest pixel, as torchvision does for a picture.

    Where a centre falls between two pixels, Pillow's rounding decides, which lay_on does not repeat.
    """
    from PIL import Image

    picture = Image.fromarray(bits.astype(np.uint8)).resize(shape[::-1], Image.Resampling.NEAREST)
    return np.asarray(picture).astype(bool)


def count_set(found: np.ndarray, target: np.ndarray) -> tuple[int, int, int]:
    """Count the pixels of two boolean masks: common ones, those found, those wanted."""
    return int(np.count_nonzero(found & target)), int(np.count_nonzero(found)), int(np.count_nonzero(target))


def count_classes(found: np.ndarray, target: np.ndarray, classes: int) -> np.ndarray:
    """Count the pixels of each target class (rows) by the class found (columns): (classes, classes) integers.

    Pixels whose target is no class are left out; found values beyond the last class count as the last.
    """
    index = target.astype(np.uint8) * np.uint8(classes) + np.minimum(found, classes - 1).astype(np.uint8)
    return np.bincount(index[target < classes].ravel(), minlength=classes**2).reshape(classes, classes)


def _read_picture(path: Path) -> np.ndarray:
    from PIL import Image

    if not path.exists():
        raise DataError(f"the mask {path} does not exist: give the folder in which the masks lie")
    if path.suffix == ".npy":
        return _flat(load_arrays(path)[ALONE])
    try:
        with Image.open(path) as picture:
            return _flat(np.asarray(picture))
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"the mask {path} cannot be read ({error}): write it again") from error


def _flat(values: np.ndarray) -> np.ndarray:
    """Take the brightest colour of a mask with colours; refuse what is no picture."""
    if values.ndim == 3:
        values = values[..., :3].max(axis=2) if values.shape[2] <= 4 else values.max(axis=0)
    if values.ndim != 2:
        raise DataError(f"a mask has the shape {values.shape}: expected (height, width)")
    return values.astype(np.uint8) if values.dtype == np.bool_ else values
