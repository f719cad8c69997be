"""Paint roofs under one sun: pitched planes lit by their slope, flat roofs with parapets and plant, ribbed sheds."""

from __future__ import annotations

import math
import random

import numpy as np

from data_engine.synth.outlines import rectangle
from data_engine.synth.paint_vehicles import shade
from data_engine.synth.records import Colour, Look, Thing
from data_engine.synth.sketch import Sketch

Box = tuple[float, float, float, float]
WHOLE: Box = (-0.5, -0.5, 0.5, 0.5)
PANEL: Colour = (34, 42, 66)
CHIMNEY: Colour = (112, 92, 84)
SKYLIGHT = 0.4
"""Share of the light on a roof that comes from the whole sky and not from the sun."""
DETAIL_PX = 14.0
"""Below this length a roof shows its planes only."""


def lit(thing: Thing, look: Look, normal_deg: float, pitch: float = 0.5) -> float:
    """Give the brightness, against flat ground, of a roof plane that falls towards `normal_deg` in the thing's frame.

    Lambert's law: the plane rises by `pitch`, the sun stands opposite to the shadow, whose length tells its height.
    """
    towards_sun = -math.cos(math.radians(thing.angle_deg + normal_deg - look.shadow_deg))
    sunlight = (1 + pitch * look.shadow_ratio * towards_sun) / math.hypot(1, pitch)
    return SKYLIGHT + (1 - SKYLIGHT) * min(1.5, max(0.0, sunlight))


def shadow_step(thing: Thing, look: Look, reach_px: float) -> np.ndarray:
    """Give the step (2,) in the thing's frame that a shadow of `reach_px` falls."""
    angle = math.radians(look.shadow_deg - thing.angle_deg)
    return np.array((reach_px * math.cos(angle) / thing.length_px, reach_px * math.sin(angle) / thing.width_px))


def paint_building(sketch: Sketch, thing: Thing, look: Look) -> None:
    """Paint a roof by variant: hip, gable, hip_ell, ell (flat L), flat, shed."""
    rng = random.Random(thing.seed)
    if thing.variant in ("hip", "gable"):
        _pitched(sketch, thing, look, WHOLE, hip=thing.variant == "hip")
        _house_details(sketch, thing, look, rng)
    elif thing.variant == "hip_ell":
        _pitched(sketch, thing, look, (-0.5, -0.5, 0.02, 0.5), hip=True)
        _pitched(sketch, thing, look, (-0.5, -0.5, 0.5, 0.0), hip=True)
    elif thing.variant == "shed":
        _shed(sketch, thing, look, rng)
    else:
        _flat(sketch, thing, look, rng)
    sketch.line(thing.unit, 0.25, shade(thing.colour, 0.7), closed=True)


def _pitched(sketch: Sketch, thing: Thing, look: Look, box: Box, *, hip: bool) -> None:
    x1, y1, x2, y2 = box
    long, wide = (x2 - x1) * thing.length_px, (y2 - y1) * thing.width_px
    middle_x, middle_y = (x1 + x2) / 2, (y1 + y2) / 2
    p, q, r, s = (x1, y1), (x2, y1), (x2, y2), (x1, y2)
    if long >= wide:
        inset = wide / 2 / thing.length_px if hip else 0.0
        a, b = (x1 + inset, middle_y), (x2 - inset, middle_y)
        planes = (((p, q, b, a), -90), ((s, r, b, a), 90), ((p, s, a), 180), ((q, r, b), 0))
    else:
        inset = long / 2 / thing.width_px if hip else 0.0
        a, b = (middle_x, y1 + inset), (middle_x, y2 - inset)
        planes = (((p, s, b, a), 180), ((q, r, b, a), 0), ((p, q, a), -90), ((s, r, b), 90))
    for points, normal in planes if hip else planes[:2]:
        sketch.fill(np.array(points), shade(thing.colour, lit(thing, look, normal)))
    sketch.line(np.array((a, b)), 0.3, shade(thing.colour, 1.12))


