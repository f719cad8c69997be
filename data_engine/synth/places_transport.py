"""Places where things travel: airport, port, parking, intersection, bridge, railway station."""

from __future__ import annotations

import numpy as np

from data_engine.synth.builder import DARK_WEAR, FREE, PAVED, SOLID, YELLOW_MARK, Builder
from data_engine.synth.outlines import RECT, ribbon, strip, wander
from data_engine.synth.parts import (
    add_building,
    add_car,
    add_plane,
    add_ship,
    add_tree,
    add_truck,
    drive_cars,
    scatter_trees,
    tree_row,
)


def airport(b: Builder) -> None:
    """Lay out an apron with parked planes, a terminal or hangars, taxi lines and a runway or grass beyond."""
    r = b.reach
    light = b.half < 45 or b.chance(0.2)
    length = float(b.rng.uniform(9, 14) if light else b.rng.uniform(30, min(62, 0.62 * b.half + 14)))
    span = length * (1.25 if light else 0.95)
    front = float(b.rng.uniform(-0.35, 0.05)) * b.half
    edge = front + length * float(b.rng.uniform(1.8, 2.6))
    b.area("concrete", b.rect(-r, -r, r, edge), block=PAVED)
    for at in np.arange(-r, r, 7.5):
        b.line([(at, -r), (at, edge)], width_m=0.12, colour=(128, 126, 120))
    for at in np.arange(-r, edge, 7.5):
        b.line([(-r, at), (r, at)], width_m=0.12, colour=(128, 126, 120))
    depth = float(b.rng.uniform(14, 34))
    wall = front - 3.0
    x = -r
    while x < r:
        wide = float(b.rng.uniform(50, 140))
        add_building(
            b, x + wide / 2, wall - depth / 2, wide - 5, depth, style=b.pick(("flat", "shed")), height=12, avoid=SOLID
        )
        x += wide
    stand = span + float(b.rng.uniform(5, 12))
    for x in np.arange(-r + float(b.rng.uniform(0, stand)), r, stand):
        b.line([(x, front), (x, front + length * 1.4)], width_m=0.4, colour=YELLOW_MARK)
        if b.chance(0.85):
            nose = float(b.pick((-90.0, 90.0), (0.85, 0.15))) + float(b.rng.normal(0, 3))
            add_plane(b, x, front + length * 0.56, nose, length * float(b.rng.uniform(0.85, 1.05)), light=light)
        if not light and b.chance(0.7):
            b.thing("gate", RECT, x - 0.16 * span, front + 4, length=12, width=3.2, angle=80, height=4,
                    colour=("gray", (176, 178, 180)))  # fmt: skip
        for dx, dy in b.rng.uniform((-0.45 * stand, 2), (0.45 * stand, length), (3, 2)):
            if b.chance(0.5):
                (add_truck if b.chance(0.3) else add_car)(b, x + dx, front + dy, float(b.rng.choice([0, 90])))
    lane = front + length * 1.5
    b.line([(-r, lane), (r, lane)], width_m=0.5, colour=YELLOW_MARK)
    b.area("asphalt", b.rect(-r, edge + 24, r, edge + 24 + 34), block=PAVED)
    b.line([(-r, edge + 41), (r, edge + 41)], width_m=0.9, dash_m=20)
    for y in (edge + 26, edge + 56):
        b.line([(-r, y), (r, y)], width_m=0.6)


def _quay(b: Builder, shore: float) -> None:
    """Fill the land side of a quay with containers, sheds, lorries and a road."""
    r = b.reach
    b.area("concrete", b.rect(-r, -r, r, shore), block=PAVED)
    b.line([(-r, shore - 2), (r, shore - 2)], width_m=0.7, colour=(110, 108, 104))
    for offset in (6.0, 18.0):
        b.line([(-r, shore - offset), (r, shore - offset)], width_m=0.3, colour=(96, 94, 92))
    y = shore - 30.0
    while y > -r:
        x = -r
        shed = b.chance(0.35)
        while x < r:
            wide = float(b.rng.uniform(40, 80)) if shed else 14.0
            if shed:
                add_building(b, x + wide / 2, y - 12, wide - 6, 22, style="shed", avoid=SOLID)
            elif b.chance(0.72):
                rows = int(b.rng.integers(3, 7))
                b.thing("container", RECT, x + 6.5, y - 8, length=12.2, width=2.5 * rows,
                        height=2.6 * int(b.rng.integers(1, 5)),
                        colour=("red", (150, 60, 48)))  # fmt: skip
            x += wide
        for x in b.rng.uniform(-r, r, 3):
            add_truck(b, float(x), y + 8, 0)
        y -= 34.0


