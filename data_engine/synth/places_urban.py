"""Places where people live, work and play: residential areas, commerce, industry, tanks, playgrounds, parks."""

from __future__ import annotations

import numpy as np

from data_engine.synth.builder import PAVED, Builder
from data_engine.synth.outlines import blob, ribbon, wander
from data_engine.synth.parts import (
    add_building,
    add_car,
    add_court,
    add_pool,
    add_tank,
    add_tree,
    add_truck,
    drive_cars,
    scatter_trees,
    tree_row,
)

HEDGE = (54, 70, 42)


def _residential(
    b: Builder, *, lot: float, depth: float, house: tuple[float, float], trees: float, pools: float
) -> None:
    """Lay streets `2 * depth + 8` metres apart with lots on both sides, houses, drives, pools and gardens."""
    r = b.reach
    street = 7.0
    pitch = 2 * depth + street
    first = float(b.rng.uniform(-0.5, 0.5)) * pitch
    roof = b.pick(("hip", "gable", None))
    drives: list[np.ndarray] = []
    gardens: dict[str, list[np.ndarray]] = {"lawn": [], "meadow": [], "soil": [], "gravel": []}
    hedges: list[np.ndarray] = []
    for y in np.arange(first - pitch * np.ceil((r + first) / pitch), r + depth, pitch).tolist():
        b.road(np.stack([np.linspace(-r, r, 2), np.full(2, y)], axis=1), street, marks=b.chance(0.3))
        for side in (-1, 1):
            for x in np.arange(-r + float(b.rng.uniform(0, lot)), r, lot).tolist():
                if not b.far(x, y, depth) and b.chance(0.94):
                    _garden(b, x, y, side, lot, depth, gardens, hedges)
                    drives += _lot(b, x, y, side, lot, depth, house, roof, pools)
        drive_cars(b, (-r, y), (r, y), every=45, trucks=0.05)
    for surface, rings in gardens.items():
        b.area(surface, *rings)
    b.area("concrete", *drives)
    if hedges:
        b.segments(np.array(hedges), width_m=0.9, colour=HEDGE, strength=0.8)
    scatter_trees(b, trees)


def _garden(
    b: Builder, x: float, y: float, side: int, lot: float, depth: float, gardens: dict[str, list[np.ndarray]],
    hedges: list[np.ndarray],
) -> None:  # fmt: skip
    """Give a lot a ground of its own, or a bed in it, and a hedge or fence along its sides."""
    near, far = y + side * 3.9, y + side * (depth + 3.2)
    left, right = x - lot / 2, x + lot / 2
    if b.chance(0.6):
        gardens[b.pick(("lawn", "meadow", "soil"), (0.6, 0.3, 0.1))].append(b.rect(left, near, right, far))
    if b.chance(0.5):
        at, deep, wide, long = b.rng.uniform((-0.4, 0.45, 2, 2), (0.3, 0.8, 6, 8)).tolist()
        bed = b.rect(x + at * lot, y + side * deep * depth, x + at * lot + wide, y + side * (deep * depth + long))
        gardens[b.pick(("soil", "gravel", "meadow"))].append(bed)
    if b.chance(0.55):
        hedges.append(np.array([(right, near), (right, far)]))
    if b.chance(0.45):
        hedges.append(np.array([(left, far), (right, far)]))


def _lot(
    b: Builder, x: float, y: float, side: int, lot: float, depth: float, house: tuple[float, float], roof: str | None,
    pools: float,
) -> list[np.ndarray]:  # fmt: skip
    """Fill one lot with a house, maybe a drive with a car, a pool and trees; give the ring of the drive."""
    length, width = (float(value * b.rng.uniform(0.88, 1.12)) for value in house)
    back, drives = y + side * (3.5 + 5 + width / 2 + float(b.rng.uniform(0, 2))), []
    turn = float(b.rng.normal(0, 1.5))
    if not add_building(b, x, back, min(length, lot - 1.5), width, angle=turn, variant=roof, gap_m=0.4):
        return []
    if lot > 12:
        at = x + lot * 0.34
        drives.append(b.rect(at - 1.6, y + side * 3.5, at + 1.6, back))
        if b.chance(0.5):
            add_car(b, at, y + side * (3.5 + 3.6), 90)
    if b.chance(pools):
        along = float(b.rng.uniform(-0.15, 0.15)) * lot
        add_pool(b, x + along, y + side * (depth - 6), float(b.rng.choice([0, 90, 0])))
    for dx in b.rng.uniform(-0.45, 0.45, 2).tolist():
        if b.chance(0.6):
            add_tree(b, x + dx * lot, y + side * (depth - float(b.rng.uniform(0, 8))))
    return drives


