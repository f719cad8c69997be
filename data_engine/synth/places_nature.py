"""Places with more land than buildings: farmland, forest, river, pond, beach, meadow, bare land, desert."""

from __future__ import annotations

import numpy as np

from data_engine.synth.builder import PAVED, Builder
from data_engine.synth.outlines import blob, ribbon, strip, wander
from data_engine.synth.parts import add_building, add_car, add_tree, drive_cars, scatter_trees, tree_row

CROPS = ("crop_green", "crop_young", "crop_ripe", "crop_dark", "ploughed", "stubble", "crop_green")
Box = tuple[float, float, float, float]


def split_fields(b: Builder, box: Box, smallest: float) -> list[Box]:
    """Cut a rectangle into fields, at random places across the longer side."""
    x1, y1, x2, y2 = box
    if max(x2 - x1, y2 - y1) < smallest or (max(x2 - x1, y2 - y1) < 1.8 * smallest and b.chance(0.45)):
        return [box]
    share = float(b.rng.uniform(0.34, 0.66))
    if x2 - x1 > y2 - y1:
        cut = x1 + share * (x2 - x1)
        return split_fields(b, (x1, y1, cut, y2), smallest) + split_fields(b, (cut, y1, x2, y2), smallest)
    cut = y1 + share * (y2 - y1)
    return split_fields(b, (x1, y1, x2, cut), smallest) + split_fields(b, (x1, cut, x2, y2), smallest)


def farmland(b: Builder) -> None:
    """Lay out fields of several crops, tracks and hedges between them, and sometimes a farm."""
    r = b.reach
    b.ground = b.pick(("grass", "soil"))
    farm = b.chance(0.45)
    for x1, y1, x2, y2 in split_fields(b, (-r, -r, r, r), float(b.rng.uniform(0.5, 1.0)) * b.half):
        gap = float(b.rng.uniform(0.6, 2.2))
        ring = b.rect(x1 + gap, y1 + gap, x2 - gap, y2 - gap) + b.rng.normal(0, 0.8, (4, 2))
        crop = b.pick(CROPS)
        long_side = 90.0 if x2 - x1 > y2 - y1 else 0.0
        b.area(crop, ring, soft_m=0.8, row_deg=long_side + float(b.rng.normal(0, 2)))
        if b.chance(0.15):
            tree_row(b, (x1, y1), (x2, y1), 7)
    if b.chance(0.7):
        x = float(b.rng.uniform(-0.5, 0.5)) * b.half
        surface = b.pick(("dirt_road", "asphalt"))
        b.road(np.array([(x, -r), (x, r)]), 5.0, surface=surface, marks=False)
        drive_cars(b, (x, -r), (x, r), every=90)
        if farm:
            y = float(b.rng.uniform(-0.5, 0.5)) * b.half
            b.area("soil", b.rect(x + 4, y - 20, x + 62, y + 22), soft_m=2)
            add_building(b, x + 16, y, 15, 11)
            add_building(b, x + 42, y - 8, 30, 14, style="shed")
            add_building(b, x + 42, y + 13, 24, 11, style="shed")
            add_car(b, x + 26, y + 4, 60)
            for dx, dy in b.rng.normal(0, 18, (8, 2)):
                add_tree(b, x + 30 + float(dx), y + float(dy))


def forest(b: Builder) -> None:
    """Lay out closed woods, with a track, clearings or nothing else."""
    r = b.reach
    b.ground = "forest"
    for _ in range(int(b.rng.integers(0, 3))):
        ring = blob(b.rng, float(b.rng.uniform(0.12, 0.3)) * b.half) + b.spots(1)
        b.area(b.pick(("grass", "meadow", "soil")), ring, soft_m=2.5)
    if b.chance(0.4):
        at = np.linspace(-r, r, 40)
        path = np.stack([at, wander(b.rng, 40, 0.2 * b.half)], axis=1)
        b.road(path, 4.5, surface=b.pick(("dirt_road", "asphalt")), marks=False)


def river(b: Builder) -> None:
    """Lay out a winding river with bars of sand, woods and fields on its banks."""
    r = b.reach
    b.ground = b.pick(("grass", "meadow", "forest"))
    for x1, y1, x2, y2 in split_fields(b, (-r, -r, r, r), b.half) if b.ground == "grass" and b.chance(0.6) else ():
        b.area(b.pick(CROPS), b.rect(x1 + 2, y1 + 2, x2 - 2, y2 - 2), soft_m=0.8, row_deg=90)
    at = np.linspace(-1.1 * r, 1.1 * r, 64)
    path = np.stack([at, wander(b.rng, 64, 0.42 * b.half) + float(b.rng.uniform(-0.3, 0.3)) * b.half], axis=1)
    wide = float(b.rng.uniform(0.16, 0.5)) * b.half * (1 + wander(b.rng, 64, 0.16))
    if b.chance(0.7):
        b.area("forest", *strip(path, wide * 1.5 + 16), soft_m=3)
    b.area(b.pick(("sand", "soil")), *strip(path + wander(b.rng, 64, 2.0)[:, None], wide * 1.12), soft_m=2)
    b.area(b.pick(("green_water", "brown_water", "sea")), *strip(path, wide), soft_m=1.5, block=PAVED)
    if b.ground != "forest":
        scatter_trees(b, 40)


