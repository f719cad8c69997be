"""Boxes as prediction files hold them: numbers in lists, numbers in text, or text in a dialect.

Numbers stay in the unit of the file (pixels, a 0-100 grid, 0..1), because a rule compares prediction and target in
one unit and most rules do not depend on it. Text in a dialect becomes pixels of the original image, which is why its
size must be known.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from eval_suites.readers.loaded import Entry, Field, Options, text_of
from eval_suites.rules.judged import payload as answering_part
from eval_suites.rules.overlap import box_quads, turned_quads
from vlm.codecs import parse_text
from vlm.errors import DataError
from vlm.geometry import to_hbb, to_quad

Numbers = tuple[float, ...]
Size = tuple[int, int]

SIZE_FIELDS = (
    Field("size", ("image_size", "img_size", "size", "original_size")),
    Field("width", ("image_width", "width", "original_width", "img_width", "w")),
    Field("height", ("image_height", "height", "original_height", "img_height", "h")),
)
NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
LIST = re.compile(rf"[\[(]\s*({NUMBER}(?:\s*[,;\s]\s*{NUMBER})+)\s*[\])]")
BRACES = re.compile(rf"\{{\s*(?:<\s*{NUMBER}\s*>\s*\|?\s*)+\}}")
LOOSE = re.compile(rf"(?<![\w.]){NUMBER}(?![\w.]*\w)")
NAMED = ("bbox_2d", "bbox", "box", "hbb", "obb", "poly", "polygon", "points", "quadrant bbox", "oriented bbox")


def read_shapes(value: Any) -> list[Numbers]:
    """Give the numbers of every shape in a value: each list of 4, 5 or 8 numbers (more for polygons), in order.

    A value is text, JSON, an array, a list of numbers or points, or a record with a box in it. Text without any list
    gives its first run of numbers; what is no shape gives nothing.
    """
    if value is None:
        return []
    if isinstance(value, np.ndarray):
        return read_shapes(value.tolist())
    if isinstance(value, Mapping):
        return _read_record(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return _read_list(value)
    return _read_text(str(value))


def read_box(value: Any) -> Numbers | None:
    """Give the first box (x1, y1, x2, y2) of a value; around a polygon or a turned box, its horizontal box."""
    for shape in read_shapes(value):
        if len(shape) == 4:
            return shape
        if len(shape) == 5:
            return tuple(_around(turned_quads(np.array([shape]))[0]))
        if len(shape) >= 6:
            return tuple(_around(np.array(shape).reshape(-1, 2)))
    return None


def quads_of(shapes: Sequence[Numbers]) -> np.ndarray:
    """Give the corners (n, 4, 2) of shapes of 4 numbers, GeoChat's 5, or the 8 of four corners; others are zeros."""
    made = {4: box_quads, 5: turned_quads, 8: lambda rows: rows.reshape(-1, 4, 2)}
    quads = np.zeros((len(shapes), 4, 2))
    for length, make in made.items():
        chosen = [place for place, shape in enumerate(shapes) if len(shape) == length]
        if chosen:
            quads[chosen] = make(np.array([shapes[place] for place in chosen], float))
    return quads


def read_dialect_boxes(value: Any, size: Size, dialect: str) -> list[Numbers]:
    """Give the horizontal boxes of text in a dialect, in pixels of an image of (width, height)."""
    regions = parse_text(text_of(value), sizes=[size], dialect=dialect).regions
    boxes = [to_hbb(region.geometry) for region in regions]
    return [(box.x1, box.y1, box.x2, box.y2) for box in boxes]


def read_dialect_quads(value: Any, size: Size, dialect: str) -> list[Numbers]:
    """Give the corners, 8 numbers each, of the regions of text in a dialect, in pixels of an image of that size."""
    regions = parse_text(text_of(value), sizes=[size], dialect=dialect).regions
    return [tuple(number for corner in to_quad(region.geometry) for number in corner) for region in regions]


def size_of(entry: Entry, usual: Size | None = None) -> Size | None:
    """Give (width, height) of an entry's image, or the usual size of its dataset."""
    values = entry.values
    if "width" in values and "height" in values:
        return int(values["width"]), int(values["height"])
    size = values.get("size")
    written = re.findall(r"\d+", size) if isinstance(size, str) else size
    if isinstance(written, list | tuple) and len(written) >= 2:
        return int(written[0]), int(written[1])
    return usual


def require_size(entry: Entry, options: Options, usual: Size | None = None) -> Size:
    """Give the size of an entry's image; raises DataError when the dialect needs it and nothing says it."""
    size = size_of(entry, usual)
    if size is None:
        raise DataError(
            f"row {entry.id} does not say how large its image is: text in the dialect {options.dialect} needs "
            "image_size or width and height"
        )
    return size


def payload(value: Any, options: Options) -> Any:
    """Give the part of a text that answers, unless the raw text is asked for; other values as they are."""
    return answering_part(value) if isinstance(value, str) and not options.raw else value


def _read_record(value: Mapping[str, Any]) -> list[Numbers]:
    if {"x1", "y1", "x2", "y2"} <= value.keys():
        return _read_list([value[name] for name in ("x1", "y1", "x2", "y2")])
    found = [value[name] for name in NAMED if value.get(name) is not None]
    return read_shapes(found[0]) if found else []


def _read_list(values: Sequence[Any]) -> list[Numbers]:
    """Read a flat list of numbers as one shape, a list of points as one, and a list of shapes as many."""
    if not values:
        return []
    if all(_is_number(value) for value in values):
        numbers = tuple(float(value) for value in values)
        return [numbers] if len(numbers) >= 4 and all(map(math.isfinite, numbers)) else []
    if len(values) >= 3 and all(_is_point(value) for value in values):
        return [tuple(float(number) for point in values for number in point)]
    return [shape for value in values for shape in read_shapes(value)]


def _read_text(text: str) -> list[Numbers]:
    """Read the lists in a text: JSON as what it is, else every bracket of numbers, else the first run of numbers."""
    if text.lstrip()[:1] in ("[", "{"):
        try:
            return read_shapes(json.loads(text))
        except json.JSONDecodeError:
            pass
    found = [_floats(match[0]) for match in BRACES.finditer(text)] or [_floats(m[1]) for m in LIST.finditer(text)]
    shapes = [shape for shape in found if len(shape) >= 4]
    if shapes:
        return shapes
    loose = tuple(float(match[0]) for match in LOOSE.finditer(text))
    return [loose if len(loose) in (4, 5, 8) else loose[:4]] if len(loose) >= 4 else []


def _floats(text: str) -> Numbers:
    return tuple(float(match[0]) for match in re.finditer(NUMBER, text))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_point(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_number, value))


def _around(points: np.ndarray) -> list[float]:
    return [*points.min(axis=0).tolist(), *points.max(axis=0).tolist()]
