"""Copy-paste: real instances, cut out by their masks, turned and scaled into real backgrounds, with exact labels.

After every paste the masks of what lies below are cut to what still shows, so the last masks are what can be seen. A
paste that would hide too much of something, or touch something of which only a box is known, is tried elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from data_engine.cover import to_pixels
from data_engine.labels import crop_mask
from vlm.geometry.convert import to_hbb
from vlm.geometry.shapes import HBB, Mask, Polygon
from vlm.records import Region

LEAST_PX, LEAST_SIDE_PX = 24, 4
"""The smallest instance that is worth pasting: pixels and shorter side."""
LEAST_SHOWN = 0.6
"""The share of an object that has to show for it to keep its label."""
OVERLAP_SHARE = 0.25
"""The share of instances that may lie over others; the rest look for free ground."""
TRIES = 12
MARGIN_PX = 6
"""Pixels around an instance that tell how bright its surroundings were."""


@dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """Hold one object cut from a real image: uint8 (H, W, 3) with MARGIN_PX of surroundings, its mask (H, W), label."""

    rgb: np.ndarray
    mask: np.ndarray
    label: str
    gsd_m: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """Hold one labelled object of an image in the making: the visible pixels, and how many there were at first."""

    label: str
    visible: np.ndarray
    box: tuple[int, int, int, int]
    whole_px: int

    @property
    def shown(self) -> float:
        return float(self.visible.sum()) / max(1, self.whole_px)


def cut_instances(rgb: np.ndarray, regions: Iterable[Region], *, gsd_m: float | None = None) -> Iterator[Instance]:
    """Cut the regions with an outline from uint8 (H, W, 3); those at its border or too small are left out."""
    rows, cols = rgb.shape[:2]
    for region in regions:
        if not isinstance(region.geometry, Mask | Polygon):
            continue
        mask = to_pixels(region.geometry)
        if mask is None or mask.bits.sum() < LEAST_PX or min(mask.bits.shape) < LEAST_SIDE_PX:
            continue
        x1, y1, x2, y2 = (int(v) for v in (mask.box.x1, mask.box.y1, mask.box.x2, mask.box.y2))
        if x1 < MARGIN_PX or y1 < MARGIN_PX or x2 > cols - MARGIN_PX or y2 > rows - MARGIN_PX:
            continue
        cut = rgb[y1 - MARGIN_PX : y2 + MARGIN_PX, x1 - MARGIN_PX : x2 + MARGIN_PX]
        yield Instance(cut.copy(), np.pad(mask.bits, MARGIN_PX), region.phrase, gsd_m)


def paste_instances(
    background: np.ndarray, known: Sequence[Region], instances: Sequence[Instance], rng: np.random.Generator, *,
    gsd_m: float | None = None,
) -> tuple[np.ndarray, tuple[Region, ...]]:  # fmt: skip
    """Paste instances, each once where it finds room, and give the image and all regions that show (H, W, 3 uint8).

    `known` are the background's own objects: those with an outline may be hidden in part and are cut to what shows,
    boxes are left alone. Sizes follow the pixel sizes where both are known.
    """
    rgb = background.copy()
    placed = [entry for entry in map(_from_region, known) if entry is not None]
    boxes = [region for region in known if not isinstance(region.geometry, Mask | Polygon)]
    taken = np.zeros(rgb.shape[:2], bool)
    for region in boxes:
        x1, y1, x2, y2 = _whole(to_hbb(region.geometry))
        taken[max(0, y1) : y2, max(0, x1) : x2] = True
    for instance in instances:
        ratio = instance.gsd_m / gsd_m if instance.gsd_m and gsd_m else 1.0
        turned = _turn(instance, float(rng.uniform(0, 360)), ratio * float(rng.uniform(0.9, 1.1)))
        done = _paste(rgb, turned, placed, taken, rng) if turned is not None else None
        if done is not None:
            placed = done
    return rgb, (*boxes, *(_to_region(entry) for entry in placed))


def _paste(
    rgb: np.ndarray, instance: Instance, placed: list[Placed], taken: np.ndarray, rng: np.random.Generator
) -> list[Placed] | None:
    """Find room for a turned instance and paste it; give all objects afterwards, None where there is no room."""
    rows, cols = instance.mask.shape
    if rows >= rgb.shape[0] or cols >= rgb.shape[1]:
        return None
    least = LEAST_SHOWN if rng.random() < OVERLAP_SHARE else 1.0
    for _ in range(TRIES):
        x, y = int(rng.integers(0, rgb.shape[1] - cols)), int(rng.integers(0, rgb.shape[0] - rows))
        if (taken[y : y + rows, x : x + cols] & instance.mask).any():
            continue
        cut = [_hide(entry, instance.mask, x, y) for entry in placed]
        if all(new is old or new.shown >= least for new, old in zip(cut, placed, strict=True)):
            _blend(rgb[y : y + rows, x : x + cols], instance)
            whole = int(instance.mask.sum())
            return [*cut, Placed(instance.label, instance.mask, (x, y, x + cols, y + rows), whole)]
    return None


def _turn(instance: Instance, angle_deg: float, scale: float) -> Instance | None:
    """Turn and scale an instance about its middle; None where little is left of it."""
    rows, cols = instance.mask.shape
    cos, sin = abs(math.cos(math.radians(angle_deg))) * scale, abs(math.sin(math.radians(angle_deg))) * scale
    size = (math.ceil(cols * cos + rows * sin), math.ceil(cols * sin + rows * cos))
    matrix = cv2.getRotationMatrix2D(((cols - 1) / 2, (rows - 1) / 2), angle_deg, scale)
    matrix[:, 2] += ((size[0] - cols) / 2, (size[1] - rows) / 2)
    rgb = cv2.warpAffine(instance.rgb, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    soft = cv2.warpAffine(instance.mask.astype(np.uint8) * 255, matrix, size, flags=cv2.INTER_LINEAR)
    mask = soft >= 128
    sides = np.ptp(np.argwhere(mask), axis=0) + 1 if mask.any() else (0, 0)
    return Instance(rgb, mask, instance.label) if mask.sum() >= LEAST_PX and min(sides) >= LEAST_SIDE_PX else None


def _blend(block: np.ndarray, instance: Instance) -> None:
    """Paste into a block in place: as bright as the surroundings ask for, with an edge of half a pixel."""
    around = ~instance.mask
    if around.any():
        gain = float(np.clip((block[around].mean() + 8) / (instance.rgb[around].mean() + 8), 0.8, 1.25))
    else:
        gain = 1.0
    alpha = cv2.GaussianBlur(instance.mask.astype(np.float32), (0, 0), 0.5)
    mixed = cv2.convertScaleAbs(instance.rgb, alpha=gain)
    block[...] = cv2.blendLinear(mixed, np.ascontiguousarray(block), alpha, 1 - alpha)


def _hide(entry: Placed, mask: np.ndarray, x: int, y: int) -> Placed:
    """Take the pixels away from an object that a mask at (x, y) covers."""
    x1, y1, x2, y2 = entry.box
    left, top, right, bottom = max(x, x1), max(y, y1), min(x + mask.shape[1], x2), min(y + mask.shape[0], y2)
    if left >= right or top >= bottom:
        return entry
    visible = entry.visible.copy()
    visible[top - y1 : bottom - y1, left - x1 : right - x1] &= ~mask[top - y : bottom - y, left - x : right - x]
    return Placed(entry.label, visible, entry.box, entry.whole_px)


def _from_region(region: Region) -> Placed | None:
    mask = to_pixels(region.geometry) if isinstance(region.geometry, Mask | Polygon) else None
    return None if mask is None else Placed(region.phrase, mask.bits, _whole(mask.box), int(mask.bits.sum()))


def _to_region(entry: Placed) -> Region:
    """Give what shows of an object as a mask over the box of its visible pixels."""
    mask = crop_mask(entry.visible)
    assert mask is not None
    x, y, box = entry.box[0], entry.box[1], mask.box
    return Region(Mask(mask.bits, HBB(box.x1 + x, box.y1 + y, box.x2 + x, box.y2 + y)), entry.label)


def _whole(box: HBB) -> tuple[int, int, int, int]:
    return math.floor(box.x1), math.floor(box.y1), math.ceil(box.x2), math.ceil(box.y2)
