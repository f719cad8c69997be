"""What the ground is made of: one table of surfaces, each a colour ramp driven by noise, and its painter.

A surface knows nothing about shapes: `render_surface` fills a rectangle, canvas.py cuts it to an outline.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from data_engine.synth.noise import CANOPY_M_PER_PX, DEVIATION, canopy_tile, crop, power_tile
from data_engine.synth.records import Colour

Ramp = tuple[Colour, ...]


@dataclass(frozen=True, slots=True)
class Surface:
    """Describe a surface: colour ramps (lush and dry), strength of broad and fine noise, its land cover class."""

    lush: Ramp
    dry: Ramp
    broad: float
    fine: float
    land: str
    rows_m: float = 0.0


GRASS = ((44, 58, 30), (70, 86, 44), (96, 108, 60), (122, 128, 80))
DRY = ((92, 84, 54), (128, 118, 80), (152, 142, 100), (176, 166, 124))
CANOPY = ((8, 16, 10), (24, 40, 22), (44, 64, 32), (70, 90, 46), (104, 120, 66))
AUTUMN = ((20, 18, 10), (52, 46, 26), (88, 76, 40), (122, 104, 58), (150, 132, 80))

SURFACES: dict[str, Surface] = {
    "grass": Surface(GRASS, DRY, 34, 22, "grass"),
    "lawn": Surface(((62, 84, 42), (84, 108, 56), (104, 124, 70)), DRY, 22, 16, "grass"),
    "meadow": Surface(((66, 88, 44), (96, 112, 58), (124, 132, 78), (146, 146, 96)), DRY, 48, 20, "grass"),
    "soil": Surface(((104, 82, 60), (140, 114, 86), (168, 142, 112)), ((124, 104, 80), (160, 138, 108),
                    (186, 166, 136)),
                    36, 22, "bare"),
    "bareland": Surface(((126, 100, 74), (160, 134, 104), (190, 168, 140)), DRY, 46, 26, "bare"),
    "desert": Surface(((168, 128, 84), (204, 166, 116), (226, 192, 146)), ((168, 128, 84), (204, 166, 116),
                      (226, 192, 146)), 40, 10, "bare"),
    "sand": Surface(((184, 162, 124), (208, 190, 152), (226, 212, 180)), ((184, 162, 124), (208, 190, 152),
                    (226, 212, 180)), 22, 16, "bare"),
    "asphalt": Surface(((66, 67, 70), (88, 88, 90), (110, 109, 108)), ((74, 74, 74), (96, 95, 93), (116, 114, 110)),
                       20, 15, "road"),
    "lot": Surface(((62, 63, 66), (84, 85, 87), (106, 106, 106)), ((72, 72, 72), (94, 93, 92), (114, 112, 109)),
                   24, 16, "pavement"),
    "concrete": Surface(((142, 140, 134), (168, 166, 158), (192, 189, 180)), ((146, 143, 136), (172, 168, 158),
                        (194, 190, 180)), 22, 14, "pavement"),
    "dirt_road": Surface(((138, 116, 88), (170, 148, 118), (196, 178, 148)), ((138, 116, 88), (170, 148, 118),
                         (196, 178, 148)), 20, 20, "road"),
    "gravel": Surface(((108, 104, 98), (136, 131, 123), (160, 154, 146)), ((108, 104, 98), (136, 131, 123),
                      (160, 154, 146)), 20, 28, "pavement"),
    "sea": Surface(((10, 36, 52), (18, 56, 72), (32, 78, 90)), ((10, 36, 52), (18, 56, 72), (32, 78, 90)), 22, 16,
                   "water"),
    "green_water": Surface(((22, 46, 38), (34, 64, 54), (50, 82, 70)), ((22, 46, 38), (34, 64, 54), (50, 82, 70)),
                           20, 10, "water"),
    "brown_water": Surface(((82, 76, 48), (104, 96, 62), (124, 114, 78)), ((88, 78, 50), (110, 98, 64), (128, 114, 78)),
                           20, 9, "water"),
    "shallow": Surface(((40, 104, 108), (70, 136, 132), (110, 164, 152)), ((40, 104, 108), (70, 136, 132),
                       (110, 164, 152)), 24, 12, "water"),
    "foam": Surface(((150, 176, 176), (204, 216, 212), (240, 244, 240)), ((150, 176, 176), (204, 216, 212),
                    (240, 244, 240)), 44, 40, "water"),
    "forest": Surface(CANOPY, AUTUMN, 18, 0, "forest"),
    "burnt": Surface(((20, 18, 17), (44, 39, 36), (78, 70, 64)), ((24, 22, 20), (50, 45, 41), (86, 78, 71)),
                     38, 26, "bare"),
    "crop_green": Surface(((50, 74, 32), (74, 102, 44), (98, 124, 58)), DRY, 22, 12, "field", 1.6),
    "crop_young": Surface(((102, 110, 66), (122, 130, 78), (142, 146, 94)), DRY, 22, 12, "field", 2.2),
    "crop_ripe": Surface(((150, 132, 76), (180, 160, 98), (204, 186, 126)), DRY, 18, 12, "field", 1.8),
    "crop_dark": Surface(((34, 52, 32), (48, 70, 42), (64, 88, 52)), ((70, 66, 44), (92, 86, 58), (112, 104, 74)),
                         18, 10, "field", 1.4),
    "ploughed": Surface(((88, 66, 50), (114, 90, 70), (140, 116, 94)), ((104, 82, 62), (132, 108, 84), (158, 134, 108)),
                        28, 14, "field", 1.2),
    "stubble": Surface(((146, 130, 96), (170, 154, 118), (192, 178, 144)), ((146, 130, 96), (170, 154, 118),
                       (192, 178, 144)), 24, 14, "field", 2.4),
}  # fmt: skip


@lru_cache(maxsize=256)
def ramp_table(surface: str, season_percent: int) -> np.ndarray:
    """Interpolate a surface's ramp, mixed from lush to dry, into a lookup table (256, 1, 3) uint8."""
    entry, season = SURFACES[surface], season_percent / 100
    at = np.linspace(0, 1, 256)

    def channel(ramp: Ramp, band: int) -> np.ndarray:
        return np.interp(at, np.linspace(0, 1, len(ramp)), [colour[band] for colour in ramp])

    mixed = [channel(entry.lush, i) * (1 - season) + channel(entry.dry, i) * season for i in range(3)]
    return np.stack(mixed, axis=-1).round().astype(np.uint8)[:, None]


