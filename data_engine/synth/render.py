"""Render a scene from a seed: choose a kind, lay it out, draw a day, sense, label, caption, place on the map."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from data_engine.synth.captions import write_captions
from data_engine.synth.kinds import choose_kind, lay_out
from data_engine.synth.labels import label_scene, land_cover, land_shares
from data_engine.synth.looks import expose, random_look, roughen
from data_engine.synth.materials import S2_BANDS
from data_engine.synth.paint import paint_surfaces, roof_mask
from data_engine.synth.radar import POLARISATIONS, random_beam, sense_radar, show_radar
from data_engine.synth.records import Layout, Look, Scene
from data_engine.synth.spectral import FOUR_BANDS, sense_bands
from vlm.errors import DataError

SENSORS: dict[str, tuple[str, ...]] = {
    "rgb": ("red", "green", "blue"),
    "ms4": ("blue", "green", "red", "nir"),
    "ms13": S2_BANDS,
    "sar": POLARISATIONS,
}
"""What can be asked for, and the names of its bands."""


def place_on_map(seed: int, gsd_m: float) -> tuple[str, tuple[float, float, float, float, float, float]]:
    """Choose a UTM zone (northern) and an upper left corner for a seed: CRS and affine 6-tuple in metres."""
    rng = np.random.default_rng([seed, 5])
    zone = int(rng.integers(1, 61))
    left, top = (float(round(value)) for value in rng.uniform((300_000, 3_000_000), (700_000, 6_000_000)))
    return f"EPSG:{32600 + zone}", (gsd_m, 0.0, left, 0.0, -gsd_m, top)


def photograph(layout: Layout, look: Look, *, seed: int, sensor: str = "rgb") -> Scene:
    """Turn a layout and a day into a scene with labels, captions and georeference, as a sensor sees it."""
    rgb, bands = sense(layout, look, seed=seed, sensor=sensor)
    objects, unsure = label_scene(layout, look.shift_px)
    if sensor == "sar":
        objects = tuple(replace(entry, colour="") for entry in objects)
    land = land_cover(layout, look.shift_px)
    trees = sum(thing.label == "tree" for thing in layout.things)
    rng = np.random.default_rng([seed, 3])
    captions = write_captions(layout.kind, objects, land_shares(land), trees, rng, colours=sensor != "sar")
    crs, transform = place_on_map(seed, layout.gsd_m)
    return Scene(rgb, objects, land, layout.kind, captions[0], layout.gsd_m, crs, transform, seed, captions, sensor,
                 bands, SENSORS[sensor], unsure)  # fmt: skip


def sense(layout: Layout, look: Look, *, seed: int, sensor: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Give a picture, uint8 (size_px, size_px, 3), and the sensor's bands (None for RGB, which is its picture).

    Raises DataError for an unknown sensor.
    """
    if sensor not in SENSORS:
        raise DataError(f"sensor {sensor!r} is unknown: expected one of {', '.join(SENSORS)}")
    if sensor == "sar":
        beam = random_beam(np.random.default_rng([seed, 19]))
        amplitude = sense_radar(layout, look, beam, seed=look.seed)
        return show_radar(amplitude), amplitude
    painted = roughen(paint_surfaces(layout, look), layout.seed, roof_mask(layout))
    if sensor == "rgb":
        return expose(painted, look), None
    return expose(painted, look), sense_bands(painted, layout, look, FOUR_BANDS if sensor == "ms4" else S2_BANDS)


def render_scene(
    seed: int, *, size_px: int = 256, gsd_m: float = 0.5, kind: str | None = None, sensor: str = "rgb"
) -> Scene:
    """Render the scene of a seed, size_px square at gsd_m metres a pixel; the same seed gives the same bytes.

    `sensor` is one of SENSORS; the same seed is the same place for all of them.
    """
    rng = np.random.default_rng([seed, 1])
    chosen = kind or choose_kind(rng, gsd_m)
    layout = lay_out(chosen, rng, size_px=size_px, gsd_m=gsd_m).finish(chosen)
    return photograph(layout, random_look(np.random.default_rng([seed, 2])), seed=seed, sensor=sensor)