def _marina(b: Builder, shore: float) -> None:
    r = b.reach
    step = float(b.rng.uniform(38, 52))
    for x in np.arange(-r + float(b.rng.uniform(0, step)), r, step):
        long = float(b.rng.uniform(0.5, 0.9)) * b.half
        b.thing("pier", RECT, x, shore + long / 2, length=long, width=2.6, angle=90, height=1,
                colour=("gray", (176, 170, 158)))  # fmt: skip
        for y in np.arange(shore + 6, shore + long - 3, 5.4):
            for side in (-1, 1):
                if b.chance(0.68):
                    size = float(b.rng.uniform(8, 14))
                    add_ship(b, x + side * (2.7 + size / 2), float(y), 0 if side > 0 else 180, size)


def port(b: Builder) -> None:
    """Lay out a harbour: water, a quay with containers or a promenade, moored ships, boats at piers, one under way."""
    r = b.reach
    shore = float(b.rng.uniform(-0.45, 0.1)) * b.half
    b.ground = b.pick(("sea", "green_water"))
    marina = b.half < 40 or b.chance(0.45)
    for x in b.rng.uniform(-r, r, 3):
        size = float(b.rng.uniform(9, 18) if marina else b.rng.uniform(22, 70))
        away = shore + (0.9 * b.half if marina else 24 + 0.8 * size)
        _sail(b, float(x), away + float(b.rng.uniform(0, max(20.0, r - away))), float(b.rng.uniform(0, 360)), size)
    if marina:
        b.area("grass", b.rect(-r, -r, r, shore))
        b.area("concrete", b.rect(-r, shore - 9, r, shore), block=PAVED)
        b.road(np.array([(-r, shore - 20), (r, shore - 20)]), 7)
        x = -r
        while x < r:
            add_building(b, x + 14, shore - 38, float(b.rng.uniform(14, 24)), 13, style=b.pick(("house", "flat")))
            x += float(b.rng.uniform(28, 44))
        tree_row(b, (-r, shore - 12), (r, shore - 12), 11)
        _marina(b, shore)
    else:
        _quay(b, shore)
        x = -r + float(b.rng.uniform(0, 40))
        while x < r:
            size = float(b.rng.uniform(35, min(150, 1.3 * b.half)))
            if b.chance(0.85):
                add_ship(b, x + size / 2, shore + 3 + size * 0.1, float(b.pick((0.0, 180.0))), size)
            x += size + float(b.rng.uniform(8, 40))


def _sail(b: Builder, x: float, y: float, angle: float, size: float) -> None:
    """Let a ship sail, with a wake behind it."""
    if not add_ship(b, x, y, angle, size):
        return
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    path = np.array([(x - cos * size * t, y - sin * size * t) for t in (0.4, 0.8, 1.3, 1.9)])
    b.area("foam", ribbon(path, np.array([0.1, 0.12, 0.11, 0.05]) * size), soft_m=0.05 * size)


def parking(b: Builder) -> None:
    """Lay out a parking lot: stalls with cars in rows, aisles, islands with trees, a building and a road beside it."""
    r = b.reach
    b.ground = b.pick(("lot", "lot", "concrete"))
    fill = float(b.rng.uniform(0.35, 0.95))
    top = float(b.rng.uniform(-0.5, -0.1)) * b.half if b.chance(0.65) else -r
    if top > -r:
        b.road(np.array([(-r, top - 7), (r, top - 7)]), 8)
        drive_cars(b, (-r, top - 7), (r, top - 7))
        x = -r
        while x < r:
            wide = float(b.rng.uniform(26, 70))
            add_building(b, x + wide / 2, top - 16 - 14, wide - 8, 26, style="flat")
            x += wide
    islands: list[np.ndarray] = []
    for y in np.arange(top + 4, r, 17.0).tolist():
        for row, nose in ((y, 90.0), (y + 5.2, -90.0)):
            islands += _stalls(b, row, nose, fill)
    b.area("lawn", *islands)
    for x, y in b.spots(3):
        add_car(b, float(x), float(y), 0)


def _stalls(b: Builder, y: float, nose: float, fill: float) -> list[np.ndarray]:
    """Mark one row of stalls of 2.6 x 5.2 m and park cars in a share of them; give the islands, which hold a tree."""
    r, islands = b.reach, []
    b.line([(-r, y + 5.2 if nose > 0 else y), (r, y + 5.2 if nose > 0 else y)], width_m=0.12)
    at = np.arange(-r, r, 2.6)
    b.segments(np.stack([np.stack([at, at * 0 + end], axis=1) for end in (y, y + 5.2)], axis=1), width_m=0.12)
    stains = at + 1.3 + b.rng.normal(0, 0.2, len(at))
    b.segments(
        np.stack([np.stack([stains, stains * 0 + end], axis=1) for end in (y + 1.4, y + 3.8)], axis=1),
        width_m=1.1, colour=DARK_WEAR, strength=0.22,
    )  # fmt: skip
    for index, x in enumerate(at.tolist()):
        if index % 12 == 5:
            islands.append(b.rect(x, y, x + 2.6, y + 5.2))
            add_tree(b, x + 1.3, y + 2.6, size=float(b.rng.uniform(2.6, 4.0)))
        elif b.chance(fill):
            add_car(b, x + 1.3, y + 2.6 + float(b.rng.normal(0, 0.15)), nose)
    return islands