def _canopy(rng: np.random.Generator, shape: tuple[int, int], gsd_m: float, shadow_deg: float) -> np.ndarray:
    """Light a canopy from the sun's side: float32 levels about 0; crowns stay at least a few pixels wide."""
    zoom = CANOPY_M_PER_PX / gsd_m
    level = int(np.clip(round(-math.log2(zoom)), 0, 2))
    height = crop(canopy_tile(level), rng, shape, zoom=max(zoom * 2**level, 0.8))
    angle = np.radians(shadow_deg)
    cos, sin, strength = float(np.cos(angle)), float(np.sin(angle)), 0.12 * min(1.6, max(0.6, 1 / zoom**0.5))
    kernel = np.array([[-cos - sin, -2 * sin, cos - sin], [-2 * cos, 0, 2 * cos], [sin - cos, 2 * sin, cos + sin]])
    kernel *= strength
    kernel[1, 1] += 0.5
    return cv2.filter2D(height, cv2.CV_32F, kernel, delta=-80)


def _rows(shape: tuple[int, int], gsd_m: float, rows_m: float, row_deg: float) -> np.ndarray:
    period = max(rows_m / gsd_m, 3.2)
    angle = np.radians(row_deg)
    x = np.arange(shape[1], dtype=np.float32) * np.float32(np.cos(angle))
    y = np.arange(shape[0], dtype=np.float32) * np.float32(np.sin(angle))
    across = x[None, :] + y[:, None]
    tracks = np.mod(across, np.float32(max(18.0 / gsd_m, 16.0))) < max(1.0, 0.9 / gsd_m)
    return 15 * np.sin(across * np.float32(2 * np.pi / period)) - 26 * tracks


