"""Paint what people build besides houses: tanks, pools, courts, tracks, bridges and containers."""

from __future__ import annotations

import numpy as np

from data_engine.synth.outlines import CIRCLE, rectangle, stadium
from data_engine.synth.paint_vehicles import CARGO, shade
from data_engine.synth.records import Colour, Look, Thing
from data_engine.synth.sketch import Sketch

WHITE: Colour = (232, 232, 226)
TURF: Colour = (74, 104, 52)


def paint_tank(sketch: Sketch, thing: Thing, look: Look) -> None:
    """Paint a storage tank: rim, inner shadow of a floating roof, or a domed top, with a stair."""
    sketch.fill(thing.unit, shade(thing.colour, 1.06))
    angle = np.radians(look.shadow_deg - thing.angle_deg)
    towards = np.array([np.cos(angle), np.sin(angle)])
    if thing.variant == "floating":
        sketch.fill(CIRCLE * 0.93, shade(thing.colour, 0.42))
        sketch.fill(CIRCLE * 0.84 + 0.045 * towards, shade(thing.colour, 0.82))
        sketch.fill(CIRCLE * 0.12, shade(thing.colour, 0.7))
    else:
        for size, tone in ((0.97, 0.86), (0.9, 0.93), (0.74, 1.0), (0.5, 1.05), (0.26, 1.1)):
            sketch.fill((CIRCLE * size - 0.5 * (0.97 - size) * 0.55 * towards), shade(thing.colour, tone))
        sketch.line(np.array([(0.0, 0.0), (0.47, 0.06)]), 0.5, shade(thing.colour, 0.6))
    sketch.line(CIRCLE * 0.97, 0.3, shade(thing.colour, 0.78), closed=True)


def paint_pool(sketch: Sketch, thing: Thing, look: Look) -> None:
    """Paint a swimming pool: pale kerb, turquoise water, lighter shallow end."""
    sketch.line(thing.unit, 1.6, (206, 200, 188), closed=True)
    sketch.fill(thing.unit, shade(thing.colour, 0.94))
    inner = thing.unit * 0.8
    sketch.fill(inner, thing.colour)
    sketch.fill(rectangle(0.18, -0.3, 0.34, 0.3), shade(thing.colour, 1.12))


def paint_tennis_court(sketch: Sketch, thing: Thing, look: Look) -> None:
    """Paint a tennis court: surround, court, lines and net with its shadow."""
    sketch.fill(thing.unit, shade(thing.colour, 0.78) if thing.variant == "same" else (86, 112, 84))
    sketch.fill(rectangle(-0.33, -0.31, 0.33, 0.31), thing.colour)
    width = max(0.3, 0.012 * thing.width_px)
    sketch.line(rectangle(-0.33, -0.31, 0.33, 0.31), width, WHITE, closed=True)
    for ends in (((-0.33, -0.23), (0.33, -0.23)), ((-0.33, 0.23), (0.33, 0.23)), ((-0.18, 0.0), (0.18, 0.0)),
                 ((-0.18, -0.23), (-0.18, 0.23)), ((0.18, -0.23), (0.18, 0.23))):  # fmt: skip
        sketch.line((np.array(ends)), width, WHITE)
    sketch.line(np.array([(0.0, -0.36), (0.0, 0.36)]), 0.4, (52, 56, 56))


def paint_basketball_court(sketch: Sketch, thing: Thing, look: Look) -> None:
    """Paint a basketball court: surface, key areas, centre circle and lines."""
    sketch.fill(thing.unit, thing.colour)
    key = shade(thing.colour, 0.72)
    width = max(0.3, 0.014 * thing.width_px)
    for side in (-1, 1):
        low, high = sorted((side * 0.27, side * 0.46))
        sketch.fill(rectangle(low, -0.16, high, 0.16), key)
        sketch.line(rectangle(low, -0.16, high, 0.16), width, WHITE, closed=True)
    sketch.line((CIRCLE * (0.13, 0.24)), width, WHITE, closed=True)
    sketch.line(np.array([(0.0, -0.45), (0.0, 0.45)]), width, WHITE)
    sketch.line(rectangle(-0.46, -0.45, 0.46, 0.45), width, WHITE, closed=True)


