"""XML annotations of one image: the file, its objects and their numbers, with the file's name in every complaint.

The detection datasets that grew out of Pascal VOC share the idea (one XML file an image, one element an object) and
differ in everything else; what they share is here.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element

from data_engine.sources.source import require_path
from vlm.errors import DataError
from vlm.geometry.shapes import HBB, Polygon

BOX: tuple[str, ...] = ("bndbox/xmin", "bndbox/ymin", "bndbox/xmax", "bndbox/ymax")


def load_xml(path: Path, *, name: str, layout: str) -> Element:
    """Read an annotation file of a dataset; a missing or broken one raises DataError with its name."""
    require_path(path, name=name, layout=layout)
    try:
        return ElementTree.fromstring(path.read_bytes())
    except ElementTree.ParseError as error:
        raise DataError(f"{name}: {path} is not valid XML ({error}): download or unpack it again") from error


def read_numbers(element: Element, tags: Sequence[str], where: str) -> tuple[float, ...]:
    """Read one finite number from each tag below an element; DataError names the tag that has none."""
    values = []
    for tag in tags:
        text = (element.findtext(tag) or "").strip()
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise DataError(f"{where}: <{tag}> holds {text!r}: expected a number")
        values.append(value)
    return tuple(values)


def read_box(element: Element, where: str, tags: Sequence[str] = BOX) -> HBB:
    """Read a horizontal box in pixels; one without an area raises DataError."""
    x1, y1, x2, y2 = read_numbers(element, tags, where)
    if x2 <= x1 or y2 <= y1:
        raise DataError(
            f"{where}: the box ({x1:g}, {y1:g}, {x2:g}, {y2:g}) has no area: expected xmin < xmax, ymin < ymax"
        )
    return HBB(x1, y1, x2, y2)


def read_quad(element: Element, tags: Sequence[str], where: str) -> Polygon:
    """Read four corners (eight tags, x and y in turn) in pixels as they are written."""
    numbers = read_numbers(element, tags, where)
    return Polygon(tuple(zip(numbers[0::2], numbers[1::2], strict=True)))
