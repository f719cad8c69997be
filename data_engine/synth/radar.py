"""Sense a layout with a side-looking radar: backscatter of materials, layover, shadow, double bounce, speckle.

A wall that faces the radar and the ground before it send the beam back where it came from, so buildings and ships are
bright lines and points; behind them lies nothing. Speckle multiplies the intensity by a gamma variable of mean 1 whose
shape is the number of looks (Goodman's model), drawn for each polarisation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from data_engine.synth.canvas import to_fixed
from data_engine.synth.looks import shift_image
from data_engine.synth.materials import MATERIALS, NAMES, material_map, material_of
from data_engine.synth.noise import DEVIATION, MARGIN_PX, TILE_PX, crop, power_tile
from data_engine.synth.records import Crowd, Layout, Look, Thing
from data_engine.synth.shadows import sweep_boxes

POLARISATIONS = ("VV", "VH")
SCALE = 1000
"""Digital numbers of an amplitude of 1 (a backscatter of 0 dB)."""
DARK_DB = -26.0
"""What the receiver's own noise looks like, in shadows."""
WALL_DB, BOUNCE_DB, CORNER_DB = -4.0, 8.0, 11.0
"""Backscatter of a wall that is laid over, of wall and ground together, and of a corner of three planes."""
REFLECTORS = {"building", "container", "ship", "storage tank", "train", "truck", "bridge", "plane", "car"}
THIN = {"tree", "plane", "car"}
SMOOTH = {"storage tank", "ship"}
"""Things whose outline has no sharp corners."""


@dataclass(frozen=True, slots=True)
class Beam:
    """Describe the radar: the direction its beam goes over ground (from +x towards +y), incidence, number of looks."""

    direction_deg: float
    incidence_deg: float = 38.0
    looks: int = 4


def random_beam(rng: np.random.Generator) -> Beam:
    """Draw a beam as of a polar orbit: towards east or west."""
    return Beam(float(rng.choice((0.0, 180.0)) + rng.normal(0, 9)), float(rng.uniform(30, 45)), int(rng.integers(3, 7)))


def sense_radar(layout: Layout, look: Look, beam: Beam, *, seed: int) -> np.ndarray:
    """Sense uint16 (size_px, size_px, 2): the amplitude in VV and VH times SCALE."""
    rng = np.random.default_rng([seed, 17])
    intensity = backscatter(layout, beam, rng)
    intensity = cv2.GaussianBlur(shift_image(intensity, look), (0, 0), 0.6)
    speckle = [crop(speckle_tile(beam.looks, number), rng, intensity.shape[:2]) for number in range(2)]
    return np.clip(SCALE * np.sqrt(intensity * cv2.merge(speckle)), 0, 65535).round().astype(np.uint16)


def backscatter(layout: Layout, beam: Beam, rng: np.random.Generator) -> np.ndarray:
    """Give the intensity without speckle, float32 (size_px, size_px, 2) for VV and VH, 1 for 0 dB."""
    materials = material_map(layout)
    rough = (crop(power_tile(1.5), rng, materials.shape).astype(np.float32) - 128) / DEVIATION
    table = np.array([(entry.vv_db, entry.vh_db) for entry in MATERIALS.values()], np.float32)
    levels = np.zeros((1, 256, 2), np.float32)
    levels[0, : len(NAMES)] = 10 ** (table / 10)
    image = cv2.LUT(cv2.merge([materials, materials]), levels)
    image *= np.exp(np.float32(0.2) * rough)[..., None]
    step = _ground_step(beam, layout.gsd_m)
    tall = [thing for thing in layout.things if thing.height_m > 0]
    _cast_shadows(image, tall, step * math.tan(math.radians(beam.incidence_deg)))
    for crowd in layout.crowds:
        if crowd.label == "building":
            _scatter_houses(image, crowd, step, rng)
    for thing in tall:
        _raise_top(image, thing, step / math.tan(math.radians(beam.incidence_deg)), rng)
    return image


def _scatter_houses(image: np.ndarray, crowd: Crowd, step: np.ndarray, rng: np.random.Generator) -> None:
    """Light up the walls of small houses as points, the brighter the more squarely they face the beam."""
    square = np.abs(np.cos(2 * (np.radians(crowd.poses[:, 4]) - math.atan2(step[1], step[0]))))
    levels = 10 ** ((CORNER_DB - 12 + 8 * square + rng.normal(0, 4, len(square))) / 10)
    at = crowd.poses[:, :2].astype(int)
    seen = ((at >= 0) & (at < image.shape[0])).all(axis=1)
    image[at[seen, 1], at[seen, 0]] = np.stack([levels[seen], levels[seen] / 5], axis=1)


def _ground_step(beam: Beam, gsd_m: float) -> np.ndarray:
    """Give the way of the beam over a metre of ground, in px."""
    angle = math.radians(beam.direction_deg)
    return np.array((math.cos(angle), math.sin(angle))) / gsd_m