def pond(b: Builder) -> None:
    """Lay out a pond among grass, trees and a few houses."""
    b.ground = b.pick(("grass", "meadow", "lawn", "soil"))
    ring = blob(b.rng, float(b.rng.uniform(0.35, 0.6)) * b.half, 64) + b.rng.normal(0, 0.12, 2) * b.half
    centre = ring.mean(axis=0)
    b.area(b.pick(("sand", "soil", "forest")), (ring - centre) * 1.1 + centre, soft_m=2)
    b.area(b.pick(("green_water", "brown_water", "sea")), ring, soft_m=1.2, block=PAVED)
    if b.chance(0.5):
        b.road(np.array([(-b.reach, -0.85 * b.half), (b.reach, -0.85 * b.half)]), 6, marks=False)
        drive_cars(b, (-b.reach, -0.85 * b.half), (b.reach, -0.85 * b.half), every=50)
    for x, y in b.spots(int(b.rng.integers(0, 7))):
        add_building(b, float(x), float(y), 15, 11, angle=float(b.rng.uniform(0, 90)))
    scatter_trees(b, float(b.rng.uniform(15, 90)))


def beach(b: Builder) -> None:
    """Lay out a sandy shore: sea, shallow water, surf, sand, then grass or a promenade."""
    r = b.reach
    b.ground = "sea"
    at = np.linspace(-1.1 * r, 1.1 * r, 64)
    shore = wander(b.rng, 64, 0.12 * b.half) + float(b.rng.uniform(-0.3, 0.3)) * b.half

    def land(offset: np.ndarray | float) -> np.ndarray:
        line = np.stack([at, shore + offset], axis=1)
        return np.concatenate([line, [(1.1 * r, -2 * r), (-1.1 * r, -2 * r)]])

    b.area("shallow", land(0.22 * b.half), soft_m=0.09 * b.half)
    for offset in (0.16, 0.07, 0.0):
        wave = np.stack([at, shore + offset * b.half + wander(b.rng, 64, 1.5)], axis=1)
        b.area("foam", ribbon(wave, (1 + wander(b.rng, 64, 0.5)).clip(0.1) * 2.4), soft_m=0.9)
    b.area("sand", land(0.0), soft_m=0.8)
    edge = float(b.rng.uniform(0.3, 0.7)) * b.half
    b.area(b.pick(("grass", "forest", "soil")), land(-edge), soft_m=2.5)
    if b.chance(0.5):
        y = float(shore.mean()) - edge - 14
        b.road(np.array([(-r, y), (r, y)]), 7)
        drive_cars(b, (-r, y), (r, y))
        for x in np.arange(-r, r, 26):
            add_building(b, float(x), y - 16, 15, 12, style=b.pick(("house", "flat")))


def meadow(b: Builder) -> None:
    """Lay out open grass with a few trees or a track."""
    b.ground = "meadow"
    if b.chance(0.35):
        at = np.linspace(-b.reach, b.reach, 40)
        path = np.stack([at, wander(b.rng, 40, 0.2 * b.half)], axis=1)
        b.road(path, 3.0, surface="dirt_road", marks=False)
    scatter_trees(b, float(b.pick((0.0, 1.0, 5.0))))


def bare_land(b: Builder) -> None:
    """Lay out bare soil with tracks, patches of gravel and few shrubs."""
    b.ground = "bareland"
    for x, y in b.spots(4):
        b.area(
            b.pick(("soil", "gravel", "sand")),
            blob(b.rng, float(b.rng.uniform(0.1, 0.4)) * b.half) + np.array((x, y)),
            soft_m=6,
        )
    at = np.linspace(-b.reach, b.reach, 40)
    for _ in range(int(b.rng.integers(0, 3))):
        path = np.stack([at, wander(b.rng, 40, 0.3 * b.half) + float(b.rng.normal(0, 0.3)) * b.half], axis=1)
        b.road(path, 3.5, surface="dirt_road", marks=False)
    scatter_trees(b, 2)


def desert(b: Builder) -> None:
    """Lay out dunes: long soft crests of light and shade."""
    b.ground = "desert"
    r = b.reach
    step = float(b.rng.uniform(0.12, 0.35)) * b.half
    at = np.linspace(-r, r, 64)
    for y in np.arange(-r, r, step):
        crest = np.stack([at, y + wander(b.rng, 64, step * 0.5)], axis=1)
        width = (1 + wander(b.rng, 64, 0.6)).clip(0.1) * step * 0.4
        b.area("bareland", ribbon(crest, width), soft_m=step * 0.1)
