"""Sense a painted scene in more bands than three: reflectance from what things are made of and how bright they are.

Blue, green and red come from the painted pixels; the other bands from the material's spectrum, scaled by how bright the
pixel is against the material's own brightness. So texture, shadow and mixed edges are the same in all bands.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from data_engine.synth.looks import shift_image
from data_engine.synth.materials import NAMES, PLANTS, S2_BANDS, material_map, spectra
from data_engine.synth.noise import DEVIATION, crop, power_tile
from data_engine.synth.records import Layout, Look

FOUR_BANDS = ("B2", "B3", "B4", "B8")
SCALE = 10_000
"""Digital numbers of a reflectance of 1, as in Sentinel-2's products."""
VISIBLE = {"B2": 2, "B3": 1, "B4": 0}
WEIGHTS = np.array(((0.3, 0.4, 0.3), (1.0, 0.0, 0.0)), np.float32)
"""How red, green and blue count for the brightness of a pixel: of plants; all else goes on from its red."""
PATH = (0.105, 0.080, 0.050, 0.030, 0.025, 0.020, 0.016, 0.012, 0.011, 0.008, 0.001, 0.004, 0.002)
"""Light that the air adds in S2_BANDS, as reflectance."""
ABSORBED = {"B9": 0.35, "B10": 0.004}
"""The share of the ground's light that water vapour lets through."""
NATIVE = {"B1": 6, "B9": 6, "B10": 6, "B5": 2, "B6": 2, "B7": 2, "B8A": 2, "B11": 2, "B12": 2}
"""How many times coarser than the 10 m bands a band of Sentinel-2 is."""


def sense_bands(painted: np.ndarray, layout: Layout, look: Look, names: tuple[str, ...]) -> np.ndarray:
    """Sense uint16 (size_px, size_px, bands), reflectance times SCALE, from a painted uint8 RGB scene."""
    materials = shift_image(material_map(layout), look, cv2.INTER_NEAREST)
    table = spectra(round(look.season * 100))
    visible = cv2.LUT(shift_image(painted, look), _linear_table())
    weights = np.array([WEIGHTS[0 if name in PLANTS else 1] for name in NAMES])
    own = (table[:, [S2_BANDS.index(name) for name in ("B4", "B3", "B2")]] * weights).sum(axis=1)
    plants = cv2.LUT(materials, _padded(np.array([name in PLANTS for name in NAMES])))
    brightness = np.where(plants > 0, cv2.transform(visible, WEIGHTS[:1]), cv2.transform(visible, WEIGHTS[1:]))
    ratio = np.clip(brightness / cv2.LUT(materials, _padded(own)), 0.03, 2.5)
    rng = np.random.default_rng([look.seed, 13])
    coarse = len(names) == len(S2_BANDS)
    found = []
    for name in names:
        number = S2_BANDS.index(name)
        seen = visible[..., VISIBLE[name]] if name in VISIBLE else cv2.LUT(materials, _padded(table[:, number])) * ratio
        found.append(_expose(seen, name, look, rng, factor=NATIVE.get(name, 1) if coarse else 1))
    return np.stack(found, axis=-1)


def _expose(seen: np.ndarray, name: str, look: Look, rng: np.random.Generator, *, factor: int) -> np.ndarray:
    """Add optics, air, the band's own resolution and noise to reflectance (rows, cols); give uint16."""
    rows, cols = seen.shape
    light = cv2.GaussianBlur(np.minimum(seen, 0.9), (0, 0), look.blur_px)
    if factor > 1:
        small = cv2.resize(light, (max(1, cols // factor), max(1, rows // factor)), interpolation=cv2.INTER_AREA)
        light = cv2.resize(small, (cols, rows), interpolation=cv2.INTER_LINEAR)
    air = PATH[S2_BANDS.index(name)] * (0.6 + 3 * look.haze)
    grain = (crop(power_tile(0.1), rng, seen.shape).astype(np.float32) - 128) / DEVIATION
    light = light * (ABSORBED.get(name, 1.0) * (1 - look.haze)) + air
    light *= 1 + 0.008 * grain
    return np.clip(light * SCALE + 4 * grain, 1, 65535).round().astype(np.uint16)


@lru_cache(maxsize=1)
def _linear_table() -> np.ndarray:
    """Turn painted brightness (0-255), which is stretched for the eye, into reflectance."""
    return (0.5 * (np.arange(256) / 255) ** 1.8).astype(np.float32)


def _padded(values: np.ndarray) -> np.ndarray:
    return np.resize(values.astype(np.float32), 256)
