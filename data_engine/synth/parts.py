"""Common parts of places in real-world metres: vehicles, buildings, trees, pools, courts, ships, planes and tanks."""

from __future__ import annotations

import numpy as np

from data_engine.synth.builder import PAVED, SOLID, TREE, Builder
from data_engine.synth.outlines import (
    BOAT,
    CIRCLE,
    DIAMOND,
    ELL,
    JET,
    LIGHT_PLANE,
    OCTAGON,
    RECT,
    SHIP,
    VEHICLE,
    kidney,
    stadium,
)
from data_engine.synth.records import Colour

Paint = tuple[str, Colour]
CAR_PAINTS: tuple[Paint, ...] = (
    ("white", (224, 225, 224)), ("black", (40, 41, 44)), ("gray", (134, 137, 141)), ("red", (148, 48, 44)),
    ("blue", (56, 80, 128)), ("yellow", (204, 170, 66)), ("green", (58, 92, 68)),
)  # fmt: skip
CAR_SHARE = (0.33, 0.18, 0.24, 0.09, 0.1, 0.03, 0.03)
ROOFS: dict[str, tuple[Paint, ...]] = {
    "house": (("brown", (124, 92, 72)), ("gray", (112, 112, 114)), ("red", (142, 80, 64)), ("brown", (144, 116, 92)),
              ("gray", (84, 86, 92)), ("red", (156, 102, 82))),
    "flat": (("gray", (150, 150, 148)), ("white", (204, 203, 198)), ("brown", (156, 142, 124)),
             ("gray", (116, 116, 118))),
    "shed": (("blue", (70, 112, 164)), ("white", (212, 214, 214)), ("gray", (156, 160, 164)), ("red", (166, 84, 70)),
             ("gray", (122, 126, 130))),
}  # fmt: skip
MOST_CLUMPS = 400
HULLS: tuple[Paint, ...] = (("gray", (126, 130, 134)), ("red", (146, 66, 52)), ("blue", (60, 88, 126)),
                            ("white", (220, 221, 218)), ("green", (66, 104, 88)))  # fmt: skip
TREE_COLOURS: tuple[Colour, ...] = ((66, 90, 46), (82, 104, 56), (58, 80, 46), (98, 114, 62), (52, 74, 46))


def add_car(b: Builder, x: float, y: float, angle: float, *, avoid: int = SOLID | TREE) -> bool:
    """Park or drive a car; its nose points along `angle`, or the other way."""
    if b.far(x, y, 3):
        return False
    turn = angle + b.rng.normal(0, 1.5) + (180 if b.chance(0.5) else 0)
    length = float(b.rng.uniform(4.2, 5.1))
    return b.thing("car", VEHICLE, x, y, length=length, width=length * 0.41, angle=turn, height=1.5,
                   colour=_vary(b, b.pick(CAR_PAINTS, CAR_SHARE), 0.1), variant="pickup" if b.chance(0.15) else "",
                   avoid=avoid, gap_m=0.15)  # fmt: skip


def add_truck(b: Builder, x: float, y: float, angle: float, *, avoid: int = SOLID | TREE) -> bool:
    """Stand a lorry of 8-16 m."""
    length = float(b.rng.uniform(8, 16))
    return b.thing("truck", RECT, x, y, length=length, width=2.7, angle=angle + b.rng.normal(0, 1.5), height=3.6,
                   colour=b.pick(CAR_PAINTS, (0.5, 0.02, 0.15, 0.1, 0.15, 0.05, 0.03)), avoid=avoid,
                   gap_m=0.3)  # fmt: skip


