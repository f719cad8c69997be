"""Paint what people build: roofs with ridges and units, tanks, pools, courts, tracks and containers."""

from __future__ import annotations

import numpy as np

from data_engine.synth.canvas import Patch
from data_engine.synth.outlines import CIRCLE, rectangle, stadium
from data_engine.synth.paint_vehicles import CARGO, part, shade
from data_engine.synth.records import Colour, Look, Thing

WHITE: Colour = (232, 232, 226)
TURF: Colour = (74, 104, 52)


def _lit(thing: Thing, look: Look, normal_deg: float, strength: float = 0.24) -> Colour:
    """Shade a roof plane that falls towards `normal_deg` in the thing's frame: bright towards the sun."""
    towards_sun = np.cos(np.radians(thing.angle_deg + normal_deg - look.shadow_deg - 180))
    return shade(thing.colour, 1 + strength * float(towards_sun))


def _gable(patch: Patch, thing: Thing, look: Look, box: tuple[float, float, float, float], *, hip: bool) -> None:
    x1, y1, x2, y2 = box
    along = (x2 - x1) * thing.length_px >= (y2 - y1) * thing.width_px
    middle_x, middle_y = (x1 + x2) / 2, (y1 + y2) / 2
    corners = rectangle(x1, y1, x2, y2)
    if along:
        inset = min((y2 - y1) / 2 * thing.width_px / thing.length_px, (x2 - x1) / 2) if hip else 0.0
        a, b = (x1 + inset, middle_y), (x2 - inset, middle_y)
        planes = [([corners[0], corners[1], b, a], -90), ([corners[3], corners[2], b, a], 90),
                  ([corners[0], corners[3], a], 180), ([corners[1], corners[2], b], 0)]  # fmt: skip
    else:
        inset = min((x2 - x1) / 2 * thing.length_px / thing.width_px, (y2 - y1) / 2) if hip else 0.0
        a, b = (middle_x, y1 + inset), (middle_x, y2 - inset)
        planes = [([corners[0], corners[3], b, a], 180), ([corners[1], corners[2], b, a], 0),
                  ([corners[0], corners[1], a], -90), ([corners[3], corners[2], b], 90)]  # fmt: skip
    for points, normal in planes if hip else planes[:2]:
        patch.fill(part(thing, np.array(points)), _lit(thing, look, normal))
    patch.line(part(thing, np.array([a, b])), 0.35, shade(thing.colour, 1.22))


def _flat_roof(patch: Patch, thing: Thing, look: Look, rng: np.random.Generator) -> None:
    patch.fill(thing.outline, thing.colour)
    patch.line((thing.outline - (thing.cx, thing.cy)) * 0.96 + (thing.cx, thing.cy), 0.8, shade(thing.colour, 0.72),
               closed=True)  # fmt: skip
    low_y = 0.0 if thing.variant == "ell" else 0.34
    for _ in range(int(rng.integers(2, 9))):
        x, y = rng.uniform(-0.42, 0.3), rng.uniform(-0.42, low_y - 0.08)
        w, h = rng.uniform(1.5, 6) * 2 / max(thing.length_px, 20), rng.uniform(1.5, 6) * 2 / max(thing.width_px, 20)
        unit = part(thing, rectangle(x, y, min(x + w, 0.46), min(y + h, low_y + 0.1)))
        angle = np.radians(look.shadow_deg)
        patch.fill(unit + 1.2 * np.array([np.cos(angle), np.sin(angle)]), shade(thing.colour, 0.5))
        patch.fill(unit, shade(thing.colour, float(rng.choice([0.8, 1.15, 1.3]))))


def _shed(patch: Patch, thing: Thing, look: Look) -> None:
    _gable(patch, thing, look, (-0.5, -0.5, 0.5, 0.5), hip=False)
    along = thing.length_px >= thing.width_px
    step = max(3.0, thing.length_px / 60) / (thing.length_px if along else thing.width_px)
    for index, at in enumerate(np.arange(-0.5 + step, 0.5, step)):
        points = np.array([(at, -0.49), (at, 0.49)] if along else [(-0.49, at), (0.49, at)])
        tone = 1.28 if index % 6 == 2 else 0.9
        patch.line(part(thing, points), 0.35, shade(thing.colour, tone))


def paint_building(patch: Patch, thing: Thing, look: Look) -> None:
    """Paint a roof by variant: hip, gable, ell (flat L), flat, shed."""
    rng = np.random.default_rng(thing.seed)
    if thing.variant in ("hip", "gable"):
        _gable(patch, thing, look, (-0.5, -0.5, 0.5, 0.5), hip=thing.variant == "hip")
    elif thing.variant == "hip_ell":
        _gable(patch, thing, look, (-0.5, -0.5, 0.02, 0.5), hip=True)
        _gable(patch, thing, look, (-0.5, -0.5, 0.5, 0.0), hip=True)
    elif thing.variant == "shed":
        _shed(patch, thing, look)
    else:
        _flat_roof(patch, thing, look, rng)
    patch.line(thing.outline, 0.25, shade(thing.colour, 0.66), closed=True)