def dense_residential(b: Builder) -> None:
    """Lay out tightly packed houses along narrow streets."""
    if b.chance(0.5):
        _residential(b, lot=float(b.rng.uniform(9, 12)), depth=17, house=(10, 10.5), trees=16, pools=0.02)
    else:
        _residential(b, lot=float(b.rng.uniform(13, 16)), depth=22, house=(12, 12), trees=26, pools=0.1)


def medium_residential(b: Builder) -> None:
    """Lay out detached houses with gardens, drives and pools."""
    _residential(b, lot=float(b.rng.uniform(19, 25)), depth=30, house=(16, 12), trees=46, pools=0.3)


def sparse_residential(b: Builder) -> None:
    """Lay out a few large houses among trees and meadows."""
    b.ground = b.pick(("grass", "meadow"))
    _residential(b, lot=float(b.rng.uniform(46, 60)), depth=52, house=(20, 14), trees=60, pools=0.45)


def commercial(b: Builder) -> None:
    """Lay out large flat-roofed blocks, streets on a grid, plazas and small car parks."""
    r = b.reach
    b.ground = "concrete"
    block = float(b.rng.uniform(62, 84))
    start = float(b.rng.uniform(-block, 0))
    at = np.arange(start - block * np.ceil(r / block), r + block, block)
    for value in at:
        b.road(np.array([(-r, value), (r, value)]), 11)
        b.road(np.array([(value, -r), (value, r)]), 11)
    for value in at:
        for other in at:
            b.area("asphalt", b.rect(value - 5.5, other - 5.5, value + 5.5, other + 5.5))
        drive_cars(b, (-r, value), (r, value), lane=2.7, every=16)
        drive_cars(b, (value, -r), (value, r), lane=2.7, every=16)
    for x in at + block / 2:
        for y in at + block / 2:
            _city_block(b, float(x), float(y), block - 18)
    scatter_trees(b, 22)


def _city_block(b: Builder, x: float, y: float, side: float) -> None:
    """Fill one block with one big building, two or four, or a plaza with trees."""
    half = side / 2
    form = b.pick((1, 2, 4, 0), (0.3, 0.3, 0.3, 0.1))
    if form == 0:
        b.area("lawn", b.rect(x - half, y - half, x + half, y + half))
        return
    if form == 1:
        add_building(
            b,
            x,
            y,
            side * 0.86,
            side * float(b.rng.uniform(0.6, 0.86)),
            style="flat",
            height=float(b.rng.uniform(12, 34)),
        )
        return
    for sx in (-0.5, 0.5):
        for sy in (-0.5, 0.5) if form == 4 else (0.0,):
            add_building(b, x + sx * half, y + sy * half, half * 0.8, (half if form == 4 else side) * 0.8, style="flat",
                         height=float(b.rng.uniform(9, 30)))  # fmt: skip


def industrial(b: Builder) -> None:
    """Lay out large sheds, yards with lorries and containers, service roads."""
    r = b.reach
    b.ground = b.pick(("concrete", "lot", "gravel"))
    y = -r + float(b.rng.uniform(0, 30))
    while y < r:
        depth = float(b.rng.uniform(26, 48))
        x = -r
        while x < r:
            wide = float(b.rng.uniform(30, 90))
            if b.chance(0.88):
                add_building(
                    b, x + wide / 2, y + depth / 2, wide - 7, depth - 4, style=b.pick(("shed", "shed", "flat"))
                )
            x += wide
        b.road(np.array([(-r, y + depth + 9), (r, y + depth + 9)]), 9, marks=False)
        for x in b.rng.uniform(-r, r, int(b.half / 9)):
            (add_truck if b.chance(0.6) else add_car)(b, float(x), y + depth + float(b.rng.choice([2.5, 6.5, 11.5])), 0)
        y += depth + 18
    scatter_trees(b, 5)


def storage_tanks(b: Builder) -> None:
    """Lay out a tank farm: rows of tanks of one or two sizes inside bunds, pipes, service roads."""
    r = b.reach
    b.ground = b.pick(("soil", "gravel", "concrete", "grass"))
    diameter = float(b.rng.uniform(9, min(46, 0.5 * b.half + 6)))
    pitch = diameter * float(b.rng.uniform(1.3, 1.7)) + 4
    rows = int(b.rng.integers(1, 4))
    for index, y in enumerate(np.arange(-r + float(b.rng.uniform(0, pitch)), r, pitch)):
        if index % (rows + 1) == rows:
            b.road(np.array([(-r, y), (r, y)]), 6.5, marks=False)
            drive_cars(b, (-r, y), (r, y), every=60, trucks=0.6)
            continue
        bund = b.rect(-r, y - pitch * 0.47, r, y + pitch * 0.47)
        b.line(np.concatenate([bund, bund[:1]]), width_m=1.2, colour=(176, 168, 152))
        for x in np.arange(-r + float(b.rng.uniform(0, 1)) * pitch, r, pitch):
            if b.chance(0.85):
                add_tank(b, float(x), float(y), diameter * float(b.pick((1.0, 1.0, 0.7))))
        for offset in (0.0, 1.0):
            b.line(
                [(-r, y + pitch * 0.42 + offset), (r, y + pitch * 0.42 + offset)], width_m=0.5, colour=(188, 186, 180)
            )
    for x, y in b.spots(2):
        add_building(b, float(x), float(y), 16, 10, style="shed")
    scatter_trees(b, 4)


