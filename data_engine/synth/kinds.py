"""The kinds of places that can be rendered: scene class (in RSICD's words where it has one) -> layout function."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from data_engine.synth import places_nature as nature
from data_engine.synth import places_transport as transport
from data_engine.synth import places_urban as urban
from data_engine.synth.builder import Builder
from vlm.errors import DataError

KINDS: dict[str, Callable[[Builder], None]] = {
    "airport": transport.airport,
    "bare land": nature.bare_land,
    "baseball field": urban.baseball_field,
    "beach": nature.beach,
    "bridge": transport.bridge,
    "commercial": urban.commercial,
    "dense residential": urban.dense_residential,
    "desert": nature.desert,
    "farmland": nature.farmland,
    "forest": nature.forest,
    "industrial": urban.industrial,
    "intersection": transport.intersection,
    "meadow": nature.meadow,
    "medium residential": urban.medium_residential,
    "park": urban.park,
    "parking": transport.parking,
    "playground": urban.playground,
    "pond": nature.pond,
    "port": transport.port,
    "railway station": transport.railway_station,
    "river": nature.river,
    "sparse residential": urban.sparse_residential,
    "storage tanks": urban.storage_tanks,
    "tennis court": urban.tennis_court,
}
WEIGHTS: dict[str, float] = {
    "airport": 3, "port": 3, "parking": 2.5, "storage tanks": 2.5, "medium residential": 2.5, "dense residential": 2,
    "intersection": 2, "playground": 1.5, "bare land": 0.6, "desert": 0.4, "meadow": 0.6, "forest": 0.7,
}  # fmt: skip


def choose_kind(rng: np.random.Generator) -> str:
    """Draw a kind; those with objects to point at come more often."""
    names = tuple(KINDS)
    weights = np.array([WEIGHTS.get(name, 1.0) for name in names])
    return names[int(rng.choice(len(names), p=weights / weights.sum()))]


def lay_out(kind: str, rng: np.random.Generator, *, size_px: int, gsd_m: float) -> Builder:
    """Lay out a place of this kind at a random angle; raise DataError for an unknown kind or an impossible size."""
    if kind not in KINDS:
        raise DataError(f"scene kind {kind!r} is unknown: expected one of {', '.join(KINDS)}")
    if size_px < 32 or not 0.05 <= gsd_m <= 30:
        raise DataError(f"a scene of {size_px} px at {gsd_m} m cannot be laid out: expected 32 px or more at 0.05-30 m")
    turned = float(rng.uniform(0, 360)) if rng.random() < 0.75 else 90.0 * int(rng.integers(4))
    builder = Builder(rng, size_px=size_px, gsd_m=gsd_m, angle_deg=turned)
    KINDS[kind](builder)
    return builder
