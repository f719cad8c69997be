"""Paint the things that move: cars, trucks, trains, ships, boats and planes."""

from __future__ import annotations

import random

import numpy as np

from data_engine.synth.outlines import CIRCLE, rectangle
from data_engine.synth.records import Colour, Look, Thing
from data_engine.synth.sketch import Sketch

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
CAR_GLASS, CAR_ROOF, CAR_BED = (
    rectangle(-0.36, -0.42, 0.26, 0.42), rectangle(-0.25, -0.35, 0.1, 0.35), rectangle(-0.46, -0.38, -0.12, 0.38)
)  # fmt: skip
TRUCK_BOX, TRUCK_RIDGE, TRUCK_GAP, TRUCK_CAB, TRUCK_GLASS = (
    rectangle(-0.5, -0.5, 0.24, 0.5), rectangle(-0.48, -0.06, 0.22, 0.06), rectangle(0.24, -0.3, 0.3, 0.3),
    rectangle(0.3, -0.46, 0.5, 0.46), rectangle(0.43, -0.4, 0.48, 0.4),
)  # fmt: skip
BRIDGE_HOUSE, BRIDGE_GLASS, FUNNEL = (
    rectangle(-0.45, -0.42, -0.32, 0.42), rectangle(-0.34, -0.36, -0.325, 0.36), rectangle(-0.43, -0.12, -0.38, 0.12)
)  # fmt: skip
COCKPIT, FOREDECK, WINDSCREEN = (
    rectangle(-0.42, -0.3, -0.12, 0.3), rectangle(-0.1, -0.28, 0.12, 0.28), rectangle(0.06, -0.24, 0.13, 0.24)
)  # fmt: skip
FIN, NOSE_GLASS, SPINE = (
    rectangle(-0.49, -0.014, -0.36, 0.014), rectangle(0.435, -0.024, 0.46, 0.024), np.array([(-0.4, 0.0), (0.42, 0.0)])
)  # fmt: skip


def shade(colour: Colour, factor: float) -> Colour:
    """Scale a colour's brightness, clipped to 0-255."""
    r, g, b = colour
    return min(255, int(r * factor)), min(255, int(g * factor)), min(255, int(b * factor))


def paint_car(sketch: Sketch, thing: Thing, look: Look) -> None:
    """Paint a car: body, glass, lighter roof between, and the dark bed of a pickup."""
    sketch.fill(thing.unit, shade(thing.colour, 0.93))
    sketch.fill(CAR_GLASS, GLASS)
    sketch.fill(CAR_ROOF, shade(thing.colour, 1.1))
    if thing.variant == "pickup":
        sketch.fill(CAR_BED, shade(thing.colour, 0.55))


def paint_truck(sketch: Sketch, thing: Thing, look: Look) -> None:
    """Paint a lorry: cab in front, gap, box behind with a bright ridge."""
    sketch.fill(TRUCK_BOX, thing.colour)
    sketch.fill(TRUCK_RIDGE, shade(thing.colour, 1.1))
    sketch.fill(TRUCK_GAP, (40, 40, 42))
    sketch.fill(TRUCK_CAB, CARGO[thing.seed % len(CARGO)])
    sketch.fill(TRUCK_GLASS, GLASS)


def paint_train(sketch: Sketch, thing: Thing, look: Look) -> None:
    """Paint a train: cars with gaps and roof equipment."""
    sketch.fill(thing.unit, (48, 48, 50))
    cars = max(1, round(thing.length_px / (thing.width_px * 7)))
    for index in range(cars):
        start = -0.5 + index / cars
        sketch.fill(rectangle(start + 0.004, -0.48, start + 0.97 / cars, 0.48), thing.colour)
        sketch.fill(rectangle(start + 0.02, -0.14, start + 0.93 / cars, 0.14), shade(thing.colour, 1.15))


def paint_ship(sketch: Sketch, thing: Thing, look: Look) -> None:
    """Paint a ship: hull, deck, superstructure, and cargo or hatches by variant."""
    sketch.fill(thing.unit, shade(thing.colour, 0.8))
    if thing.variant == "boat":
        _paint_boat(sketch, thing)
        return
    sketch.fill(thing.unit * 0.88, thing.colour)
    rng = random.Random(thing.seed)
    rows = max(2, int(thing.length_px / thing.width_px * 1.6))
    for index in range(rows):
        start = -0.28 + 0.56 * index / rows
        end = start + 0.5 / rows
        if thing.variant == "container":
            for low in (-0.4, -0.13, 0.14):
                sketch.fill(rectangle(start, low, end, low + 0.25), rng.choice(CARGO))
        elif index % 2 == 0:
            sketch.fill(rectangle(start, -0.26, end, 0.26), shade(thing.colour, 0.62))
            sketch.fill(rectangle(start, -0.26, end, 0.0), shade(thing.colour, 0.75))
    sketch.fill(BRIDGE_HOUSE, (234, 234, 230))
    sketch.fill(BRIDGE_GLASS, GLASS)
    sketch.fill(FUNNEL, (168, 70, 52))


def _paint_boat(sketch: Sketch, thing: Thing) -> None:
    sketch.fill(thing.unit * 0.84, shade(thing.colour, 1.02))
    sketch.fill(COCKPIT, shade(CARGO[thing.seed % len(CARGO)], 0.9))
    sketch.fill(FOREDECK, DECK)
    sketch.fill(WINDSCREEN, GLASS)


def paint_plane(sketch: Sketch, thing: Thing, look: Look) -> None:
    """Paint a plane: wings a little darker on one side, fuselage highlight, engines, coloured fin."""
    sketch.fill(thing.unit, shade(thing.colour, 0.92))
    light = thing.variant == "light"
    if not light:
        for side in (-1, 1):
            for along, across in ((0.1, 0.17), (0.0, 0.3))[: 2 if thing.seed % 3 == 0 else 1]:
                sketch.fill(CIRCLE * (0.1, 0.05) + (along, side * across), (112, 114, 120))
    width = 0.035 if not light else 0.04
    sketch.fill(rectangle(-0.4, -width, 0.44, width), shade(thing.colour, 1.08))
    sketch.line(SPINE, 0.02 * thing.width_px, shade(thing.colour, 1.2))
    sketch.fill(NOSE_GLASS, GLASS)
    sketch.fill(FIN, CARGO[thing.seed % 4])