def playground(b: Builder) -> None:
    """Lay out a sports ground: a running track or pitch, courts, a stand, trees and a road."""
    r = b.reach
    b.ground = b.pick(("lawn", "grass"))
    scale = float(np.clip(b.half / 92, 0.45, 1.0))
    label = b.pick(("running track", "football field"), (0.65, 0.35))
    y = float(b.rng.uniform(-0.15, 0.1)) * b.half
    add_court(b, label, 0, y, scale=scale)
    edge = y + (94 if label == "running track" else 66) * scale / 2
    b.area("lot", b.rect(-r, edge + 7, r, edge + 32))
    x = -0.9 * b.half
    court = b.pick(("tennis court", "basketball court"))
    while x < 0.9 * b.half:
        add_court(b, court, x + 9.5, edge + 19, 90, scale=0.62)
        x += 14.0
    b.road(np.array([(-r, edge + 40), (r, edge + 40)]), 8)
    drive_cars(b, (-r, edge + 40), (r, edge + 40))
    for x in np.arange(-r, r, 44):
        if b.chance(0.7):
            add_building(b, float(x), y - 62 * scale - 10, 36, 14, style="flat")
            add_building(b, float(x), edge + 58, 34, 15, style="flat")
    tree_row(b, (-r, edge + 33.5), (r, edge + 33.5), 7)
    scatter_trees(b, 30)


def tennis_court(b: Builder) -> None:
    """Lay out a block of tennis courts with trees, a club house and a small car park."""
    b.ground = b.pick(("lawn", "grass"))
    columns, rows = (int(value) for value in b.rng.integers(1, 4, 2))
    b.area("lot", b.rect(-columns * 20 - 3, -rows * 11 - 2, columns * 20 + 3, rows * 11 + 2))
    for i in range(columns):
        for j in range(rows):
            add_court(b, "tennis court", (i - (columns - 1) / 2) * 39.5, (j - (rows - 1) / 2) * 21)
    add_building(b, 0, -rows * 11 - 18, 26, 12)
    b.road(np.array([(-b.reach, rows * 11 + 16), (b.reach, rows * 11 + 16)]), 7)
    drive_cars(b, (-b.reach, rows * 11 + 16), (b.reach, rows * 11 + 16))
    scatter_trees(b, 60)


def baseball_field(b: Builder) -> None:
    """Lay out a baseball field, sometimes two, with stands, trees and a road."""
    b.ground = b.pick(("lawn", "grass"))
    scale = float(np.clip(b.half / 84, 0.4, 1.0))
    add_court(b, "baseball field", float(b.rng.uniform(-0.2, 0.2)) * b.half, float(b.rng.uniform(-0.15, 0.15)) * b.half,
              scale=scale)  # fmt: skip
    if b.chance(0.4):
        add_court(b, "baseball field", -1.0 * b.half, 0.9 * b.half, 180, scale=scale * 0.7)
    r = b.reach
    b.road(np.array([(-r, -0.85 * b.half), (r, -0.85 * b.half)]), 7)
    drive_cars(b, (-r, -0.85 * b.half), (r, -0.85 * b.half))
    for x, y in b.spots(4):
        add_building(b, float(x), float(y), 20, 11, style="flat")
    scatter_trees(b, 40)


def park(b: Builder) -> None:
    """Lay out a park: lawn, winding paths, a pond, groups of trees, houses at one side."""
    r = b.reach
    b.ground = "lawn"
    for _ in range(3):
        at = np.linspace(-r, r, 40)
        path = np.stack([at, wander(b.rng, 40, 0.25 * b.half) + float(b.rng.uniform(-0.6, 0.6)) * b.half], axis=1)
        if b.chance(0.5):
            path = path[:, ::-1]
        b.area("concrete", ribbon(path, 3.0), soft_m=0.4, block=PAVED)
    ring = blob(b.rng, 0.26 * b.half) + b.rng.uniform(-0.4, 0.4, 2) * b.half
    b.area("sand", (ring - ring.mean(axis=0)) * 1.06 + ring.mean(axis=0), soft_m=1)
    b.area("green_water", ring, soft_m=0.8, block=PAVED)
    if b.chance(0.5):
        for x in np.arange(-r, r, 30):
            add_building(b, float(x), -0.9 * b.half, 20, 14, style=b.pick(("flat", "house")))
    scatter_trees(b, 110)