def add_building(
    b: Builder, x: float, y: float, length: float, width: float, *, angle: float = 0.0, style: str = "house",
    height: float | None = None, variant: str | None = None, avoid: int = SOLID | PAVED | TREE, gap_m: float = 1.0,
) -> bool:  # fmt: skip
    """Build a house, flat-roofed block or shed; `variant` fixes the roof's shape."""
    shapes = {"house": ("hip", "gable", "hip_ell"), "flat": ("flat", "flat", "ell"), "shed": ("shed",)}[style]
    roof = variant or b.pick(shapes)
    tall = height if height is not None else {"house": 6.0, "flat": 11.0, "shed": 9.0}[style] * b.rng.uniform(0.7, 1.5)
    unit = ELL if roof in ("ell", "hip_ell") else RECT
    return b.thing("building", unit, x, y, length=length, width=width, angle=angle, height=float(tall),
                   colour=_vary(b, b.pick(ROOFS[style])), variant=roof, avoid=avoid, gap_m=gap_m)  # fmt: skip


def _vary(b: Builder, paint: Paint, spread: float = 0.07) -> Paint:
    factor = max(0.0, 1 + spread * float(b.rng.standard_normal()))
    red, green, blue = paint[1]
    return paint[0], (min(255, int(red * factor)), min(255, int(green * factor)), min(255, int(blue * factor)))


def add_tree(b: Builder, x: float, y: float, *, size: float | None = None, avoid: int = SOLID | PAVED | TREE) -> bool:
    """Plant a tree with a crown of 3-10 m."""
    if b.far(x, y, 5):
        return False
    crown = size if size is not None else float(b.rng.uniform(3, 9))
    paint = _vary(b, ("green", b.pick(TREE_COLOURS)), 0.12)
    return b.thing("tree", OCTAGON, x, y, length=crown, width=crown, height=crown * 0.9, colour=paint,
                   variant="leafy" if b.chance(0.75) else "evergreen", avoid=avoid, gap_m=0.0,
                   ground=TREE)  # fmt: skip


def scatter_trees(b: Builder, per_hectare: float, *, avoid: int = SOLID | PAVED | TREE) -> None:
    """Plant trees over the whole place, in loose clumps."""
    area = (2 * b.half) ** 2 / 1e4
    clumps = min(MOST_CLUMPS, b.rng.poisson(per_hectare * area / 3) + 1)
    for x, y in b.spots(clumps):
        for dx, dy in b.rng.normal(0, 7, (int(b.rng.integers(1, 6)), 2)):
            add_tree(b, x + dx, y + dy, avoid=avoid)


def tree_row(b: Builder, start: tuple[float, float], end: tuple[float, float], step: float = 8.0) -> None:
    """Plant trees along a line, one every `step` metres."""
    count = max(2, int(np.hypot(end[0] - start[0], end[1] - start[1]) / step))
    for t in np.linspace(0, 1, count):
        x, y = start[0] + t * (end[0] - start[0]), start[1] + t * (end[1] - start[1])
        add_tree(b, x + b.rng.normal(0, 0.6), y + b.rng.normal(0, 0.6), size=float(b.rng.uniform(4, 7)))


def add_pool(b: Builder, x: float, y: float, angle: float = 0.0) -> bool:
    """Dig a garden pool of 7-13 m."""
    length = float(b.rng.uniform(7, 13))
    shape = RECT if b.chance(0.5) else kidney(b.rng)
    return b.thing("swimming pool", shape, x, y, length=length, width=length * float(b.rng.uniform(0.45, 0.65)),
                   angle=angle, colour=("blue", (86, 178, 196)), avoid=SOLID | PAVED | TREE, gap_m=1.0)  # fmt: skip


def add_tank(b: Builder, x: float, y: float, diameter: float) -> bool:
    """Build a storage tank."""
    paint = b.pick(
        (("white", (222, 222, 216)), ("gray", (164, 166, 164)), ("brown", (152, 112, 88))), (0.6, 0.28, 0.12)
    )
    return b.thing("storage tank", CIRCLE, x, y, length=diameter, width=diameter, height=min(16.0, 4 + 0.3 * diameter),
                   colour=_vary(b, paint), variant=b.pick(("floating", "dome")), angle=float(b.rng.uniform(0, 360)),
                   gap_m=2.0)  # fmt: skip


