"""What happens to land between two dates: it is flooded, it burns, its trees are cleared; with ragged natural edges.

An event is chosen on the layout of the first date and gives the layout of the second and the pixels that it changed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np

from data_engine.labels import crop_mask
from data_engine.synth.canvas import exact_mask
from data_engine.synth.labels import land_cover
from data_engine.synth.noise import DEVIATION, crop, power_tile
from data_engine.synth.records import LAND, Area, Event, EventKind, Layout, Thing

SUBJECTS = {"field": "farmland", "forest": "forest", "grass": "grassland", "bare": "bare land"}
PLANTED = ("field", "forest", "grass")
CHARRED = (38, 33, 30)
LEAST_SHARE = 0.01
"""The smallest share of the image that an event changes."""
LEAST_COVER: dict[EventKind, float] = {"flooded": 0.5, "burnt": 0.3, "cleared": 0.1}
"""The smallest share of the drawn patch that has to show the event."""
TRIES = 6


def choose_event(rng: np.random.Generator, layout: Layout) -> tuple[Layout, Event] | None:
    """Let something happen to a place; give its layout afterwards and the event, or None where nothing can happen."""
    land = land_cover(layout)
    order = [tuple(EVENTS)[index] for index in rng.permutation(len(EVENTS)).tolist()]
    for kind in sorted(order, key=lambda kind: kind != "cleared") if rng.random() < 0.5 else order:
        eligible = _eligible(kind, layout, land)
        for _ in range(TRIES if eligible.mean() > LEAST_SHARE else 0):
            region = EVENTS[kind](rng, land, eligible)
            changed = cv2.morphologyEx((region & eligible).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
            mask = crop_mask(changed > 0)
            if mask is not None and changed.mean() >= LEAST_SHARE and changed.sum() >= LEAST_COVER[kind] * region.sum():
                covered = region if kind == "flooded" else changed > 0
                return _apply(rng, layout, kind, covered, land), Event(kind, _subject(kind, land[changed > 0]), mask)
    return None


def _ragged(rng: np.random.Generator, land: np.ndarray, eligible: np.ndarray) -> np.ndarray:
    """Draw a patch with a ragged edge around some eligible pixel: a disc whose rim natural noise moves in and out."""
    size = len(land)
    chosen = int(rng.integers(np.count_nonzero(eligible)))
    y, x = divmod(int(np.flatnonzero(eligible)[chosen]), size)
    radius = float(rng.uniform(0.14, 0.36)) * size
    cols, rows = np.meshgrid(np.arange(size, dtype=np.float32) - x, np.arange(size, dtype=np.float32) - y)
    return np.hypot(cols, rows) / radius + 0.3 * _noise(rng, size) < 1


def _beside_water(rng: np.random.Generator, land: np.ndarray, eligible: np.ndarray) -> np.ndarray:
    """Draw what lies near water and low; a ragged patch where the place has no water."""
    water = land == LAND.index("water")
    if not 0.01 < water.mean() < 0.6:
        return _ragged(rng, land, eligible)
    away = cv2.distanceTransform((~water).astype(np.uint8), cv2.DIST_L2, 3) / len(land)
    level = float(rng.uniform(0.05, 0.22))
    return ~water & (away + 0.4 * level * _noise(rng, len(land)) < level)


def _noise(rng: np.random.Generator, size: int) -> np.ndarray:
    tile = crop(power_tile(1.5), rng, (size, size), zoom=max(1.0, size / 512))
    return (tile.astype(np.float32) - 128) / DEVIATION


EVENTS: dict[EventKind, Callable[[np.random.Generator, np.ndarray, np.ndarray], np.ndarray]] = {
    "flooded": _beside_water,
    "burnt": _ragged,
    "cleared": _ragged,
}


def _eligible(kind: EventKind, layout: Layout, land: np.ndarray) -> np.ndarray:
    """Say where an event shows: no roof floods, only plants burn, only woods are cleared."""
    if kind == "flooded":
        dry = (land != LAND.index("water")) & (land != LAND.index("building"))
        return dry & ~_covered(layout, ("tree", "ship", "bridge", "pier", "storage tank"))
    if kind == "cleared":
        return _wooded(layout, land)
    built = {thing.label for thing in layout.things} - {"tree"}
    return np.isin(land, [LAND.index(name) for name in PLANTED]) & ~_covered(layout, tuple(built))


def _wooded(layout: Layout, land: np.ndarray) -> np.ndarray:
    return (land == LAND.index("forest")) | _covered(layout, ("tree",))


def _covered(layout: Layout, labels: tuple[str, ...]) -> np.ndarray:
    covered = np.zeros((layout.size_px, layout.size_px), bool)
    for thing in layout.things:
        if thing.label in labels and (found := exact_mask(covered.shape, thing.outline)) is not None:
            x1, y1, x2, y2 = found[1]
            covered[y1:y2, x1:x2] |= found[0]
    return covered


def _subject(kind: EventKind, land: np.ndarray) -> str:
    """Name what was there: most of these LAND indices; what is cleared is forest, or else single trees."""
    most = LAND[int(np.bincount(land, minlength=len(LAND)).argmax())]
    return "trees" if kind == "cleared" and most != "forest" else SUBJECTS.get(most, "land")


def _apply(rng: np.random.Generator, layout: Layout, kind: EventKind, region: np.ndarray, land: np.ndarray) -> Layout:
    """Cover the region with what is left there, and take or char the things on it."""
    surface = {"flooded": "brown_water", "burnt": "burnt", "cleared": str(rng.choice(["soil", "stubble", "bareland"]))}
    covered = region & (land == LAND.index("forest")) if kind == "cleared" else region
    area = Area(surface[kind], (), int(rng.integers(2**31)), soft_px=0.8, mask=covered.astype(np.uint8) * 255)
    if kind == "cleared":
        region = cv2.dilate(region.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    things = [_after(thing, kind) if _inside(thing, region) else thing for thing in layout.things]
    return replace(layout, areas=(*layout.areas, area), things=tuple(thing for thing in things if thing is not None))


def _inside(thing: Thing, region: np.ndarray) -> bool:
    limit = region.shape[0] - 1
    return bool(region[min(max(int(thing.cy), 0), limit), min(max(int(thing.cx), 0), limit)])


def _after(thing: Thing, kind: EventKind) -> Thing | None:
    """Give what an event leaves of a thing that stands in it."""
    if kind == "flooded" and (thing.height_m <= 0 or thing.label in ("car", "truck")):
        return None
    if thing.label == "tree" and kind == "cleared":
        return None
    if thing.label == "tree" and kind == "burnt":
        return replace(thing, colour=CHARRED, variant="evergreen")
    return thing