def intersection(b: Builder) -> None:
    """Lay out two crossing roads with traffic, zebra crossings, corner buildings and trees."""
    r = b.reach
    width = float(b.rng.choice([8.0, 14.0]))
    for path in (np.array([(-r, 0.0), (r, 0.0)]), np.array([(0.0, -r), (0.0, r)])):
        b.road(path, width)
    half = width / 2
    b.area("asphalt", b.rect(-half, -half, half, half))
    for at in np.arange(-half + 0.8, half - 0.5, 1.2):
        for side in (-1, 1):
            b.line([(side * (half + 2), at), (side * (half + 5), at)], width_m=0.5)
            b.line([(at, side * (half + 2)), (at, side * (half + 5))], width_m=0.5)
    for start, end in (((-r, 0.0), (-half - 6, 0.0)), ((half + 6, 0.0), (r, 0.0)), ((0.0, -r), (0.0, -half - 6)),
                       ((0.0, half + 6), (0.0, r))):  # fmt: skip
        drive_cars(b, start, end, lane=width / 4, every=14)
    style = b.pick(("flat", "house"))
    for sx in (-1, 1):
        for sy in (-1, 1):
            for dx in np.arange(half + 16, r, 30):
                for dy in np.arange(half + 16, r, 30):
                    if b.chance(0.75):
                        size = b.rng.uniform(11, 24, 2)
                        add_building(b, sx * float(dx), sy * float(dy), *map(float, size), style=style)
    for y in (-half - 5, half + 5):
        tree_row(b, (-r, y), (r, y), 10)
    scatter_trees(b, 14)


def bridge(b: Builder) -> None:
    """Lay out a river crossed by a road bridge, woods and fields on the banks."""
    r = b.reach
    wide = float(b.rng.uniform(0.5, 1.0)) * b.half
    at = np.linspace(-r, r, 40)
    path = np.stack([wander(b.rng, 40, 0.1 * b.half), at], axis=1)
    b.area("sand" if b.chance(0.5) else "soil", *strip(path, wide * 1.12), soft_m=4)
    b.area(b.pick(("green_water", "brown_water", "sea")), *strip(path, wide), soft_m=2, block=PAVED)
    y = float(b.rng.uniform(-0.25, 0.25)) * b.half
    deck = float(b.rng.choice([9.0, 13.0, 18.0]))
    b.road(np.array([(-r, y), (r, y)]), deck)
    b.thing("bridge", RECT, 0.0, y, length=wide * 1.2, width=deck + 2, height=7, colour=("gray", (150, 150, 148)),
            avoid=FREE, ground=PAVED)  # fmt: skip
    drive_cars(b, (-r, y), (r, y), lane=deck / 4)
    if b.chance(0.4):
        _sail(
            b,
            float(b.rng.normal(0, 0.1 * wide)),
            y + float(b.pick((-1, 1))) * 0.45 * b.half,
            90,
            float(b.rng.uniform(15, 40)),
        )
    scatter_trees(b, 60)


def railway_station(b: Builder) -> None:
    """Lay out parallel tracks with platforms, trains and a station building."""
    r = b.reach
    tracks = int(b.rng.integers(4, 9))
    low = -tracks * 2.6
    b.area("gravel", b.rect(-r, low - 3, r, -low + 3), block=PAVED)
    for index in range(tracks):
        y = low + 2.6 + index * 5.2
        for rail in (-0.72, 0.72):
            b.line([(-r, y + rail), (r, y + rail)], width_m=0.25, colour=(74, 66, 60))
        if index % 3 == 1:
            b.thing(
                "platform", RECT, 0, y + 2.6, length=1.5 * b.half, width=2.4, height=4, colour=("gray", (186, 186, 182))
            )
        if b.chance(0.55):
            length = float(b.rng.uniform(50, 150))
            b.thing("train", RECT, float(b.rng.uniform(-0.6, 0.6)) * b.half, y, length=length, width=3.0, height=4,
                    colour=b.pick((("white", (216, 217, 216)), ("blue", (64, 92, 148)), ("green", (60, 98, 76)),
                                   ("red", (160, 60, 50)))))  # fmt: skip
    add_building(b, 0, low - 24, min(110, 1.2 * b.half), 26, style="flat", height=14)
    b.road(np.array([(-r, low - 50), (r, low - 50)]), 9)
    drive_cars(b, (-r, low - 50), (r, low - 50))
    for x in np.arange(-r, r, 34):
        add_building(b, float(x), -low + 24, 26, 20, style=b.pick(("flat", "shed", "house")))
        add_building(b, float(x), -low + 54, 24, 20, style=b.pick(("flat", "house")))
    scatter_trees(b, 12)
