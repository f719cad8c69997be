"""Two dates of one place: true changes (built, demolished) and false ones (light, season, haze, jitter, traffic).

Both dates come from one layout. Cars and trucks differ between the dates and do not count as change.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from data_engine.synth.builder import PAVED, SOLID, Builder
from data_engine.synth.canvas import exact_mask
from data_engine.synth.kinds import choose_kind, lay_out
from data_engine.synth.labels import label_things
from data_engine.synth.looks import other_day, random_look
from data_engine.synth.parts import add_building, add_pool
from data_engine.synth.records import Area, Layout, SceneObject, ScenePair, Thing
from data_engine.synth.render import photograph
from vlm.geometry.shapes import HBB, Mask

CHANGING = ("building", "storage tank", "swimming pool", "tennis court", "basketball court")
MOST_TRIES = 6
TRAFFIC = ("car", "truck")
STABLE_KINDS = ("desert", "beach", "commercial", "railway station")


def render_pair(
    seed: int, *, size_px: int = 256, gsd_m: float = 0.5, kind: str | None = None, unchanged: float = 0.35,
    sensor: str = "rgb",
) -> ScenePair:  # fmt: skip
    """Render two dates of the place of a seed; with probability `unchanged` nothing but light and traffic differs."""
    rng = np.random.default_rng([seed, 11])
    changes = rng.random() >= unchanged
    for _ in range(MOST_TRIES):
        chosen = kind or _choose_changing_kind(rng, gsd_m)
        layout, new = _lay_out_with_sites(chosen, rng, size_px, gsd_m)
        appeared, vanished = _choose_changes(rng, layout, new) if changes else ((), ())
        if appeared or vanished or not changes:
            break
    never = () if changes and rng.random() < 0.5 else tuple(thing for thing in new if thing not in appeared)
    gone = {id(thing) for thing in never if thing not in vanished}
    before = _on_a_day(rng, layout, missing=gone | set(map(id, appeared)), lots=appeared)
    after = _on_a_day(rng, layout, missing=gone | set(map(id, vanished)), lots=vanished)
    look = random_look(rng)
    later = other_day(rng, look)
    appeared_objects = label_things(after, appeared, later.shift_px)
    vanished_objects = label_things(before, vanished, look.shift_px)
    mask = change_mask(size_px, (*appeared_objects, *vanished_objects))
    first = photograph(before, look, seed=seed, sensor=sensor)
    second = photograph(after, later, seed=seed, sensor=sensor)
    return ScenePair(first, second, mask, appeared_objects, vanished_objects)


def _choose_changing_kind(rng: np.random.Generator, gsd_m: float) -> str:
    while (kind := choose_kind(rng, gsd_m)) in STABLE_KINDS:
        pass
    return kind


def _lay_out_with_sites(kind: str, rng: np.random.Generator, size_px: int, gsd_m: float) -> tuple[Layout, list[Thing]]:
    """Lay out a place and then a group of new buildings (sometimes a pool) where nothing but trees stood."""
    builder = lay_out(kind, rng, size_px=size_px, gsd_m=gsd_m)
    known = len(builder.things)
    _add_sites(builder)
    new = builder.things[known:]
    kept = [thing for thing in builder.things if thing.label != "tree" or not _shades(thing, new)]
    return replace(builder.finish(kind), things=tuple(kept)), new


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
    for x, y in middle + b.rng.uniform(-0.6, 0.6, (int(b.rng.integers(2, 9)), 2)) * b.half:
        add_building(b, x, y, length, width, angle=turn, style=style, gap_m=2.0, avoid=SOLID | PAVED)
    if b.chance(0.2):
        x, y = b.spots(1, 0.6)[0].tolist()
        add_pool(b, x, y, turn)


def _choose_changes(
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


def _on_a_day(rng: np.random.Generator, layout: Layout, *, missing: set[int], lots: tuple[Thing, ...]) -> Layout:
    """Take away what is missing and a part of the traffic; bare ground lies where something is missing, mostly."""
    share = rng.uniform(0.5, 0.95)
    things = tuple(
        thing for thing in layout.things
        if id(thing) not in missing and (thing.label not in TRAFFIC or rng.random() < share)
    )  # fmt: skip
    surface = str(rng.choice(["soil", "soil", "gravel", "grass"]))
    bare = [
        Area(surface, (_grown(thing),), int(rng.integers(2**31)), 1.2)
        for thing in lots if thing.label == "building" and rng.random() < 0.65
    ]  # fmt: skip
    return replace(layout, things=things, areas=(*layout.areas, *bare))


def _grown(thing: Thing) -> np.ndarray:
    centre = np.array([thing.cx, thing.cy])
    return (thing.outline - centre) * 1.15 + centre


def change_mask(size_px: int, objects: tuple[SceneObject, ...]) -> Mask:
    """Cover the pixels of all changed objects, each at least half inside an outline: one cell a pixel."""
    bits = np.zeros((size_px, size_px), bool)
    for entry in objects:
        found = exact_mask(bits.shape, np.array(entry.polygon.exterior))
        if found is not None:
            x1, y1, x2, y2 = found[1]
            bits[y1:y2, x1:x2] |= found[0]
    return Mask(bits, HBB(0, 0, size_px, size_px))