def _paint_pitch(sketch: Sketch, thing: Thing, box: tuple[float, float, float, float], turf: Colour) -> None:
    x1, y1, x2, y2 = box
    edges = np.linspace(x1, x2, 11)
    for index in range(10):
        sketch.fill((rectangle(edges[index], y1, edges[index + 1], y2)), shade(turf, 1.06 if index % 2 else 0.95))
    width = max(0.35, 0.006 * thing.width_px)
    inset_x, inset_y = 0.03 * (x2 - x1), 0.04 * (y2 - y1)
    left, right, top, bottom = x1 + inset_x, x2 - inset_x, y1 + inset_y, y2 - inset_y
    middle, depth, half = (x1 + x2) / 2, 0.15 * (x2 - x1), 0.29 * (y2 - y1)
    sketch.line(rectangle(left, top, right, bottom), width, WHITE, closed=True)
    sketch.line(np.array([(middle, top), (middle, bottom)]), width, WHITE)
    circle = CIRCLE * (0.18 * (x2 - x1), 0.18 * (x2 - x1) * thing.length_px / thing.width_px) + (middle, (y1 + y2) / 2)
    sketch.line((circle), width, WHITE, closed=True)
    for low, high in ((left, left + depth), (right - depth, right)):
        sketch.line((rectangle(low, (y1 + y2) / 2 - half, high, (y1 + y2) / 2 + half)), width, WHITE, closed=True)


def paint_football_field(sketch: Sketch, thing: Thing, look: Look) -> None:
    """Paint a football pitch: mown stripes and white lines."""
    _paint_pitch(sketch, thing, (-0.5, -0.5, 0.5, 0.5), thing.colour)


def paint_running_track(sketch: Sketch, thing: Thing, look: Look) -> None:
    """Paint a running track with lanes around a football pitch."""
    sketch.fill(thing.unit, thing.colour)
    lanes = 0.14 * thing.width_px
    for lane in range(1, 6):
        inset = 2 * lanes * lane / 6
        sides = (thing.length_px - inset, thing.width_px - inset)
        ring = stadium(*sides) * sides / (thing.length_px, thing.width_px)
        sketch.line(ring, 0.25, shade(thing.colour, 1.25), closed=True)
    sides = (thing.length_px - 2 * lanes, thing.width_px - 2 * lanes)
    sketch.fill((stadium(*sides) * sides / (thing.length_px, thing.width_px)), shade(TURF, 0.92))
    straight = (thing.length_px - thing.width_px) / thing.length_px / 2
    _paint_pitch(sketch, thing, (-straight - 0.03, -0.32, straight + 0.03, 0.32), TURF)


def paint_baseball_field(sketch: Sketch, thing: Thing, look: Look) -> None:
    """Paint a baseball field: outfield grass, clay infield, diamond, bases and foul lines."""
    sketch.fill(thing.unit, thing.colour)
    clay = (168, 122, 84)
    turn = np.radians(np.linspace(-45, 45, 17))
    arc = np.stack([0.42 * np.cos(turn) - 0.5, 0.42 * 0.7071 * np.sin(turn)], axis=1)
    sketch.fill((np.concatenate([[(-0.5, 0.0)], arc])), clay)
    diamond = np.array([(-0.44, 0.0), (-0.31, -0.092), (-0.18, 0.0), (-0.31, 0.092)])
    sketch.fill((diamond), shade(thing.colour, 1.05))
    sketch.fill((CIRCLE * (0.045, 0.032) + (-0.31, 0.0)), clay)
    for side in (-1, 1):
        sketch.line(np.array([(-0.5, 0.0), (0.207, side * 0.5)]), 0.4, WHITE)


def paint_bridge(sketch: Sketch, thing: Thing, look: Look) -> None:
    """Paint a bridge deck: kerbs and lane marks along its length."""
    sketch.fill(thing.unit, shade(thing.colour, 1.12))
    sketch.fill(rectangle(-0.5, -0.4, 0.5, 0.4), shade(thing.colour, 0.72))
    marks = max(3, int(thing.length_px / 14))
    for start in np.linspace(-0.49, 0.49, marks, endpoint=False):
        sketch.fill(rectangle(start, -0.015, start + 0.5 / marks, 0.015), WHITE)


def paint_container(sketch: Sketch, thing: Thing, look: Look) -> None:
    """Paint a stack of containers: rows of coloured boxes."""
    rng = np.random.default_rng(thing.seed)
    sketch.fill(thing.unit, (70, 70, 72))
    across = max(1, round(thing.width_px / max(thing.length_px, 1e-6) * 5))
    for column in range(across):
        low = -0.5 + column / across
        colour = CARGO[int(rng.integers(len(CARGO)))]
        sketch.fill(rectangle(-0.49, low + 0.04 / across, 0.49, low + 0.96 / across), colour)


def paint_slab(sketch: Sketch, thing: Thing, look: Look) -> None:
    """Paint a plain slab (pier, jetty, platform) with a lighter edge."""
    sketch.fill(thing.unit, thing.colour)
    sketch.line(thing.unit, 0.4, shade(thing.colour, 1.18), closed=True)
