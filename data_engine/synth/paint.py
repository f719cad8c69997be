"""Paint a layout under a look, bottom up: ground, areas, lines, flat things, then shadows and what casts them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import cv2
import numpy as np

from data_engine.synth import paint_structures as structures
from data_engine.synth import paint_vehicles as vehicles
from data_engine.synth.canvas import (
    Patch,
    apply_shadow,
    blend,
    bounds,
    cast_lifted_shadow,
    cast_shadow,
    draw_lines,
    fill_mask,
    to_fixed,
)
from data_engine.synth.looks import expose, roughen
from data_engine.synth.records import Area, Layout, Look, Thing
from data_engine.synth.surfaces import render_ground, render_surface
from data_engine.synth.trees import paint_trees

PAINTERS: dict[str, Callable[[Patch, Thing, Look], None]] = {
    "baseball field": structures.paint_baseball_field,
    "basketball court": structures.paint_basketball_court,
    "bridge": structures.paint_bridge,
    "building": structures.paint_building,
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
LOW = {"bridge", "car", "gate", "pier", "platform", "ship", "train", "truck"}


def paint_layout(layout: Layout, look: Look) -> np.ndarray:
    """Render a layout as uint8 (size_px, size_px, 3) RGB on this day."""
    shape = (layout.size_px, layout.size_px)
    rgb = render_ground(layout.ground, shape, gsd_m=layout.gsd_m, season=look.season, shadow_deg=look.shadow_deg,
                         seed=layout.seed)  # fmt: skip
    for area in layout.areas:
        _paint_area(rgb, area, layout.gsd_m, look)
    draw_lines(rgb, layout.lines)
    trees = [thing for thing in layout.things if thing.label == "tree"]
    flat = [thing for thing in layout.things if thing.height_m <= 0]
    bridges = [thing for thing in layout.things if thing.label == "bridge"]
    low = [thing for thing in layout.things if thing.label in LOW and thing.label != "bridge"]
    tall = [thing for thing in layout.things if thing.height_m > 0 and thing.label not in LOW and thing.label != "tree"]
    _paint_things(rgb, flat, look)
    for layer in (bridges, low):
        _shade(rgb, layer, layout.gsd_m, look)
        _paint_things(rgb, layer, look)
    _shade(rgb, [*tall, *trees], layout.gsd_m, look)
    _paint_things(rgb, tall, look)
    paint_trees(rgb, trees, look)
    return expose(roughen(rgb, layout.seed), look)


def _paint_area(rgb: np.ndarray, area: Area, gsd_m: float, look: Look) -> None:
    everything = np.concatenate(area.rings)
    box = bounds(everything, 3 * area.soft_px + 2, rgb.shape)
    if box is None:
        return
    x1, y1, x2, y2 = box
    mask = fill_mask((y2 - y1, x2 - x1), (ring - (x1, y1) for ring in area.rings))
    if area.soft_px > 0.3:
        mask = cv2.GaussianBlur(mask, (0, 0), area.soft_px)
    texture = render_surface(area.surface, mask.shape, gsd_m=gsd_m, season=look.season, shadow_deg=look.shadow_deg,
                             seed=area.seed, row_deg=area.row_deg)  # fmt: skip
    blend(rgb[y1:y2, x1:x2], texture, mask)


def _shade(rgb: np.ndarray, things: Iterable[Thing], gsd_m: float, look: Look) -> None:
    layer = np.zeros(rgb.shape[:2], np.uint8)
    angle = np.radians(look.shadow_deg)
    direction = np.array([np.cos(angle), np.sin(angle)]) * look.shadow_ratio / gsd_m
    for thing in things:
        if thing.label == "tree":
            x, y = to_fixed(np.array((thing.cx, thing.cy)) + direction * (0.6 * thing.height_m)).tolist()
            cv2.circle(layer, (x, y), int(thing.length_px * 7), 255, -1, cv2.LINE_AA, 4)
        elif thing.label == "plane":
            cast_lifted_shadow(layer, thing.outline, direction * thing.height_m)
        else:
            cast_shadow(layer, thing.outline, direction * thing.height_m, convex="ell" not in thing.variant)
    apply_shadow(rgb, layer, soft_px=0.5 + 0.3 / gsd_m * 0.5)


def _paint_things(rgb: np.ndarray, things: Iterable[Thing], look: Look) -> None:
    for thing in things:
        patch = Patch(rgb, thing.outline, pad=2)
        if patch.box is not None:
            PAINTERS[thing.label](patch, thing, look)
            patch.close()
