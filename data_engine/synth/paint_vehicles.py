"""Paint the things that move: cars, trucks, trains, ships, boats and planes."""

from __future__ import annotations

import numpy as np

from data_engine.synth.canvas import Patch
from data_engine.synth.outlines import CIRCLE, place, rectangle
from data_engine.synth.records import Colour, Look, Thing

GLASS: Colour = (30, 36, 42)
DECK: Colour = (196, 196, 190)
CARGO: tuple[Colour, ...] = (
    (150, 60, 48),
    (58, 92, 138),
    (176, 172, 160),
    (72, 112, 82),
    (196, 128, 60),
    (96, 98, 104),
)


def shade(colour: Colour, factor: float) -> Colour:
    """Scale a colour's brightness, clipped to 0-255."""
    r, g, b = colour
    return min(255, int(r * factor)), min(255, int(g * factor)), min(255, int(b * factor))


def part(thing: Thing, unit: np.ndarray) -> np.ndarray:
    """Place a unit outline in a thing's own frame; give image px."""
    return place(unit, cx=thing.cx, cy=thing.cy, length_px=thing.length_px, width_px=thing.width_px,
                 angle_deg=thing.angle_deg)  # fmt: skip


CAR_PARTS = np.concatenate([
    rectangle(-0.36, -0.42, 0.26, 0.42), rectangle(-0.25, -0.35, 0.1, 0.35), rectangle(-0.46, -0.38, -0.12, 0.38)
])  # fmt: skip


def paint_car(patch: Patch, thing: Thing, look: Look) -> None:
    """Paint a car: body, glass, lighter roof between, and the dark bed of a pickup."""
    placed = part(thing, CAR_PARTS)
    patch.fill(thing.outline, shade(thing.colour, 0.93))
    patch.fill(placed[:4], GLASS)
    patch.fill(placed[4:8], shade(thing.colour, 1.1))
    if thing.variant == "pickup":
        patch.fill(placed[8:], shade(thing.colour, 0.55))


def paint_truck(patch: Patch, thing: Thing, look: Look) -> None:
    """Paint a lorry: cab in front, gap, box behind with a bright ridge."""
    patch.fill(part(thing, rectangle(-0.5, -0.5, 0.24, 0.5)), thing.colour)
    patch.fill(part(thing, rectangle(-0.48, -0.06, 0.22, 0.06)), shade(thing.colour, 1.1))
    patch.fill(part(thing, rectangle(0.24, -0.3, 0.3, 0.3)), (40, 40, 42))
    cab = CARGO[thing.seed % len(CARGO)]
    patch.fill(part(thing, rectangle(0.3, -0.46, 0.5, 0.46)), cab)
    patch.fill(part(thing, rectangle(0.43, -0.4, 0.48, 0.4)), GLASS)


def paint_train(patch: Patch, thing: Thing, look: Look) -> None:
    """Paint a train: cars with gaps and roof equipment."""
    patch.fill(thing.outline, (48, 48, 50))
    cars = max(1, round(thing.length_px / (thing.width_px * 7)))
    for index in range(cars):
        start = -0.5 + index / cars
        patch.fill(part(thing, rectangle(start + 0.004, -0.48, start + 0.97 / cars, 0.48)), thing.colour)
        patch.fill(part(thing, rectangle(start + 0.02, -0.14, start + 0.93 / cars, 0.14)), shade(thing.colour, 1.15))


def paint_ship(patch: Patch, thing: Thing, look: Look) -> None:
    """Paint a ship: hull, deck, superstructure, and cargo or hatches by variant."""
    patch.fill(thing.outline, shade(thing.colour, 0.8))
    if thing.variant == "boat":
        _paint_boat(patch, thing)
        return
    inner = (thing.outline - (thing.cx, thing.cy)) * 0.88 + (thing.cx, thing.cy)
    patch.fill(inner, thing.colour)
    rng = np.random.default_rng(thing.seed)
    rows = max(2, int(thing.length_px / thing.width_px * 1.6))
    for index, start in enumerate(np.linspace(-0.28, 0.28, rows, endpoint=False)):
        end = start + 0.5 / rows
        if thing.variant == "container":
            for low in (-0.4, -0.13, 0.14):
                patch.fill(part(thing, rectangle(start, low, end, low + 0.25)), CARGO[int(rng.integers(len(CARGO)))])
        elif index % 2 == 0:
            patch.fill(part(thing, rectangle(start, -0.26, end, 0.26)), shade(thing.colour, 0.62))
            patch.fill(part(thing, rectangle(start, -0.26, end, 0.0)), shade(thing.colour, 0.75))
    patch.fill(part(thing, rectangle(-0.45, -0.42, -0.32, 0.42)), (234, 234, 230))
    patch.fill(part(thing, rectangle(-0.34, -0.36, -0.325, 0.36)), GLASS)
    patch.fill(part(thing, rectangle(-0.43, -0.12, -0.38, 0.12)), (168, 70, 52))


def _paint_boat(patch: Patch, thing: Thing) -> None:
    patch.fill((thing.outline - (thing.cx, thing.cy)) * 0.84 + (thing.cx, thing.cy), shade(thing.colour, 1.02))
    patch.fill(part(thing, rectangle(-0.42, -0.3, -0.12, 0.3)), shade(CARGO[thing.seed % len(CARGO)], 0.9))
    patch.fill(part(thing, rectangle(-0.1, -0.28, 0.12, 0.28)), DECK)
    patch.fill(part(thing, rectangle(0.06, -0.24, 0.13, 0.24)), GLASS)


def paint_plane(patch: Patch, thing: Thing, look: Look) -> None:
    """Paint a plane: wings a little darker on one side, fuselage highlight, engines, coloured fin."""
    patch.fill(thing.outline, shade(thing.colour, 0.92))
    light = thing.variant == "light"
    if not light:
        for side in (-1, 1):
            for along, across in ((0.1, 0.17), (0.0, 0.3))[: 2 if thing.seed % 3 == 0 else 1]:
                engine = CIRCLE * (0.1, 0.05) + (along, side * across)
                patch.fill(part(thing, engine), (112, 114, 120))
    width = 0.035 if not light else 0.04
    patch.fill(part(thing, rectangle(-0.4, -width, 0.44, width)), shade(thing.colour, 1.08))
    patch.line(part(thing, np.array([(-0.4, 0.0), (0.42, 0.0)])), 0.02 * thing.width_px, shade(thing.colour, 1.2))
    patch.fill(part(thing, rectangle(0.435, -0.024, 0.46, 0.024)), GLASS)
    patch.fill(part(thing, rectangle(-0.49, -0.014, -0.36, 0.014)), CARGO[thing.seed % 4])
