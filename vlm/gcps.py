"""Ground control points: a polynomial that maps pixels to map coordinates, and whether the points can give one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from vlm.errors import RasterError

GroundPoint = tuple[float, float, float, float]
_MAX_ORDER = 3
_BETTER, _NUMERIC_ZERO = 0.9, 1e-18
_FAR = 3.0
_LINE, _MAP_LINE = 0.01, 1e-6


def flaw_of_gcps(gcps: tuple[GroundPoint, ...], width: int, height: int) -> str | None:
    """Say why control points (x_px, y_px, X, Y) cannot place an image of this size; None where they can.

    Points on a line, or nearly so, say nothing of what lies beside it.
    """
    if len(gcps) < 3:
        return f"it has {len(gcps)} ground control point{'' if len(gcps) == 1 else 's'} and no transform: 3 are needed"
    points = np.array(gcps, float)
    if not np.isfinite(points).all():
        return "its ground control points hold values that are no numbers"
    if _thinness(points[:, :2] / (width, height)) < _LINE or _thinness(points[:, 2:]) < _MAP_LINE:
        return f"its {len(points)} ground control points lie on a line: 3 that span an area are needed"
    return None


@dataclass(frozen=True, slots=True, eq=False)
class PolynomialFit:
    """Map pixels to CRS coordinates by a polynomial of order 1-3 in centred, scaled coordinates; inverse by Newton."""

    order: int
    pixel_scale: np.ndarray
    map_scale: np.ndarray
    coefficients: np.ndarray
    inverse_start: np.ndarray

    def forward(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Turn pixels into CRS coordinates."""
        u, v = _scaled(x, y, self.pixel_scale)
        out = _basis(u, v, self.order) @ self.coefficients
        return _unscaled(out, self.map_scale, x, y)

    def inverse(self, map_x: Any, map_y: Any) -> tuple[Any, Any]:
        """Turn CRS coordinates into pixels: a first-order guess refined by 12 Newton steps at most.

        Points further out than _FAR half extents keep the first-order guess: a polynomial means nothing there. A point
        off the projection (inf) has no pixel: NaN.
        """
        placed = np.isfinite(map_x) & np.isfinite(map_y)
        s, t = _scaled(np.where(placed, map_x, 0.0), np.where(placed, map_y, 0.0), self.map_scale)
        target = np.stack([s, t], axis=-1)
        guess = _basis(s, t, 1) @ self.inverse_start
        near = (np.abs(target) < _FAR).all(axis=-1, keepdims=True)
        for _ in range(12):
            error = _basis(guess[..., 0], guess[..., 1], self.order) @ self.coefficients - target
            step = np.linalg.solve(self._jacobian(guess), error[..., None])[..., 0]
            guess = guess - np.where(near, np.clip(step, -0.5, 0.5), 0)
            if np.abs(step * near).max(initial=0.0) < 1e-12:
                break
        return _unscaled(np.where(placed[..., None], guess, np.nan), self.pixel_scale, map_x, map_y)

    def _jacobian(self, points: np.ndarray) -> np.ndarray:
        du, dv = _basis_derivatives(points[..., 0], points[..., 1], self.order)
        return np.stack([du @ self.coefficients, dv @ self.coefficients], axis=-1)


@lru_cache(maxsize=32)
def fit_gcps(gcps: tuple[GroundPoint, ...]) -> PolynomialFit:
    """Fit control points by least squares; a higher order must lower the leave-one-out error by a tenth.

    That error is in closed form (hat matrix). RasterError where the points lie on a line or coincide.
    """
    points = np.array(gcps, float)
    pixel_scale, map_scale = _scale_of(points[:, :2]), _scale_of(points[:, 2:])
    u, v = _scaled(points[:, 0], points[:, 1], pixel_scale)
    s, t = _scaled(points[:, 2], points[:, 3], map_scale)
    target = np.stack([s, t], axis=-1)
    best: tuple[float, int, np.ndarray] | None = None
    for order in range(1, _MAX_ORDER + 1):
        basis = _basis(u, v, order)
        if np.linalg.matrix_rank(basis) < basis.shape[1] or (order > 1 and len(points) < 2 * basis.shape[1]):
            break
        inverse = np.linalg.pinv(basis)
        coefficients = inverse @ target
        leverage = np.clip(np.einsum("ij,ji->i", basis, inverse), 0, 1 - 1e-9)
        left_out = float(np.mean(((basis @ coefficients - target).T / (1 - leverage)) ** 2))
        if best is None or left_out < best[0] * _BETTER - _NUMERIC_ZERO:
            best = left_out, order, coefficients
    if best is None:
        raise RasterError(
            f"the image's {len(points)} ground control points lie on a line: expected 3 that span an area"
        )
    start = np.linalg.pinv(_basis(s, t, 1)) @ np.stack([u, v], axis=-1)
    return PolynomialFit(best[1], pixel_scale, map_scale, best[2], start)


def _thinness(points: np.ndarray) -> float:
    """Give the spread of points across their main direction over that along it; 0 where they coincide."""
    along, across = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    return float(across / along) if along > 0 else 0.0


def _scale_of(points: np.ndarray) -> np.ndarray:
    """Give (centre x, centre y, half range x, half range y) of points."""
    low, high = points.min(axis=0), points.max(axis=0)
    half = np.where(high > low, (high - low) / 2, 1.0)
    return np.concatenate([(low + high) / 2, half])


def _scaled(x: Any, y: Any, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (np.asarray(x, float) - scale[0]) / scale[2], (np.asarray(y, float) - scale[1]) / scale[3]


def _unscaled(points: np.ndarray, scale: np.ndarray, x: Any, y: Any) -> tuple[Any, Any]:
    out = points * scale[2:] + scale[:2]
    if np.ndim(x) == 0:
        return float(out[..., 0]), float(out[..., 1])
    return out[..., 0], out[..., 1]


def _exponents(order: int) -> list[tuple[int, int]]:
    return [(i, total - i) for total in range(order + 1) for i in range(total, -1, -1)]


def _basis(u: np.ndarray, v: np.ndarray, order: int) -> np.ndarray:
    return np.stack([u**i * v**j for i, j in _exponents(order)], axis=-1)


def _basis_derivatives(u: np.ndarray, v: np.ndarray, order: int) -> tuple[np.ndarray, np.ndarray]:
    powers = _exponents(order)
    du = np.stack([i * u ** max(i - 1, 0) * v**j for i, j in powers], axis=-1)
    dv = np.stack([j * u**i * v ** max(j - 1, 0) for i, j in powers], axis=-1)
    return du, dv