def _house_details(sketch: Sketch, thing: Thing, look: Look, rng: random.Random) -> None:
    """Put a chimney, roof windows or solar panels on a house of more than DETAIL_PX."""
    if max(thing.length_px, thing.width_px) < DETAIL_PX:
        return
    along = thing.length_px >= thing.width_px
    if rng.random() < 0.5:
        x, y = rng.uniform(-0.3, 0.3), rng.uniform(-0.12, 0.12)
        half = np.array((0.55 / thing.length_px, 0.55 / thing.width_px)) * (thing.length_px / 20)
        square = rectangle(-1, -1, 1, 1) * half + ((x, y) if along else (y, x))
        sketch.fill(square + shadow_step(thing, look, 1.4 * thing.length_px / 20), shade(thing.colour, 0.55))
        sketch.fill(square, CHIMNEY)
    if rng.random() < 0.22:
        side = 1 if lit(thing, look, 90 if along else 0) > 1 else -1
        low, high = sorted((side * 0.14, side * 0.38))
        start = rng.uniform(-0.3, -0.05)
        panel = (start, low, start + 0.3, high) if along else (low, start, high, start + 0.3)
        sketch.fill(rectangle(*panel), PANEL)
        sketch.line(rectangle(*panel), 0.2, (92, 98, 112), closed=True)


def _flat(sketch: Sketch, thing: Thing, look: Look, rng: random.Random) -> None:
    """Paint a flat roof: weathered fields, the parapet with its shadow, and plant that casts shadows."""
    sketch.fill(thing.unit, shade(thing.colour, 1.06))
    inner = thing.unit * 0.965
    sketch.fill(inner, shade(thing.colour, 0.66))
    sketch.fill(inner * 0.985 + shadow_step(thing, look, 0.5 * min(1.6, look.shadow_ratio * 2)), thing.colour)
    low_y = 0.0 if thing.variant == "ell" else 0.46
    for _ in range(rng.randint(1, 3)):
        x, w = rng.uniform(-0.44, 0.1), rng.uniform(0.12, 0.5)
        y1, y2 = sorted((rng.uniform(-0.44, low_y - 0.06), rng.uniform(-0.44, low_y - 0.06)))
        sketch.fill(rectangle(x, y1, min(0.45, x + w), y2), shade(thing.colour, rng.uniform(0.92, 1.06)))
    for _ in range(rng.randint(2, 9)):
        x, y = rng.uniform(-0.42, 0.3), rng.uniform(-0.42, low_y - 0.1)
        w, h = rng.uniform(1.5, 6) * 2 / max(thing.length_px, 20), rng.uniform(1.5, 6) * 2 / max(thing.width_px, 20)
        unit = rectangle(x, y, min(x + w, 0.45), min(y + h, low_y))
        sketch.fill(unit + shadow_step(thing, look, 1.6 * look.shadow_ratio), shade(thing.colour, 0.5))
        sketch.fill(unit, shade(thing.colour, rng.choice((0.8, 1.12, 1.25))))


def _shed(sketch: Sketch, thing: Thing, look: Look, rng: random.Random) -> None:
    """Paint a shed: two shallow planes of sheets that aged unevenly, roof lights, ribs and a ridge."""
    along = thing.length_px >= thing.width_px
    normals = (-90, 90) if along else (180, 0)
    tones = [lit(thing, look, normal, 0.18) for normal in normals]
    length = max(thing.length_px, thing.width_px)
    count = max(2, int(length / 9))
    for index in range(count):
        a, b = -0.5 + index / count, -0.5 + (index + 1) / count
        aged = rng.gauss(1, 0.025)
        for low, high, tone in ((-0.5, 0.0, tones[0]), (0.0, 0.5, tones[1])):
            sheet = rectangle(a, low, b, high) if along else rectangle(low, a, high, b)
            sketch.fill(sheet, shade(thing.colour, tone * aged))
            if index % 3 == 1:
                inner = (low + 0.12, high - 0.1)
                light = rectangle(a, inner[0], a + 0.22 / count, inner[1])
                sketch.fill(light if along else light[:, ::-1], shade(thing.colour, 1.22))
    ridge = np.array([(-0.49, 0.0), (0.49, 0.0)])
    sketch.line(ridge if along else ridge[:, ::-1], 0.4, shade(thing.colour, 1.15))
