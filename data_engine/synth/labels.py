"""From layout to labels: the visible objects with their exact outlines and boxes, and the land cover raster."""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np

from data_engine.synth.canvas import bounds, cover, exact_mask, to_fixed
from data_engine.synth.outlines import boxes_of
from data_engine.synth.records import LAND, Layout, SceneObject, Thing, Unsure
from data_engine.synth.surfaces import SURFACES
from vlm.geometry.shapes import OBB, Polygon

OBJECT_LABELS = (
    "building", "car", "truck", "train", "ship", "plane", "storage tank", "swimming pool", "tennis court",
    "basketball court", "football field", "running track", "baseball field", "bridge",
)  # fmt: skip
LARGE_M = {
    "building": 28, "car": 99, "truck": 12, "train": 100, "ship": 40, "plane": 36, "storage tank": 25,
    "swimming pool": 11,
    "tennis court": 99, "basketball court": 99, "football field": 80, "running track": 120, "baseball field": 80,
    "bridge": 80,
}  # fmt: skip
WIDTH_M = {
    "building": 10.0, "car": 1.9, "truck": 2.7, "train": 3.0, "ship": 4.0, "plane": 10.0, "storage tank": 9.0,
    "swimming pool": 4.0, "tennis court": 18.0, "basketball court": 17.0, "football field": 40.0,
    "running track": 50.0, "baseball field": 50.0, "bridge": 10.0,
}  # fmt: skip
"""How wide small members of a class are in metres."""
SMALLEST_PX, LEAST_WIDTH_PX = 4.0, 2.0
HEADED = ("car", "truck", "ship", "plane")
FORMS = {
    ("building", "hip"): "hip roof", ("building", "hip_ell"): "hip roof", ("building", "gable"): "gable roof",
    ("building", "flat"): "flat roof", ("building", "ell"): "flat roof", ("building", "shed"): "hall",
    ("car", "pickup"): "pickup", ("plane", "jet"): "jet", ("plane", "light"): "light plane", ("ship", "boat"): "boat",
    ("ship", "container"): "container ship", ("ship", "bulk"): "bulk carrier",
    ("storage tank", "floating"): "floating roof", ("storage tank", "dome"): "dome",
}  # fmt: skip


def canonical_box(cx: float, cy: float, w: float, h: float, angle_deg: float) -> OBB:
    """Give an oriented box in the le90 convention: w >= h, angle in [-90, 90)."""
    if h > w:
        w, h, angle_deg = h, w, angle_deg + 90
    return OBB(cx, cy, w, h, (angle_deg + 90) % 180 - 90)


def box_along(ring: np.ndarray, angle_deg: float) -> OBB:
    """Box a ring (N, 2) px along its thing's own axis, so that a cut thing keeps its direction."""
    cos, sin = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    local = np.dot(ring, ((cos, -sin), (sin, cos)))
    (x1, y1), (x2, y2) = local.min(axis=0).tolist(), local.max(axis=0).tolist()
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    return canonical_box(x * cos - y * sin, x * sin + y * cos, x2 - x1, y2 - y1, angle_deg)


def clip_ring(ring: np.ndarray, size_px: int) -> np.ndarray:
    """Clip a ring (N, 2) px to the image by Sutherland and Hodgman's method; (0, 2) when nothing is left."""
    for axis, limit, sign in ((0, 0.0, 1), (1, 0.0, 1), (0, float(size_px), -1), (1, float(size_px), -1)):
        if not len(ring):
            break
        inside = sign * (ring[:, axis] - limit) >= 0
        kept: list[np.ndarray] = []
        for a, b, a_in, b_in in zip(ring, np.roll(ring, -1, axis=0), inside, np.roll(inside, -1), strict=True):
            if a_in:
                kept.append(a)
            if a_in != b_in:
                kept.append(a + (b - a) * ((limit - a[axis]) / (b[axis] - a[axis])))
        ring = np.array(kept).reshape(-1, 2)
    return ring


def ring_area(ring: np.ndarray) -> float:
    """Measure a ring's area in square pixels (shoelace)."""
    x, y = ring[:, 0], ring[:, 1]
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def _cover_mask(layout: Layout) -> np.ndarray:
    """Mark the pixels under tree crowns, which hide what stands below."""
    mask = np.zeros((layout.size_px, layout.size_px), np.uint8)
    for thing in layout.things:
        if thing.label == "tree":
            cv2.circle(mask, (round(thing.cx), round(thing.cy)), round(thing.length_px / 2), 1, -1)
    return mask