def _cast_shadows(image: np.ndarray, things: list[Thing], step: np.ndarray) -> None:
    """Leave the receiver's noise behind things, where the beam does not reach: `step` px for a metre of height."""
    dark = np.zeros(image.shape[:2], np.uint8)
    boxes = [thing for thing in things if thing.label not in THIN]
    for hexagon in to_fixed(sweep_boxes(boxes, step)) if boxes else ():
        cv2.fillConvexPoly(dark, hexagon, 255, shift=4)
    for thing in things:
        if thing.label in THIN:
            centre = np.array((thing.cx, thing.cy))
            ends = to_fixed(np.stack([centre, centre + step * thing.height_m * 0.7])).tolist()
            cv2.line(
                dark,
                ends[0],
                ends[1],
                255,
                max(1, round(thing.width_px * (0.2 if thing.label == "plane" else 0.7))),
                cv2.LINE_8,
                4,
            )
    image[dark > 0] = 10 ** (DARK_DB / 10)


def _raise_top(image: np.ndarray, thing: Thing, step: np.ndarray, rng: np.random.Generator) -> None:
    """Lay a thing's top over towards the radar by `step` px a metre, its lit walls before it, and its corners."""
    entry = MATERIALS[material_of(thing)]
    lean = -step * min(thing.height_m, 0.5 * max(thing.length_px, thing.width_px) / float(np.hypot(*step)))
    ring = thing.outline
    if thing.label in REFLECTORS:
        towards = lean / (np.hypot(*lean) + 1e-9)
        following = np.roll(ring, -1, axis=0)
        edges = following - ring
        normals = np.stack([edges[:, 1], -edges[:, 0]], axis=1) / (np.hypot(edges[:, 0], edges[:, 1])[:, None] + 1e-9)
        facing = normals @ towards * _turn(ring)
        for at in np.flatnonzero(facing > 0.2).tolist():
            wall = np.stack([ring[at], following[at], following[at] + lean, ring[at] + lean])
            power = 10 ** ((WALL_DB + rng.normal(0, 2)) / 10) * facing[at]
            cv2.fillConvexPoly(image, to_fixed(wall), (power, power / 8), shift=4)
            power = 10 ** ((BOUNCE_DB + rng.normal(0, 2)) / 10) * facing[at] ** 2
            ends = to_fixed(wall[:2]).tolist()
            cv2.line(image, ends[0], ends[1], (power, power / 8), 1, cv2.LINE_8, 4)
    top = (10 ** (entry.vv_db / 10), 10 ** (entry.vh_db / 10))
    cv2.fillPoly(image, [to_fixed(ring + lean)], top, shift=4)
    if thing.label in REFLECTORS:
        _glint(image, thing, lean, rng)


def _turn(ring: np.ndarray) -> float:
    """Tell which way round a ring (N, 2) goes: 1 when its left-hand normals point outwards."""
    x, y = ring[:, 0], ring[:, 1]
    return math.copysign(1.0, float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))))


def _glint(image: np.ndarray, thing: Thing, lean: np.ndarray, rng: np.random.Generator) -> None:
    """Put bright points on a thing's corners and roof edges, more on large ones."""
    count = int(np.clip(thing.length_px / 6, 1, 12))
    weights = rng.random((count, 2))
    first = rng.integers(0, len(thing.outline), count)
    ends = thing.outline[first], thing.outline[(first + 1) % len(thing.outline)]
    corner = np.round(weights[:, :1] * (thing.label not in SMOOTH))
    points = ends[0] * (1 - corner) + ends[1] * corner + lean * weights[:, 1:]
    levels = 10 ** ((CORNER_DB + rng.normal(0, 4, count) - (6 if thing.label in ("car", "truck") else 0)) / 10)
    inside = ((points >= 0) & (points < image.shape[0])).all(axis=1)
    rows, cols = points[inside, 1].astype(int), points[inside, 0].astype(int)
    image[rows, cols] = np.stack([levels[inside], levels[inside] / 6], axis=1)


@lru_cache(maxsize=16)
def speckle_tile(looks: int, number: int) -> np.ndarray:
    """Make speckle, float32 with wrapped margin: gamma of mean 1 and variance 1 / looks, independent by `number`."""
    rng = np.random.default_rng([looks, number])
    tile = rng.standard_gamma(looks, (TILE_PX, TILE_PX), dtype=np.float32) / np.float32(looks)
    return cv2.copyMakeBorder(tile, 0, MARGIN_PX, 0, MARGIN_PX, cv2.BORDER_WRAP)


def show_radar(amplitude: np.ndarray) -> np.ndarray:
    """Show amplitudes (rows, cols, 2) in decibels as uint8 RGB: VV, VH and their difference."""
    decibel = 20 * np.log10(np.maximum(amplitude.astype(np.float32), 1) / SCALE)
    vv, vh = decibel[..., 0], decibel[..., 1]
    stretched = [(vv + 25) / 25, (vh + 32) / 25, (vv - vh) / 16]
    return cv2.merge([(np.clip(band, 0, 1) * 255).astype(np.uint8) for band in stretched])
