"""The exact outlines of things, in their own frame: x along the length, y along the width, both within [-0.5, 0.5].

`place` turns such unit outlines into image pixels; painters use it for every part (windscreens, wings, roof halves).
"""

from __future__ import annotations

import math

import numpy as np


def _mirror(half: list[tuple[float, float]]) -> np.ndarray:
    """Close a half outline (y >= 0, nose to tail) by its mirror image."""
    upper = np.array(half)
    return np.concatenate([upper, (upper * (1, -1))[::-1]])


_TURN = np.linspace(0, 2 * np.pi, 32, endpoint=False)
RECT = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)])
CIRCLE = 0.5 * np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1)
OCTAGON = CIRCLE[::4] * 1.04
VEHICLE = _mirror([(0.5, 0.3), (0.46, 0.45), (0.4, 0.5), (-0.42, 0.5), (-0.48, 0.45), (-0.5, 0.34)])
SHIP = _mirror([(0.5, 0.02), (0.43, 0.24), (0.34, 0.42), (0.24, 0.5), (-0.45, 0.5), (-0.5, 0.38)])
BOAT = _mirror([(0.5, 0.03), (0.36, 0.3), (0.16, 0.48), (-0.1, 0.5), (-0.44, 0.44), (-0.5, 0.34)])
JET = _mirror([
    (0.5, 0.012), (0.46, 0.038), (0.4, 0.052), (0.16, 0.054), (-0.14, 0.47), (-0.2, 0.5), (-0.23, 0.5), (-0.2, 0.43),
    (-0.08, 0.2), (-0.06, 0.054), (-0.32, 0.042), (-0.45, 0.185), (-0.5, 0.19), (-0.455, 0.03), (-0.49, 0.008),
])  # fmt: skip
LIGHT_PLANE = _mirror([
    (0.5, 0.03), (0.44, 0.06), (0.26, 0.065), (0.24, 0.49), (0.2, 0.5), (0.06, 0.49), (0.04, 0.06), (-0.34, 0.03),
    (-0.36, 0.17), (-0.47, 0.17), (-0.49, 0.02),
])  # fmt: skip
_HALF_TURN = np.linspace(-np.pi / 2, np.pi / 2, 14)
ELL = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.0), (0.02, 0.0), (0.02, 0.5), (-0.5, 0.5)])
_FAN = np.radians(np.linspace(-45, 45, 15))
DIAMOND = np.concatenate([[(-0.5, 0.0)], np.stack([np.cos(_FAN) - 0.5, np.sin(_FAN) * 0.7071], axis=1)])


def stadium(length: float, width: float) -> np.ndarray:
    """Outline a running track: a rectangle with half circles, as a unit outline for these sides."""
    straight = (length - width) / 2
    right = np.stack([straight + width / 2 * np.cos(_HALF_TURN), width / 2 * np.sin(_HALF_TURN)], axis=1)
    return np.concatenate([right, -right]) / (length, width)


def kidney(rng: np.random.Generator) -> np.ndarray:
    """Outline a rounded pool as a unit outline that touches its box on every side."""
    wave = 1 + 0.18 * np.sin(2 * _TURN + rng.uniform(0, 6)) + 0.1 * np.sin(3 * _TURN + rng.uniform(0, 6))
    points = CIRCLE * wave[:, None]
    low, high = points.min(axis=0), points.max(axis=0)
    return (points - low) / (high - low) - 0.5


def place(unit: np.ndarray, *, cx: float, cy: float, length_px: float, width_px: float, angle_deg: float) -> np.ndarray:
    """Scale, turn and move a unit outline (N, 2) into image pixels."""
    angle = math.radians(angle_deg)
    cos, sin = math.cos(angle), math.sin(angle)
    turned = unit @ np.array(((length_px * cos, length_px * sin), (-width_px * sin, width_px * cos)))
    turned += (cx, cy)
    return turned


def boxes_of(poses: np.ndarray, grow_px: float = 0.0) -> np.ndarray:
    """Give the corners (N, 4, 2) of boxes (N, 5): cx, cy, length, width in px and angle in degrees."""
    cos, sin = np.cos(np.radians(poses[:, 4, None])), np.sin(np.radians(poses[:, 4, None]))
    u, v = RECT[:, 0] * np.maximum(poses[:, 2:3] + grow_px, 0.5), RECT[:, 1] * np.maximum(poses[:, 3:4] + grow_px, 0.5)
    return np.stack([poses[:, 0:1] + u * cos - v * sin, poses[:, 1:2] + u * sin + v * cos], axis=2)


def rectangle(x1: float, y1: float, x2: float, y2: float) -> np.ndarray:
    """Give the four corners of a rectangle."""
    return np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)])


def ribbon(path: np.ndarray, width: float | np.ndarray) -> np.ndarray:
    """Widen a path (N, 2) into the ring of a strip; `width` may differ from point to point."""
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-9
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1) * (np.asarray(width) / 2).reshape(-1, 1)
    return np.concatenate([path + normal, (path - normal)[::-1]])


def strip(path: np.ndarray, width: float | np.ndarray) -> tuple[np.ndarray, ...]:
    """Widen a path (N, 2) into N - 1 overlapping quads, which stay whole where a wide strip bends sharply."""
    ring = ribbon(path, width)
    left, right = ring[: len(path)], ring[len(path) :][::-1]
    return tuple(np.stack([left[i], left[i + 1], right[i + 1], right[i]]) for i in range(len(path) - 1))


def wander(rng: np.random.Generator, points: int, amplitude: float) -> np.ndarray:
    """Draw a smooth random curve of `points` values with about this amplitude."""
    at, curve = np.linspace(0, 1, points), np.zeros(points)
    for octave in (1, 2, 4, 8):
        curve += amplitude / octave * rng.normal(0, 0.6) * np.sin(2 * np.pi * (octave * at + rng.uniform(0, 1)))
    return curve


def blob(rng: np.random.Generator, radius: float, points: int = 48, *, x: float = 0.0, y: float = 0.0) -> np.ndarray:
    """Outline a natural pond or wood around (x, y) with about this radius."""
    turn = np.linspace(0, 2 * np.pi, points, endpoint=False)
    wave = np.ones(points)
    for octave in (1, 2, 3, 5, 8):
        wave += 0.2 / octave**0.8 * rng.normal() * np.cos(octave * turn + rng.uniform(0, 6.28))
    return radius * np.clip(wave, 0.35, 1.8)[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=1) + np.array(
        (x, y)
    )