def paint_tank(patch: Patch, thing: Thing, look: Look) -> None:
    """Paint a storage tank: rim, inner shadow of a floating roof, or a domed top, with a stair."""
    patch.fill(thing.outline, shade(thing.colour, 1.06))
    angle = np.radians(look.shadow_deg - thing.angle_deg)
    towards = np.array([np.cos(angle), np.sin(angle)])
    if thing.variant == "floating":
        patch.fill(part(thing, CIRCLE * 0.93), shade(thing.colour, 0.42))
        patch.fill(part(thing, CIRCLE * 0.84 + 0.045 * towards), shade(thing.colour, 0.82))
        patch.fill(part(thing, CIRCLE * 0.12), shade(thing.colour, 0.7))
    else:
        for size, tone in ((0.97, 0.86), (0.9, 0.93), (0.74, 1.0), (0.5, 1.05), (0.26, 1.1)):
            patch.fill(part(thing, CIRCLE * size - 0.5 * (0.97 - size) * 0.55 * towards), shade(thing.colour, tone))
        patch.line(part(thing, np.array([(0.0, 0.0), (0.47, 0.06)])), 0.5, shade(thing.colour, 0.6))
    patch.line(part(thing, CIRCLE * 0.97), 0.3, shade(thing.colour, 0.78), closed=True)


def paint_pool(patch: Patch, thing: Thing, look: Look) -> None:
    """Paint a swimming pool: pale kerb, turquoise water, lighter shallow end."""
    patch.line(thing.outline, 1.6, (206, 200, 188), closed=True)
    patch.fill(thing.outline, shade(thing.colour, 0.94))
    inner = (thing.outline - (thing.cx, thing.cy)) * 0.8 + (thing.cx, thing.cy)
    patch.fill(inner, thing.colour)
    patch.fill(part(thing, rectangle(0.18, -0.3, 0.34, 0.3)), shade(thing.colour, 1.12))


def paint_tennis_court(patch: Patch, thing: Thing, look: Look) -> None:
    """Paint a tennis court: surround, court, lines and net with its shadow."""
    patch.fill(thing.outline, shade(thing.colour, 0.78) if thing.variant == "same" else (86, 112, 84))
    patch.fill(part(thing, rectangle(-0.33, -0.31, 0.33, 0.31)), thing.colour)
    width = max(0.3, 0.012 * thing.width_px)
    patch.line(part(thing, rectangle(-0.33, -0.31, 0.33, 0.31)), width, WHITE, closed=True)
    for ends in (((-0.33, -0.23), (0.33, -0.23)), ((-0.33, 0.23), (0.33, 0.23)), ((-0.18, 0.0), (0.18, 0.0)),
                 ((-0.18, -0.23), (-0.18, 0.23)), ((0.18, -0.23), (0.18, 0.23))):  # fmt: skip
        patch.line(part(thing, np.array(ends)), width, WHITE)
    patch.line(part(thing, np.array([(0.0, -0.36), (0.0, 0.36)])), 0.4, (52, 56, 56))


def paint_basketball_court(patch: Patch, thing: Thing, look: Look) -> None:
    """Paint a basketball court: surface, key areas, centre circle and lines."""
    patch.fill(thing.outline, thing.colour)
    key = shade(thing.colour, 0.72)
    width = max(0.3, 0.014 * thing.width_px)
    for side in (-1, 1):
        low, high = sorted((side * 0.27, side * 0.46))
        patch.fill(part(thing, rectangle(low, -0.16, high, 0.16)), key)
        patch.line(part(thing, rectangle(low, -0.16, high, 0.16)), width, WHITE, closed=True)
    patch.line(part(thing, CIRCLE * (0.13, 0.24)), width, WHITE, closed=True)
    patch.line(part(thing, np.array([(0.0, -0.45), (0.0, 0.45)])), width, WHITE)
    patch.line(part(thing, rectangle(-0.46, -0.45, 0.46, 0.45)), width, WHITE, closed=True)


