"""Rules for the regions of a sample: outside their image, without area, or as large as the whole image.

Only what an instruction or an answer writes is looked at. Images of unknown size cannot be judged and pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from vlm.codecs import Slot, split_template
from vlm.errors import DataError
from vlm.geometry.convert import polygon_area, to_hbb
from vlm.geometry.shapes import HBB, OBB, Geometry, Polygon
from vlm.records import Region, Sample, Turn

_BOXES: Final = ("box", "obb", "quad")


@dataclass(frozen=True, slots=True)
class GeometryRules:
    """Hold the bounds that a region has to keep.

    `most_outside` is the share of the area of its horizontal box that may lie outside the image (annotators let boxes
    run out a little); `least_px` the least area in square pixels; `most_share` the share of the image above which a box
    says nothing (masks may cover it all: a lake does).
    """

    most_outside: float = 0.5
    least_px: float = 1.0
    most_share: float = 0.98


def find_geometry_fault(sample: Sample, rules: GeometryRules) -> tuple[str, str] | None:
    """Give the reason and a sentence for the first region of a sample that breaks a rule; None for a good sample."""
    try:
        return next((fault for turn in sample.turns for fault in _judge_turn(sample, turn, rules)), None)
    except DataError as error:
        return "broken template", str(error)


def _judge_turn(sample: Sample, turn: Turn, rules: GeometryRules) -> Iterator[tuple[str, str]]:
    for template, regions in ((turn.instruction, turn.regions), (turn.answer.template, turn.answer.regions)):
        for slot in split_template(template):
            if isinstance(slot, Slot):
                yield from _judge_slot(sample, slot, regions, rules)


def _judge_slot(
    sample: Sample, slot: Slot, regions: tuple[Region, ...], rules: GeometryRules
) -> Iterator[tuple[str, str]]:
    for index in slot.indices:
        if index >= len(regions):
            yield "broken template", f"the slot {slot} asks for region {index}, but there are {len(regions)}"
            return
        region = regions[index]
        if not 0 <= region.image < len(sample.images):
            yield "broken template", f"a region lies in image {region.image + 1} of {len(sample.images)}"
            return
        image = sample.images[region.image]
        if image.width and image.height:
            size = (image.width, image.height)
            yield from judge_region(region.geometry, size, rules, as_box=slot.kind in _BOXES)


def judge_region(
    geometry: Geometry, size: tuple[int, int], rules: GeometryRules, *, as_box: bool
) -> Iterator[tuple[str, str]]:
    """Yield the reasons and sentences for which a region of an image of `size` (width, height) px is no use."""
    width, height = size
    box = to_hbb(geometry)
    where = f"({box.x1:.0f}, {box.y1:.0f}, {box.x2:.0f}, {box.y2:.0f}) in an image of {width} x {height} px"
    if _area(geometry) < rules.least_px:
        yield "empty region", f"the region {where} covers {_area(geometry):.2f} square pixels"
        return
    inside_x = max(0.0, min(box.x2, width) - max(box.x1, 0.0))
    inside_y = max(0.0, min(box.y2, height) - max(box.y1, 0.0))
    outside = 1 - inside_x * inside_y / max(box.area, 1e-9)
    if outside > rules.most_outside:
        yield "region outside", f"{outside:.0%} of the region {where} lie outside"
    elif as_box and inside_x * inside_y >= rules.most_share * width * height:
        yield "whole-image box", f"the box {where} is the whole image"


def _area(geometry: Geometry) -> float:
    if isinstance(geometry, HBB | OBB):
        return geometry.area
    return polygon_area(geometry) if isinstance(geometry, Polygon) else geometry.area
