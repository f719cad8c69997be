"""Measure how much of each cell of a grid a shape covers; the grid lies over a box in pixels of the original image."""

from __future__ import annotations

import numpy as np

from vlm.errors import GeometryError
from vlm.geometry.shapes import HBB, OBB, Geometry, Mask

_SAMPLES = 8  # a polygon is sampled at 8 x 8 points a cell


def coverage(geometry: Geometry, *, box: HBB, rows: int, cols: int) -> np.ndarray:
    """Give a (rows, cols) float64 array of the covered share of each cell, 0..1.

    Exact for boxes and masks; oriented boxes and polygons (even-odd rule) are sampled at 8 x 8 points a cell, or at the
    centre of the cell when the grid has more than 1,024 cells a side. Raises GeometryError when the box has no area.
    """
    if box.w <= 0 or box.h <= 0:
        raise GeometryError(f"a grid needs a box with an area, got {box}: widen the box to at least one pixel")
    if isinstance(geometry, HBB):
        return np.outer(
            _overlap(np.array([geometry.y1, geometry.y2]), box.y1, box.y2, rows)[:, 0],
            _overlap(np.array([geometry.x1, geometry.x2]), box.x1, box.x2, cols)[:, 0],
        )
    if isinstance(geometry, Mask):
        return _mask_coverage(geometry, box, rows, cols)
    rings = (geometry.corners(),) if isinstance(geometry, OBB) else (geometry.exterior, *geometry.holes)
    samples = _SAMPLES if max(rows, cols) <= 1024 else 1
    filled = fill_rings([np.array(ring, dtype=np.float64) for ring in rings], box, rows * samples, cols * samples)
    return filled.reshape(rows, samples, cols, samples).mean(axis=(1, 3))


def best_cells(cover: np.ndarray, covered_area: float) -> np.ndarray:
    """Choose the cells whose union has the highest IoU with the shape behind `cover`.

    `covered_area` is the shape's area in cells, parts outside the grid included. The best set is always a prefix of the
    cells sorted by coverage, so sorting finds the optimum; a shape that covers nothing gives no cell.
    """
    order = np.argsort(-cover, axis=None, kind="stable")
    inside = np.cumsum(cover.ravel()[order])
    union = covered_area + np.arange(1, cover.size + 1) - inside
    scores = inside / np.maximum(union, 1e-300)
    bits = np.zeros(cover.size, dtype=np.bool_)
    if inside[-1] > 0:
        bits[order[: int(np.argmax(np.round(scores, 12))) + 1]] = True
    return bits.reshape(cover.shape)


def fill_rings(rings: list[np.ndarray], box: HBB, rows: int, cols: int) -> np.ndarray:
    """Fill (n, 2) pixel rings by the even-odd rule: (rows, cols) booleans, true where the cell centre is inside."""
    start = np.concatenate(rings)
    end = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    scale = np.array([cols / box.w, rows / box.h])
    start, end = ((start - (box.x1, box.y1)) * scale - 0.5, (end - (box.x1, box.y1)) * scale - 0.5)
    low, high = np.minimum(start[:, 1], end[:, 1]), np.maximum(start[:, 1], end[:, 1])
    first = np.clip(np.ceil(low), 0, rows).astype(np.int64)
    counts = np.clip(np.ceil(high), 0, rows).astype(np.int64) - first
    edge = np.repeat(np.arange(len(start)), counts)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts) + first[edge]
    slope = (end[edge, 0] - start[edge, 0]) / (end[edge, 1] - start[edge, 1])
    x = start[edge, 0] + (row - start[edge, 1]) * slope
    col = np.clip(np.ceil(x), 0, cols).astype(np.int64)
    toggles = np.bincount(row * (cols + 1) + col, minlength=rows * (cols + 1)).reshape(rows, cols + 1)
    return np.cumsum(toggles[:, :cols], axis=1) % 2 == 1


def run_lengths(bits: np.ndarray) -> list[int]:
    """Count runs of equal cells of a boolean grid row by row, the zeros first (0 when the first cell is set)."""
    flat = np.concatenate([[False], bits.ravel()])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    return [int(run) for run in np.diff(np.concatenate([[0], edges, [bits.size]]))]


def _mask_coverage(mask: Mask, box: HBB, rows: int, cols: int) -> np.ndarray:
    """Resample a mask by area."""
    if mask.box == box and mask.bits.shape == (rows, cols):
        return mask.bits.astype(np.float64)
    edges_y = np.linspace(mask.box.y1, mask.box.y2, mask.bits.shape[0] + 1)
    edges_x = np.linspace(mask.box.x1, mask.box.x2, mask.bits.shape[1] + 1)
    by_row = _overlap(edges_y, box.y1, box.y2, rows)
    by_col = _overlap(edges_x, box.x1, box.x2, cols)
    return np.clip(by_row @ mask.bits.astype(np.float64) @ by_col.T, 0, 1)


def _overlap(edges: np.ndarray, low: float, high: float, cells: int) -> np.ndarray:
    """Give a (cells, len(edges) - 1) array: the share of each target cell that each source interval covers."""
    targets = np.linspace(low, high, cells + 1)
    top = np.minimum(targets[1:, None], edges[None, 1:])
    bottom = np.maximum(targets[:-1, None], edges[None, :-1])
    return np.maximum(top - bottom, 0) / ((high - low) / cells)