def label_thing(thing: Thing, layout: Layout, shift: np.ndarray, hidden: np.ndarray) -> SceneObject | None:
    """Label one thing as seen on a day; None when it is decor, too small, cut by more than a half, or hidden."""
    if thing.label not in LARGE_M or _is_small(thing):
        return None
    size_px, angle = layout.size_px, math.radians(thing.angle_deg)
    cx, cy, cos, sin = (
        thing.cx + float(shift[0]),
        thing.cy + float(shift[1]),
        abs(math.cos(angle)),
        abs(math.sin(angle)),
    )
    reach_x = (thing.length_px * cos + thing.width_px * sin) / 2
    reach_y = (thing.length_px * sin + thing.width_px * cos) / 2
    if cx + reach_x <= 0 or cy + reach_y <= 0 or cx - reach_x >= size_px or cy - reach_y >= size_px:
        return None
    rows = slice(max(0, int(thing.cy - reach_y)), int(thing.cy + reach_y) + 1)
    cols = slice(max(0, int(thing.cx - reach_x)), int(thing.cx + reach_x) + 1)
    if _any(hidden[rows, cols]) and _is_hidden(thing.outline, hidden):
        return None
    angle_deg = 0.0 if thing.label == "storage tank" else thing.angle_deg
    ring = thing.outline + shift
    if cx >= reach_x and cy >= reach_y and cx + reach_x <= size_px and cy + reach_y <= size_px:
        box = canonical_box(cx, cy, thing.length_px, thing.width_px, angle_deg)
    else:
        whole, ring = ring, clip_ring(ring, size_px)
        if len(ring) < 3 or ring_area(ring) < max(4.0, 0.5 * ring_area(whole)):
            return None
        box = box_along(ring, angle_deg)
    length_m = max(thing.length_px, thing.width_px) * layout.gsd_m
    size = "large" if length_m >= LARGE_M[thing.label] else "small"
    heading_deg = thing.angle_deg % 360 if thing.label in HEADED else None
    return SceneObject(thing.label, Polygon(tuple(map(tuple, ring.tolist()))), box, thing.colour_name, size, length_m,
                       thing.height_m, heading_deg, FORMS.get((thing.label, thing.variant), ""))  # fmt: skip


def _is_small(thing: Thing) -> bool:
    return min(thing.length_px, thing.width_px) < LEAST_WIDTH_PX or thing.length_px < SMALLEST_PX


def _any(block: np.ndarray) -> bool:
    return bool(block.size) and cv2.countNonZero(block) > 0


def _is_hidden(outline: np.ndarray, hidden: np.ndarray) -> bool:
    found = exact_mask(hidden.shape, outline)
    if found is None or not found[0].any():
        return False
    (x1, y1, x2, y2), inside = found[1], found[0]
    return bool(hidden[y1:y2, x1:x2][inside].mean() > 0.4)


def label_things(
    layout: Layout, things: tuple[Thing, ...], shift_px: tuple[float, float] = (0.0, 0.0)
) -> tuple[SceneObject, ...]:
    """Label the visible ones of these things, moved by the day's registration shift."""
    return tuple(entry for _, entry in _label_each(layout, things, shift_px) if entry is not None)


def label_scene(layout: Layout, shift_px: tuple[float, float]) -> tuple[tuple[SceneObject, ...], Unsure]:
    """Label everything visible, and name the classes that also show what has no label."""
    small = {"building"} if any(crowd.style for crowd in layout.crowds) else set()
    objects: list[SceneObject] = []
    partial: set[str] = set()
    for thing, entry in _label_each(layout, layout.things, shift_px):
        if entry is not None:
            objects.append(entry)
        elif thing.label in LARGE_M and bounds(thing.outline + np.array(shift_px), 0, (layout.size_px,) * 2):
            (small if _is_small(thing) else partial).add(thing.label)
    return tuple(objects), Unsure(tuple(sorted(small)), tuple(sorted(partial)))


def _label_each(
    layout: Layout, things: tuple[Thing, ...], shift_px: tuple[float, float]
) -> Iterator[tuple[Thing, SceneObject | None]]:
    hidden, shift = _cover_mask(layout), np.array(shift_px)
    return ((thing, label_thing(thing, layout, shift, hidden)) for thing in things)


def too_small(gsd_m: float) -> set[str]:
    """Name the classes whose members are too small for labels at this pixel size, seen or not."""
    return {label for label, width_m in WIDTH_M.items() if width_m < LEAST_WIDTH_PX * gsd_m}


def land_cover(layout: Layout, shift_px: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    """Rasterise the land cover, uint8 (size_px, size_px) of LAND indices; ships and piers count as other."""
    land = np.full((layout.size_px, layout.size_px), LAND.index(SURFACES[layout.ground].land), np.uint8)
    shift = np.array(shift_px)
    for area in layout.areas:
        cover(land, area, LAND.index(SURFACES[area.surface].land), shift)
    for crowd in layout.crowds:
        if crowd.label == "building":
            rings = to_fixed(boxes_of(crowd.poses) + shift)
            cv2.fillPoly(land, list(rings), LAND.index("building"), shift=4)
    classes = {"building": "building", "bridge": "road", "ship": "other", "pier": "other", "swimming pool": "water"}
    for thing in layout.things:
        if thing.label not in classes:
            continue
        found = exact_mask(land.shape, thing.outline + shift)
        if found is not None:
            x1, y1, x2, y2 = found[1]
            land[y1:y2, x1:x2][found[0]] = LAND.index(classes[thing.label])
    return land


def land_shares(land: np.ndarray) -> dict[str, float]:
    """Give the share of the image that each land cover class takes, from a raster of LAND indices."""
    counts = cv2.calcHist([land], [0], None, [len(LAND)], [0, len(LAND)]).ravel()
    return {name: float(count) / land.size for name, count in zip(LAND, counts, strict=True)}
