"""Which things of a place come, go and move between two dates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from data_engine.synth.builder import PAVED, SOLID, TREE, Builder
from data_engine.synth.canvas import exact_mask
from data_engine.synth.kinds import lay_out
from data_engine.synth.labels import label_things, land_cover
from data_engine.synth.outlines import place
from data_engine.synth.parts import add_building, add_pool
from data_engine.synth.records import Layout, Thing

CHANGING = ("building", "storage tank", "swimming pool", "tennis court", "basketball court")
MOVING = ("ship", "plane", "train")
WIDE_M = 2.0
MOVES_TRIED = 12


def lay_out_with_sites(
    kind: str, rng: np.random.Generator, size_px: int, gsd_m: float
) -> tuple[Builder, Layout, list[Thing]]:
    """Lay out a place and then a group of new buildings (sometimes a pool) where nothing but trees stood."""
    builder = lay_out(kind, rng, size_px=size_px, gsd_m=gsd_m)
    known = len(builder.things)
    _add_sites(builder)
    new = builder.things[known:]
    kept = [thing for thing in builder.things if thing.label != "tree" or not _shades(thing, new)]
    return builder, replace(builder.finish(kind), things=tuple(kept)), new


def _shades(tree: Thing, things: list[Thing]) -> bool:
    """Say whether a tree stands so near one of the things that its crown could reach over it."""
    return any(
        np.hypot(tree.cx - thing.cx, tree.cy - thing.cy) < (tree.length_px + thing.length_px + thing.width_px) / 2
        for thing in things
    )


def _add_sites(b: Builder) -> None:
    middle, turn = b.spots(1, 0.7)[0], float(b.rng.uniform(0, 90))
    style = b.pick(("house", "house", "flat", "shed"))
    length, width = (b.rng.uniform((12, 9), (22, 14)) * (1.0 if style == "house" else 1.6)).tolist()
    if b.gsd_m > WIDE_M:
        style, length, width = "shed", length * b.gsd_m * 1.6, width * b.gsd_m * 1.6
    for x, y in middle + b.rng.uniform(-0.6, 0.6, (int(b.rng.integers(2, 9)), 2)) * b.half:
        add_building(b, x, y, length, width, angle=turn, style=style, gap_m=2.0, avoid=SOLID | PAVED)
    if b.chance(0.2):
        x, y = b.spots(1, 0.6)[0].tolist()
        add_pool(b, x, y, turn)


def choose_changes(
    rng: np.random.Generator, layout: Layout, new: list[Thing]
) -> tuple[tuple[Thing, ...], tuple[Thing, ...]]:
    """Choose what is absent at first and what is gone later, at least one thing of the two."""
    visible = [thing for thing in layout.things if thing.label in CHANGING and label_things(layout, (thing,))]
    fresh = [thing for thing in visible if any(thing is other for other in new)]
    old = [thing for thing in visible if not any(thing is other for other in new)]
    built = list(fresh) if fresh and rng.random() < 0.8 else []
    demolished: list[Thing] = []
    if old and (not built or rng.random() < 0.35):
        count = int(rng.integers(1, min(5, len(old)) + 1))
        chosen = [old[int(index)] for index in rng.permutation(len(old))[:count]]
        if rng.random() < 0.5:
            demolished = chosen
        else:
            built += chosen
    return tuple(built), tuple(demolished)


def choose_moves(rng: np.random.Generator, b: Builder, layout: Layout) -> tuple[tuple[Thing, Thing], ...]:
    """Let one to three ships, planes or trains stand elsewhere later: pairs of the thing before and after."""
    movable = [
        thing for thing in layout.things
        if thing.label in MOVING and label_things(layout, (thing,)) and not _under_way(layout, thing)
    ]  # fmt: skip
    wanted, found = int(rng.integers(1, 4)), []
    land = land_cover(replace(layout, things=()))
    for index in rng.permutation(len(movable))[:wanted].tolist():
        new = _find_berth(rng, b, layout, movable[index], land)
        if new is not None:
            found.append((movable[index], new))
    return tuple(found)


def _under_way(layout: Layout, thing: Thing) -> bool:
    """Say whether a wake lies near a ship, which would stay behind without it."""
    wakes = [ring.mean(axis=0) for area in layout.areas if area.surface == "foam" for ring in area.rings]
    return any(np.hypot(x - thing.cx, y - thing.cy) < 2 * thing.length_px for x, y in wakes)


def _find_berth(
    rng: np.random.Generator, b: Builder, layout: Layout, thing: Thing, land: np.ndarray
) -> Thing | None:  # fmt: skip
    """Find a free place on the same ground, at least a length away; trains stay on their track."""
    along = np.array((np.cos(np.radians(thing.angle_deg)), np.sin(np.radians(thing.angle_deg))))
    ground = _ground_under(land, thing)
    for _ in range(MOVES_TRIED):
        if thing.label == "train":
            step, turn = along * float(rng.choice((-1, 1)) * rng.uniform(1.05, 2)) * thing.length_px, 0.0
        else:
            step = rng.uniform(-0.5, 0.5, 2) * layout.size_px
            turn = float(rng.uniform(0, 360)) if thing.label == "ship" else 0.0
        if np.hypot(*step) < thing.length_px:
            continue
        moved = _move(thing, step, turn)
        sides = (thing.length_px + 4, thing.width_px + 4)
        taken = b.covers(thing.unit, moved.cx, moved.cy, *sides, moved.angle_deg) & (SOLID | TREE)
        if not taken and ground is not None and _ground_under(land, moved) == ground and label_things(layout, (moved,)):
            return moved
    return None


def _move(thing: Thing, step_px: np.ndarray, turn_deg: float) -> Thing:
    cx, cy, angle_deg = thing.cx + float(step_px[0]), thing.cy + float(step_px[1]), thing.angle_deg + turn_deg
    outline = place(
        thing.unit, cx=cx, cy=cy, length_px=thing.length_px, width_px=thing.width_px, angle_deg=angle_deg
    )  # fmt: skip
    return replace(thing, outline=outline, cx=cx, cy=cy, angle_deg=angle_deg)


def _ground_under(land: np.ndarray, thing: Thing) -> int | None:
    """Give the land cover under a thing; None where it is not all the same or outside the image."""
    found = exact_mask(land.shape, thing.outline)
    if found is None or not found[0].any():
        return None
    (x1, y1, x2, y2), inside = found[1], found[0]
    values = np.unique(land[y1:y2, x1:x2][inside])
    return int(values[0]) if len(values) == 1 else None