def _paint_pitch(patch: Patch, thing: Thing, box: tuple[float, float, float, float], turf: Colour) -> None:
    x1, y1, x2, y2 = box
    edges = np.linspace(x1, x2, 11)
    for index in range(10):
        patch.fill(
            part(thing, rectangle(edges[index], y1, edges[index + 1], y2)), shade(turf, 1.06 if index % 2 else 0.95)
        )
    width = max(0.35, 0.006 * thing.width_px)
    inset_x, inset_y = 0.03 * (x2 - x1), 0.04 * (y2 - y1)
    left, right, top, bottom = x1 + inset_x, x2 - inset_x, y1 + inset_y, y2 - inset_y
    middle, depth, half = (x1 + x2) / 2, 0.15 * (x2 - x1), 0.29 * (y2 - y1)
    patch.line(part(thing, rectangle(left, top, right, bottom)), width, WHITE, closed=True)
    patch.line(part(thing, np.array([(middle, top), (middle, bottom)])), width, WHITE)
    circle = CIRCLE * (0.18 * (x2 - x1), 0.18 * (x2 - x1) * thing.length_px / thing.width_px) + (middle, (y1 + y2) / 2)
    patch.line(part(thing, circle), width, WHITE, closed=True)
    for low, high in ((left, left + depth), (right - depth, right)):
        patch.line(
            part(thing, rectangle(low, (y1 + y2) / 2 - half, high, (y1 + y2) / 2 + half)), width, WHITE, closed=True
        )


def paint_football_field(patch: Patch, thing: Thing, look: Look) -> None:
    """Paint a football pitch: mown stripes and white lines."""
    _paint_pitch(patch, thing, (-0.5, -0.5, 0.5, 0.5), thing.colour)


def paint_running_track(patch: Patch, thing: Thing, look: Look) -> None:
    """Paint a running track with lanes around a football pitch."""
    patch.fill(thing.outline, thing.colour)
    lanes = 0.14 * thing.width_px
    for lane in range(1, 6):
        inset = 2 * lanes * lane / 6
        sides = (thing.length_px - inset, thing.width_px - inset)
        ring = stadium(*sides) * sides / (thing.length_px, thing.width_px)
        patch.line(part(thing, ring), 0.25, shade(thing.colour, 1.25), closed=True)
    sides = (thing.length_px - 2 * lanes, thing.width_px - 2 * lanes)
    patch.fill(part(thing, stadium(*sides) * sides / (thing.length_px, thing.width_px)), shade(TURF, 0.92))
    straight = (thing.length_px - thing.width_px) / thing.length_px / 2
    _paint_pitch(patch, thing, (-straight - 0.03, -0.32, straight + 0.03, 0.32), TURF)


def paint_baseball_field(patch: Patch, thing: Thing, look: Look) -> None:
    """Paint a baseball field: outfield grass, clay infield, diamond, bases and foul lines."""
    patch.fill(thing.outline, thing.colour)
    clay = (168, 122, 84)
    turn = np.radians(np.linspace(-45, 45, 17))
    arc = np.stack([0.42 * np.cos(turn) - 0.5, 0.42 * 0.7071 * np.sin(turn)], axis=1)
    patch.fill(part(thing, np.concatenate([[(-0.5, 0.0)], arc])), clay)
    diamond = np.array([(-0.44, 0.0), (-0.31, -0.092), (-0.18, 0.0), (-0.31, 0.092)])
    patch.fill(part(thing, diamond), shade(thing.colour, 1.05))
    patch.fill(part(thing, CIRCLE * (0.045, 0.032) + (-0.31, 0.0)), clay)
    for side in (-1, 1):
        patch.line(part(thing, np.array([(-0.5, 0.0), (0.207, side * 0.5)])), 0.4, WHITE)


def paint_bridge(patch: Patch, thing: Thing, look: Look) -> None:
    """Paint a bridge deck: kerbs and lane marks along its length."""
    patch.fill(thing.outline, shade(thing.colour, 1.12))
    patch.fill(part(thing, rectangle(-0.5, -0.4, 0.5, 0.4)), shade(thing.colour, 0.72))
    marks = max(3, int(thing.length_px / 14))
    for start in np.linspace(-0.49, 0.49, marks, endpoint=False):
        patch.fill(part(thing, rectangle(start, -0.015, start + 0.5 / marks, 0.015)), WHITE)


def paint_container(patch: Patch, thing: Thing, look: Look) -> None:
    """Paint a stack of containers: rows of coloured boxes."""
    rng = np.random.default_rng(thing.seed)
    patch.fill(thing.outline, (70, 70, 72))
    across = max(1, round(thing.width_px / max(thing.length_px, 1e-6) * 5))
    for column in range(across):
        low = -0.5 + column / across
        colour = CARGO[int(rng.integers(len(CARGO)))]
        patch.fill(part(thing, rectangle(-0.49, low + 0.04 / across, 0.49, low + 0.96 / across)), colour)


def paint_slab(patch: Patch, thing: Thing, look: Look) -> None:
    """Paint a plain slab (pier, jetty, platform) with a lighter edge."""
    patch.fill(thing.outline, thing.colour)
    patch.line(thing.outline, 0.4, shade(thing.colour, 1.18), closed=True)
