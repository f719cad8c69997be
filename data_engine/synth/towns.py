"""Towns as satellites see them: thousands of houses on street grids, laid at once, drawn but too small for labels."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from data_engine.synth.builder import MARGIN_PX, SOLID, Builder
from data_engine.synth.outlines import blob, place, ribbon
from data_engine.synth.parts import ROOFS, TREE_COLOURS
from data_engine.synth.records import Crowd

LOOKUP = 512


@dataclass(frozen=True, slots=True)
class Quarter:
    """Describe a quarter in metres: lots along streets, their depth, houses, streets, trees a hectare, its ground."""

    lot: float
    depth: float
    house: tuple[float, float]
    height: float
    street: float
    trees: float
    roofs: str
    ground: str


QUARTERS: dict[str, Quarter] = {
    "dense residential": Quarter(13, 17, (11, 11), 7, 7, 6, "house", "concrete"),
    "medium residential": Quarter(23, 29, (15, 12), 6, 7, 16, "house", "lawn"),
    "sparse residential": Quarter(52, 52, (19, 14), 6, 6, 22, "house", "grass"),
    "commercial": Quarter(42, 36, (34, 28), 22, 11, 3, "flat", "concrete"),
    "industrial": Quarter(70, 52, (58, 40), 10, 10, 2, "shed", "lot"),
}


def lay_town(b: Builder, kind: str, ring: np.ndarray) -> None:
    """Fill a ring (N, 2) in local metres with streets and houses of a QUARTERS kind."""
    quarter = QUARTERS[kind]
    coarse = max(1.0, b.gsd_m / 4)
    b.area(quarter.ground, ring, soft_m=2 * b.gsd_m)
    turn = float(b.rng.uniform(0, np.pi))
    axes = np.array(((np.cos(turn), np.sin(turn)), (-np.sin(turn), np.cos(turn))))
    local = (ring - ring.mean(axis=0)) @ axes.T
    low, high = local.min(axis=0), local.max(axis=0)
    pitch = (2 * quarter.depth + quarter.street) * (coarse if quarter.depth < 30 else 1.0)
    rows = np.arange(low[1] + pitch * b.rng.random(), high[1], pitch)
    cross = np.arange(low[0] + 4 * pitch * b.rng.random(), high[0], pitch * float(b.rng.uniform(2.5, 5)))
    lots = np.arange(low[0], high[0], quarter.lot * coarse)
    x, y = (grid.ravel() for grid in np.meshgrid(lots, np.concatenate([rows - pitch / 4, rows + pitch / 4])))
    places = np.stack([x, y], axis=1) + b.rng.normal(0, 0.08 * quarter.lot, (len(x), 2))
    off_street = np.abs(places[:, 0, None] - cross[None]).min(axis=1, initial=np.inf) > quarter.street + 4
    centres = places[off_street & (b.rng.random(len(x)) < 0.92)] @ axes + ring.mean(axis=0)
    streets = _streets(rows, cross, low, high, axes, ring, quarter.street)
    b.area("asphalt", *streets, block=SOLID)
    sides = np.array(quarter.house) * coarse * b.rng.uniform(0.75, 1.2, (len(centres), 2))
    add_crowd(b, "building", centres[inside(ring, centres)], sides[inside(ring, centres)], np.degrees(turn),
              quarter.height, quarter.roofs)  # fmt: skip
    plant(b, ring, quarter.trees)


def _streets(
    rows: np.ndarray, cross: np.ndarray, low: np.ndarray, high: np.ndarray, axes: np.ndarray, ring: np.ndarray,
    wide: float,
) -> list[np.ndarray]:  # fmt: skip
    """Give the streets as rings in local metres, where they run inside the town's ring."""
    found = []
    for axis, offsets in ((0, rows), (1, cross)):
        along = np.arange(low[axis], high[axis], 15.0)
        for offset in offsets:
            points = np.stack([along, np.full_like(along, offset)], axis=1)[:, :: 1 if axis == 0 else -1]
            path = points @ axes + ring.mean(axis=0)
            flags = inside(ring, path)
            edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
            for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
                if stop - start > 2:
                    found.append(ribbon(path[[start, stop - 1]], wide))
    return found


def inside(ring: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Say which points (N, 2) lie inside a ring, to one part in LOOKUP of its size."""
    low, size = ring.min(axis=0), np.ptp(ring, axis=0).max() + 1e-9
    lookup = np.zeros((LOOKUP, LOOKUP), np.uint8)
    cv2.fillPoly(lookup, [((ring - low) / size * (LOOKUP - 1)).astype(np.int32)], 1)
    at = ((points - low) / size * (LOOKUP - 1)).astype(int)
    known = ((at >= 0) & (at < LOOKUP)).all(axis=1)
    at = np.clip(at, 0, LOOKUP - 1)
    return known & (lookup[at[:, 1], at[:, 0]] > 0)


def add_crowd(
    b: Builder, label: str, centres: np.ndarray, sides: np.ndarray, angle: float, height: float, roofs: str = ""
) -> None:
    """Stand things at (N, 2) local metres with sides (N, 2) metres where the ground is free."""
    points = b.px(centres)
    at = points.astype(int) + MARGIN_PX
    limit = b.occupied.shape[0]
    known = np.asarray(((at >= 0) & (at < limit)).all(axis=1))
    at = at.clip(0, limit - 1)
    seen = known & (b.occupied[at[:, 1], at[:, 0]] == 0)
    if not seen.any():
        return
    points, sides, count = points[seen], sides[seen] / b.gsd_m, int(seen.sum())
    paints = np.array([colour for _, colour in ROOFS[roofs]] if roofs else TREE_COLOURS, float)
    colours = paints[b.rng.integers(0, len(paints), count)] * b.rng.normal(1, 0.1, (count, 1))
    turns = b.angle_deg + angle + (b.rng.normal(0, 2, count) if roofs else b.rng.uniform(0, 90, count))
    heights = height * b.rng.uniform(0.6, 1.5, count)
    poses = np.column_stack([points, sides, turns])
    b.crowds.append(Crowd(label, poses, heights, np.clip(colours, 0, 255).astype(np.uint8), roofs))


def plant(b: Builder, ring: np.ndarray, per_hectare: float) -> None:
    """Plant single trees inside a ring in local metres, fewer and wider ones where pixels are large."""
    coarse = max(1.0, b.gsd_m / 4)
    low, high = ring.min(axis=0), ring.max(axis=0)
    count = int(min(4000, per_hectare * np.prod(high - low) / 1e4 / coarse**2))
    centres = b.rng.uniform(low, high, (count, 2))
    centres = centres[inside(ring, centres)]
    crowns = b.rng.uniform(5, 10, (len(centres), 1)) * coarse
    add_crowd(b, "tree", centres, np.repeat(crowns, 2, axis=1), 0.0, 7.0)


def village(b: Builder) -> None:
    """Lay a village or small town where there is room for it."""
    kind = b.pick(("medium residential", "dense residential", "sparse residential"), (0.5, 0.2, 0.3))
    radius = float(b.rng.uniform(0.08, 0.2)) * b.half
    for x, y in b.spots(5, 0.8).tolist():
        ring = blob(b.rng, min(500.0, max(120.0, radius)), x=x, y=y)
        if b.free(ring):
            lay_town(b, kind, ring)
            return


def square(half: float) -> np.ndarray:
    """Give the ring of a square around the origin."""
    return place(np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]), cx=0, cy=0, length_px=half, width_px=half, angle_deg=0)