def add_plane(b: Builder, x: float, y: float, angle: float, length: float, *, light: bool = False) -> bool:
    """Park a jet or a light plane, nose along `angle`."""
    paint = b.pick((("white", (230, 231, 232)), ("gray", (176, 180, 184)), ("blue", (96, 130, 176))), (0.72, 0.2, 0.08))
    span = length * (1.25 if light else 0.95)
    return b.thing("plane", LIGHT_PLANE if light else JET, x, y, length=length, width=span, angle=angle,
                   height=2.0 if light else 5.0, colour=paint, variant="light" if light else "jet",
                   gap_m=1.5)  # fmt: skip


def add_ship(b: Builder, x: float, y: float, angle: float, length: float, *, avoid: int = SOLID | TREE) -> bool:
    """Lay a ship, or below 20 m a boat, bow along `angle`."""
    boat = length < 20
    paint = b.pick((("white", (228, 229, 228)), ("white", (214, 214, 210)), ("blue", (70, 104, 150)),
                    ("red", (160, 64, 54)))) if boat else b.pick(HULLS)  # fmt: skip
    width = length * (0.32 if boat else float(b.rng.uniform(0.15, 0.2)))
    return b.thing("ship", BOAT if boat else SHIP, x, y, length=length, width=width, angle=angle,
                   height=1.5 if boat else 7.0, colour=_vary(b, paint), avoid=avoid, gap_m=0.6,
                   variant="boat" if boat else b.pick(("container", "bulk")))  # fmt: skip


COURTS: dict[str, tuple[float, float, tuple[Paint, ...]]] = {
    "tennis court": (36.6, 18.3, (("blue", (62, 102, 148)), ("green", (70, 118, 86)), ("red", (164, 92, 70)))),
    "basketball court": (30.0, 17.0, (("red", (172, 92, 74)), ("green", (76, 124, 92)), ("blue", (80, 116, 156)),
                                      ("gray", (152, 150, 146)))),
    "football field": (102.0, 66.0, (("green", (78, 110, 54)), ("green", (92, 118, 62)))),
    "running track": (176.0, 94.0, (("red", (164, 84, 66)), ("red", (150, 72, 62)))),
    "baseball field": (90.0, 127.0, (("green", (88, 114, 58)), ("green", (104, 124, 70)))),
}  # fmt: skip


def add_court(b: Builder, label: str, x: float, y: float, angle: float = 0.0, *, scale: float = 1.0) -> bool:
    """Lay a sports court or field of its official size (times `scale`)."""
    length, width, paints = COURTS[label]
    unit = RECT
    if label == "running track":
        unit = stadium(length, width)
    elif label == "baseball field":
        unit = DIAMOND
    return b.thing(label, unit, x, y, length=length * scale, width=width * scale, angle=angle,
                   colour=_vary(b, b.pick(paints)),
                   avoid=SOLID | PAVED | TREE, gap_m=1.0, variant="same" if b.chance(0.5) else "")  # fmt: skip


def drive_cars(
    b: Builder, start: tuple[float, float], end: tuple[float, float], *, lane: float = 1.9, every: float = 22.0,
    trucks: float = 0.12,
) -> None:  # fmt: skip
    """Let cars and some trucks drive along a straight road, on both sides of its centre line."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = float(np.hypot(dx, dy))
    angle = float(np.degrees(np.arctan2(dy, dx)))
    for side in (-1, 1):
        at = float(b.rng.uniform(0, every))
        while at < length:
            x = start[0] + dx * at / length - side * lane * dy / length
            y = start[1] + dy * at / length + side * lane * dx / length
            (add_truck if b.chance(trucks) else add_car)(b, x, y, angle)
            at += 8 + float(b.rng.exponential(every))
