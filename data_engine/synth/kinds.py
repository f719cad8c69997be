"""The kinds of places that can be rendered: scene class (in RSICD's words where it has one) -> layout function."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from data_engine.synth import places_nature as nature
from data_engine.synth import places_transport as transport
from data_engine.synth import places_urban as urban
from data_engine.synth.builder import Builder
from data_engine.synth.places_wide import WIDE
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


COARSEST_M: dict[str, float] = {
    "parking": 1.0, "tennis court": 1.2, "intersection": 1.2, "baseball field": 1.5, "playground": 1.5, "park": 1.5,
    "railway station": 2.0, "meadow": 10.0, "bare land": 10.0, "desert": 10.0, "storage tanks": 5.0,
}  # fmt: skip
"""The largest pixel in metres at which a kind still shows what it is named after (10 where none stands here)."""
WIDE_FROM_M, FINEST_M, LARGEST_M = 2.0, 0.05, 10.0
"""Above WIDE_FROM_M places_wide lays out what it can."""


def shown_kinds(gsd_m: float) -> tuple[str, ...]:
    """Give the kinds that can be told apart at this pixel size in metres; DataError for an impossible size."""
    if not FINEST_M <= gsd_m <= LARGEST_M:
        raise DataError(f"a pixel of {gsd_m} m cannot be laid out: expected {FINEST_M}-{LARGEST_M:.0f} m")
    return tuple(name for name in KINDS if gsd_m <= COARSEST_M.get(name, LARGEST_M))


def choose_kind(rng: np.random.Generator, gsd_m: float = 0.5) -> str:
    """Draw a kind that shows at this pixel size; those with objects to point at come more often."""
    names = shown_kinds(gsd_m)
    weights = np.array([WEIGHTS.get(name, 1.0) for name in names])
    return names[int(rng.choice(len(names), p=weights / weights.sum()))]


def lay_out(kind: str, rng: np.random.Generator, *, size_px: int, gsd_m: float) -> Builder:
    """Lay out a place of this kind at a random angle; raise DataError for an unknown kind or an impossible size."""
    if kind not in KINDS:
        raise DataError(f"scene kind {kind!r} is unknown: expected one of {', '.join(KINDS)}")
    if size_px < 32:
        raise DataError(f"a scene of {size_px} px cannot be laid out: expected 32 px or more")
    if kind not in shown_kinds(gsd_m):
        raise DataError(
            f"scene kind {kind!r} shows nothing at {gsd_m} m a pixel: expected at most {COARSEST_M[kind]} m, or one of "
            f"{', '.join(shown_kinds(gsd_m))}"
        )
    turned = float(rng.uniform(0, 360)) if rng.random() < 0.75 else 90.0 * int(rng.integers(4))
    builder = Builder(rng, size_px=size_px, gsd_m=gsd_m, angle_deg=turned)
    (WIDE.get(kind, KINDS[kind]) if gsd_m > WIDE_FROM_M else KINDS[kind])(builder)
    return builder
