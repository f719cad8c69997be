"""Paint a layout under a look, bottom up: ground, areas, lines, flat things, shadows, then what casts them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import cv2
import numpy as np

from data_engine.synth import paint_structures as structures
from data_engine.synth import paint_vehicles as vehicles
from data_engine.synth.canvas import SHIFT, blend, bounds, draw_lines, fill_mask, to_fixed
from data_engine.synth.paint_buildings import paint_building
from data_engine.synth.records import Area, Crowd, Layout, Look, Thing
from data_engine.synth.shadows import DARKNESS, darken, shadow_layer
from data_engine.synth.sketch import Sketch
from data_engine.synth.surfaces import render_ground, render_surface
from data_engine.synth.trees import paint_trees

PAINTERS: dict[str, Callable[[Sketch, Thing, Look], None]] = {
    "baseball field": structures.paint_baseball_field,
    "basketball court": structures.paint_basketball_court,
    "bridge": structures.paint_bridge,
    "building": paint_building,
    "car": vehicles.paint_car,
    "container": structures.paint_container,
    "football field": structures.paint_football_field,
    "gate": structures.paint_slab,
    "pier": structures.paint_slab,
    "plane": vehicles.paint_plane,
    "platform": structures.paint_slab,
    "running track": structures.paint_running_track,
    "ship": vehicles.paint_ship,
    "storage tank": structures.paint_tank,
    "swimming pool": structures.paint_pool,
    "tennis court": structures.paint_tennis_court,
    "train": vehicles.paint_train,
    "truck": vehicles.paint_truck,
}
LOW = {"car", "gate", "pier", "platform", "ship", "train", "truck"}
"""Things that can stand in the shadow of others."""


def paint_surfaces(layout: Layout, look: Look) -> np.ndarray:
    """Paint what stands there with its shadows, uint8 (size_px, size_px, 3), as no camera has seen it yet."""
    shape = (layout.size_px, layout.size_px)
    rgb = render_ground(layout.ground, shape, gsd_m=layout.gsd_m, season=look.season, shadow_deg=look.shadow_deg,
                         seed=layout.seed)  # fmt: skip
    for area in _joined(layout.areas):
        _paint_area(rgb, area, layout.gsd_m, look)
    draw_lines(rgb, layout.lines)
    flat, bridges, low, tall, trees = split_things(layout.things)
    _paint_things(rgb, flat, look)
    if bridges:
        darken(rgb, shadow_layer(layout, bridges, look))
        _paint_things(rgb, bridges, look)
    shade = shadow_layer(layout, (*tall, *trees), look, crowds=True)
    darken(rgb, cv2.max(shade, shadow_layer(layout, low, look)) if low else shade)
    _paint_crowds(rgb, layout.crowds)
    _paint_things(rgb, (*low, *tall), look, shade)
    paint_trees(rgb, trees, look)
    return rgb


def _paint_crowds(rgb: np.ndarray, crowds: Iterable[Crowd]) -> None:
    sketch = Sketch()
    for crowd in crowds:
        sketch.boxes(crowd.poses, crowd.colours)
    sketch.draw(rgb)


def split_things(things: Iterable[Thing]) -> tuple[list[Thing], list[Thing], list[Thing], list[Thing], list[Thing]]:
    """Sort things into painting layers: flat, bridges, low, tall, trees."""
    flat, bridges, low, tall, trees = layers = ([], [], [], [], [])  # type: ignore[var-annotated]
    for thing in things:
        if thing.label == "tree":
            trees.append(thing)
        elif thing.height_m <= 0:
            flat.append(thing)
        else:
            (bridges if thing.label == "bridge" else low if thing.label in LOW else tall).append(thing)
    return layers


def roof_mask(layout: Layout) -> np.ndarray | None:
    """Mark roofs in uint8 (size_px, size_px), 255 inside; None where there are none."""
    rings = [to_fixed(thing.outline) for thing in layout.things if thing.label == "building"]
    if not rings:
        return None
    mask = np.zeros((layout.size_px, layout.size_px), np.uint8)
    cv2.fillPoly(mask, rings, 255, shift=SHIFT)
    return mask


def _joined(areas: Iterable[Area]) -> list[Area]:
    """Join areas that follow each other and look alike (streets, lots), so that each surface is made once."""
    joined: list[Area] = []
    for area in areas:
        last = joined[-1] if joined else None
        plain = last is not None and last.mask is None and area.mask is None and area.row_deg is None
        if last is not None and plain and (last.surface, last.soft_px) == (area.surface, area.soft_px):
            joined[-1] = Area(last.surface, (*last.rings, *area.rings), last.seed, last.soft_px)
        else:
            joined.append(area)
    return joined


def _paint_area(rgb: np.ndarray, area: Area, gsd_m: float, look: Look) -> None:
    box = (0, 0, rgb.shape[1], rgb.shape[0])
    if area.mask is None:
        found = bounds(np.concatenate(area.rings), 3 * area.soft_px + 2, rgb.shape)
        if found is None:
            return
        box = found
    x1, y1, x2, y2 = box
    mask = area.mask
    if mask is None:
        mask = fill_mask((y2 - y1, x2 - x1), area.rings, (x1, y1))
    if area.soft_px > 0.3:
        mask = soften(mask, area.soft_px)
    texture = render_surface(area.surface, mask.shape, gsd_m=gsd_m, season=look.season, shadow_deg=look.shadow_deg,
                             seed=area.seed, row_deg=area.row_deg)  # fmt: skip
    blend(rgb[y1:y2, x1:x2], texture, mask, soft=area.soft_px > 0.3)


def soften(mask: np.ndarray, sigma_px: float) -> np.ndarray:
    """Blur a uint8 mask by a Gaussian; wide ones at a quarter of the resolution."""
    if sigma_px < 4 or min(mask.shape) < 16:
        return cv2.GaussianBlur(mask, (0, 0), sigma_px)
    size = (max(1, mask.shape[1] // 4), max(1, mask.shape[0] // 4))
    small = cv2.GaussianBlur(cv2.resize(mask, size, interpolation=cv2.INTER_AREA), (0, 0), sigma_px / 4)
    return cv2.resize(small, mask.shape[::-1], interpolation=cv2.INTER_LINEAR)


def _paint_things(rgb: np.ndarray, things: Iterable[Thing], look: Look, shade: np.ndarray | None = None) -> None:
    sketch = Sketch()
    for thing in things:
        light = 1.0
        if shade is not None and thing.label in LOW:
            row, col = (min(max(0, int(at)), shade.shape[0] - 1) for at in (thing.cy, thing.cx))
            light = 1 - DARKNESS[0] * int(shade[row, col]) / 255
        sketch.hold(thing, light)
        PAINTERS[thing.label](sketch, thing, look)
    sketch.draw(rgb)
