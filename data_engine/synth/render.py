"""Render a scene from a seed: choose a kind, lay it out, draw a day, paint, label, caption, place on the map."""

from __future__ import annotations

import numpy as np

from data_engine.synth.captions import write_captions
from data_engine.synth.kinds import choose_kind, lay_out
from data_engine.synth.labels import label_things, land_cover, land_shares
from data_engine.synth.looks import random_look
from data_engine.synth.paint import paint_layout
from data_engine.synth.records import Layout, Look, Scene


def place_on_map(seed: int, gsd_m: float) -> tuple[str, tuple[float, float, float, float, float, float]]:
    """Choose a UTM zone (northern) and an upper left corner for a seed: CRS and affine 6-tuple in metres."""
    rng = np.random.default_rng([seed, 5])
    zone = int(rng.integers(1, 61))
    left, top = (float(round(value)) for value in rng.uniform((300_000, 3_000_000), (700_000, 6_000_000)))
    return f"EPSG:{32600 + zone}", (gsd_m, 0.0, left, 0.0, -gsd_m, top)


def photograph(layout: Layout, look: Look, *, seed: int) -> Scene:
    """Turn a layout and a day into a scene with labels, captions and georeference."""
    rgb = paint_layout(layout, look)
    objects = label_things(layout, layout.things, look.shift_px)
    land = land_cover(layout, look.shift_px)
    trees = sum(thing.label == "tree" for thing in layout.things)
    captions = write_captions(layout.kind, objects, land_shares(land), trees, np.random.default_rng([seed, 3]))
    crs, transform = place_on_map(seed, layout.gsd_m)
    return Scene(rgb, objects, land, layout.kind, captions[0], layout.gsd_m, crs, transform, seed, captions)


def render_scene(seed: int, *, size_px: int = 256, gsd_m: float = 0.5, kind: str | None = None) -> Scene:
    """Render the scene of a seed, size_px square at gsd_m metres a pixel; the same seed gives the same bytes."""
    rng = np.random.default_rng([seed, 1])
    chosen = kind or choose_kind(rng)
    layout = lay_out(chosen, rng, size_px=size_px, gsd_m=gsd_m).finish(chosen)
    return photograph(layout, random_look(np.random.default_rng([seed, 2])), seed=seed)