SCRUB_COARSEST_M = 2.0
MOTTLE: dict[str, str] = {
    "grass": "meadow", "lawn": "grass", "meadow": "grass", "soil": "grass", "bareland": "gravel", "desert": "sand",
    "concrete": "gravel", "lot": "asphalt", "gravel": "soil", "sea": "green_water",
}  # fmt: skip


SCRUB = ("grass", "meadow", "soil", "bareland")


def _grow_scrub(rgb: np.ndarray, season: float, gsd_m: float, rng: np.random.Generator) -> None:
    """Let tufts and low bushes grow in place on open ground, dense in some patches and missing in others."""
    if gsd_m > SCRUB_COARSEST_M or rng.random() < 0.25:
        return
    tufts = crop(power_tile(0.55), rng, rgb.shape[:2], zoom=max(0.8, 0.4 / gsd_m))
    patches = crop(power_tile(1.5), rng, rgb.shape[:2], zoom=float(np.clip(0.8 / gsd_m, 0.8, 6)))
    sparse = float(rng.uniform(150, 215))
    grown = cv2.addWeighted(tufts, 4.0, patches, 1.6, -128 * 1.6 - 4.0 * sparse)
    dark = 1 - np.array((0.42, 0.34 + 0.1 * season, 0.42))[None] * (np.arange(256)[:, None] / 255)
    shade = cv2.applyColorMap(grown, (255 * dark).round().astype(np.uint8)[:, None])
    cv2.multiply(rgb, shade, dst=rgb, scale=1 / 255)


def render_ground(
    surface: str, shape: tuple[int, int], *, gsd_m: float, season: float, shadow_deg: float, seed: int
) -> np.ndarray:
    """Fill (rows, cols) with a surface that a second one mottles in broad patches: uint8 (rows, cols, 3)."""
    base = render_surface(surface, shape, gsd_m=gsd_m, season=season, shadow_deg=shadow_deg, seed=seed)
    if surface in SCRUB:
        _grow_scrub(base, season, gsd_m, np.random.default_rng(seed + 3))
    if surface not in MOTTLE:
        return base
    second = render_surface(MOTTLE[surface], shape, gsd_m=gsd_m, season=season, shadow_deg=shadow_deg, seed=seed + 1)
    rng = np.random.default_rng(seed + 2)
    patches = crop(power_tile(1.5), rng, shape, zoom=float(np.clip(1.2 / gsd_m, 0.8, 8)))
    share = float(rng.uniform(-0.4, 0.3))
    table = np.clip((np.arange(256) - 128) / DEVIATION * 0.55 + share, 0, 0.8).astype(np.float32)
    weight = cv2.LUT(patches, table)
    return cv2.blendLinear(second, base, weight, 1 - weight)


def render_surface(
    surface: str, shape: tuple[int, int], *, gsd_m: float, season: float, shadow_deg: float, seed: int,
    row_deg: float | None = None,
) -> np.ndarray:  # fmt: skip
    """Fill (rows, cols) with a surface's texture: uint8 (rows, cols, 3); the seed fixes the pattern."""
    rng, entry = np.random.default_rng(seed), SURFACES[surface]
    broad = crop(power_tile(1.5), rng, shape, zoom=float(np.clip(0.8 / gsd_m, 0.8, 6)))
    mean = 128 + 8 * float(rng.standard_normal()) - 128 * (entry.broad + entry.fine) / DEVIATION
    fine = crop(power_tile(0.55), rng, shape) if entry.fine else broad
    index = cv2.addWeighted(broad, entry.broad / DEVIATION, fine, entry.fine / DEVIATION, mean)
    if surface == "forest":
        index = cv2.add(index, _canopy(rng, shape, gsd_m, shadow_deg), dtype=cv2.CV_8U)
    if entry.rows_m and row_deg is not None:
        index = cv2.add(index, _rows(shape, gsd_m, entry.rows_m, row_deg), dtype=cv2.CV_8U)
    return cv2.applyColorMap(index, ramp_table(surface, round(season * 100)))
