"""How a day looks: drawing looks, and the sensor at the end (haze, colour cast, blur, noise)."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from data_engine.synth.noise import DEVIATION, crop, power_tile
from data_engine.synth.records import Look

ROUGH_FINE, ROUGH_BROAD, ROUGH_ROOF, ROUGH_TINT = (share * 128 / DEVIATION for share in (0.04, 0.03, 0.06, 0.025))
"""Weights of the noise tiles in a gain of 128 levels: 4 % of fine and 3 % of broad roughness, 6 % of both on roofs."""


def random_look(rng: np.random.Generator) -> Look:
    """Draw a day: sun from the south, any season, mostly clear, one camera."""
    gain = 1 + rng.normal(0, 0.022, 3) + rng.normal(0, 0.08)
    return Look(
        shadow_deg=float(-90 + rng.uniform(-75, 75)),
        shadow_ratio=float(rng.uniform(0.35, 1.1)),
        season=float(rng.choice([rng.uniform(0, 0.35), rng.uniform(0.35, 0.9)], p=[0.75, 0.25])),
        haze=min(0.3, float(rng.exponential(0.05))),
        gain=(float(gain[0]), float(gain[1]), float(gain[2])),
        gamma=float(rng.uniform(0.86, 1.16)),
        blur_px=float(rng.uniform(0.35, 0.85)),
        noise=float(rng.uniform(1.0, 4.5)),
        seed=int(rng.integers(2**31)),
    )


def other_day(rng: np.random.Generator, look: Look, *, jitter_px: float = 2.0) -> Look:
    """Draw a second date of the same place: other light and season, registered within `jitter_px` pixels."""
    fresh = random_look(rng)
    shift = rng.uniform(-jitter_px, jitter_px, 2)
    return replace(fresh, blur_px=(look.blur_px + fresh.blur_px) / 2, shift_px=(float(shift[0]), float(shift[1])))


def _tone_table(look: Look) -> np.ndarray:
    level = np.linspace(0, 1, 256)[:, None] ** look.gamma
    haze = np.array([0.7, 0.75, 0.82])
    toned = level * np.array(look.gain) * (1 - look.haze) + look.haze * haze
    return (np.clip(toned, 0, 1) * 255).round().astype(np.uint8)[None]


def roughen(rgb: np.ndarray, seed: int, roofs: np.ndarray | None = None) -> np.ndarray:
    """Weather every surface of a painted scene (H, W, 3) uint8 by a few percent of fine and broad noise.

    Blue ages apart from red and green, and what the uint8 mask `roofs` (H, W) covers is rougher than the ground.
    """
    rng = np.random.default_rng(seed)
    fine, broad, tint = (crop(power_tile(exponent), rng, rgb.shape[:2]) for exponent in (0.55, 1.0, 1.5))
    gain = cv2.addWeighted(fine, ROUGH_FINE, broad, ROUGH_BROAD, 128 * (1 - ROUGH_FINE - ROUGH_BROAD))
    if roofs is not None:
        streaks = cv2.addWeighted(fine, ROUGH_ROOF, broad, ROUGH_ROOF, 128 * (1 - 2 * ROUGH_ROOF))
        cv2.copyTo(streaks, roofs, gain)
    blue = cv2.addWeighted(gain, 1, tint, ROUGH_TINT, -128 * ROUGH_TINT)
    return cv2.multiply(rgb, cv2.merge([gain, gain, blue]), scale=1 / 128)


def shift_image(image: np.ndarray, look: Look, method: int = cv2.INTER_LINEAR) -> np.ndarray:
    """Move an image by the day's registration shift."""
    if look.shift_px == (0.0, 0.0):
        return image
    matrix = np.array([[1, 0, look.shift_px[0]], [0, 1, look.shift_px[1]]], np.float64)
    return cv2.warpAffine(image, matrix, image.shape[1::-1], flags=method, borderMode=cv2.BORDER_REFLECT)


def expose(rgb: np.ndarray, look: Look) -> np.ndarray:
    """Photograph a painted scene (H, W, 3) uint8: registration shift, optics, atmosphere and sensor noise."""
    rgb = cv2.GaussianBlur(shift_image(rgb, look), (0, 0), look.blur_px)
    rgb = cv2.LUT(rgb, _tone_table(look))
    grain = crop(power_tile(0.1), np.random.default_rng(look.seed), rgb.shape[:2])
    strength = look.noise / DEVIATION
    return cv2.addWeighted(rgb, 1, cv2.merge([grain, grain, np.roll(grain, 3, axis=1)]), strength, -128 * strength)
