"""Two dates of one place: true changes (built, demolished, moved, flooded, burnt, cleared) and false ones.

Both dates come from one layout. Light, season, haze, registration and traffic differ between the dates and do not count
as change; neither do cars and trucks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from data_engine.synth.canvas import exact_mask
from data_engine.synth.events import choose_event
from data_engine.synth.kinds import choose_kind
from data_engine.synth.labels import label_things, land_cover
from data_engine.synth.looks import other_day, random_look
from data_engine.synth.records import Area, Event, Layout, SceneObject, ScenePair, Thing
from data_engine.synth.render import photograph
from data_engine.synth.sites import choose_changes, choose_moves, lay_out_with_sites
from vlm.geometry.shapes import HBB, Mask

MOST_TRIES = 6
TRAFFIC = ("car", "truck")
STABLE_KINDS = ("desert", "beach", "commercial", "railway station")
EVENT_SHARE, MOVE_SHARE, WIDE_M = 0.3, 0.5, 2.0


@dataclass(frozen=True, slots=True)
class Plan:
    """Say what differs: the layouts of the two dates, and what of them appeared, vanished, moved or happened."""

    before: Layout
    after: Layout
    appeared: tuple[Thing, ...] = ()
    vanished: tuple[Thing, ...] = ()
    moved: tuple[tuple[Thing, Thing], ...] = ()
    events: tuple[Event, ...] = ()

    @property
    def changed(self) -> bool:
        return bool(self.appeared or self.vanished or self.moved or self.events)


def render_pair(
    seed: int, *, size_px: int = 256, gsd_m: float = 0.5, kind: str | None = None, unchanged: float = 0.35,
    sensor: str = "rgb",
) -> ScenePair:  # fmt: skip
    """Render two dates of the place of a seed; with probability `unchanged` nothing but light and traffic differs."""
    rng = np.random.default_rng([seed, 11])
    changes = rng.random() >= unchanged
    for _ in range(MOST_TRIES):
        plan = _plan(rng, kind or _choose_changing_kind(rng, gsd_m), size_px, gsd_m, changes=changes)
        if plan.changed or not changes:
            break
    look = random_look(rng)
    later = other_day(rng, look)
    gone, come = zip(*plan.moved, strict=True) if plan.moved else ((), ())
    appeared = label_things(plan.after, (*plan.appeared, *come), later.shift_px)
    vanished = label_things(plan.before, (*plan.vanished, *gone), look.shift_px)
    moves = [
        (*label_things(plan.before, (old,), look.shift_px), *label_things(plan.after, (new,), later.shift_px))
        for old, new in plan.moved
    ]
    mask = change_mask(size_px, (*appeared, *vanished), plan.events)
    first = photograph(plan.before, look, seed=seed, sensor=sensor)
    second = photograph(plan.after, later, seed=seed, sensor=sensor)
    whole = tuple((move[0], move[1]) for move in moves if len(move) == 2)
    settled = land_cover(plan.after, look.shift_px)
    return ScenePair(first, second, mask, appeared, vanished, whole, plan.events, settled)


def _choose_changing_kind(rng: np.random.Generator, gsd_m: float) -> str:
    while (kind := choose_kind(rng, gsd_m)) in STABLE_KINDS:
        pass
    return kind


def _plan(rng: np.random.Generator, kind: str, size_px: int, gsd_m: float, *, changes: bool) -> Plan:
    """Lay out a place and choose what happens to it."""
    builder, layout, new = lay_out_with_sites(kind, rng, size_px, gsd_m)
    happens = changes and rng.random() < (0.7 if gsd_m > WIDE_M else EVENT_SHARE)
    found = choose_event(rng, _without(layout, new)) if happens else None
    if found is not None:
        after, event = found
        before = _without(layout, new)
        return Plan(_on_a_day(rng, before, lots=()), _on_a_day(rng, after, lots=()), events=(event,))
    moved = choose_moves(rng, builder, layout) if changes and rng.random() < MOVE_SHARE else ()
    if moved:
        still = _without(layout, new)
        after = replace(_without(still, [old for old, _ in moved]))
        after = replace(after, things=(*after.things, *(thing for _, thing in moved)))
        return Plan(_on_a_day(rng, still, lots=()), _on_a_day(rng, after, lots=()), moved=moved)
    appeared, vanished = choose_changes(rng, layout, new) if changes else ((), ())
    never = [] if changes and rng.random() < 0.5 else [thing for thing in new if thing not in appeared]
    never = [thing for thing in never if thing not in vanished]
    before = _on_a_day(rng, _without(layout, (*never, *appeared)), lots=appeared)
    after = _on_a_day(rng, _without(layout, (*never, *vanished)), lots=vanished)
    return Plan(before, after, appeared, vanished)


def _without(layout: Layout, things: tuple[Thing, ...] | list[Thing]) -> Layout:
    missing = set(map(id, things))
    return replace(layout, things=tuple(thing for thing in layout.things if id(thing) not in missing))


def _on_a_day(rng: np.random.Generator, layout: Layout, *, lots: tuple[Thing, ...]) -> Layout:
    """Take away a part of the traffic; bare ground lies where a building is not yet or no more, mostly."""
    share = rng.uniform(0.5, 0.95)
    things = tuple(thing for thing in layout.things if thing.label not in TRAFFIC or rng.random() < share)
    surface = str(rng.choice(["soil", "soil", "gravel", "grass"]))
    bare = [
        Area(surface, (_grown(thing),), int(rng.integers(2**31)), 1.2)
        for thing in lots if thing.label == "building" and rng.random() < 0.65
    ]  # fmt: skip
    return replace(layout, things=things, areas=(*layout.areas, *bare))


def _grown(thing: Thing) -> np.ndarray:
    centre = np.array([thing.cx, thing.cy])
    return (thing.outline - centre) * 1.15 + centre


def change_mask(size_px: int, objects: tuple[SceneObject, ...], events: tuple[Event, ...] = ()) -> Mask:
    """Cover the pixels of all changed objects, each at least half inside an outline, and of events: a cell a pixel."""
    bits = np.zeros((size_px, size_px), bool)
    for entry in objects:
        found = exact_mask(bits.shape, np.array(entry.polygon.exterior))
        if found is not None:
            x1, y1, x2, y2 = found[1]
            bits[y1:y2, x1:x2] |= found[0]
    for event in events:
        box = event.mask.box
        bits[int(box.y1) : int(box.y2), int(box.x1) : int(box.x2)] |= event.mask.bits
    return Mask(bits, HBB(0, 0, size_px, size_px))
