"""Move a shape from the pixels of one image into those of another image of the same ground.

Two dates are looked at on the first one's grid; label files want the pixels of the second file itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vlm.geometry.convert import to_hbb, to_obb, to_quad
from vlm.geometry.shapes import HBB, OBB, Geometry, Mask, Point, Polygon
from vlm.place import trace

if TYPE_CHECKING:
    from vlm.grid import Grid

_MOST_CELLS = 2048


def move_to_grid(geometry: Geometry, source: Grid, target: Grid) -> Geometry | None:
    """Give a shape in pixels of `source` in pixels of `target`, by way of WGS84; None where it has no place there.

    A box becomes the box around its moved outline, an oriented box the smallest rectangle around it. A mask is sampled
    again, in cells of about its own size. Raises RasterError where a grid has no georeference.
    """
    if isinstance(geometry, Mask):
        return _moved_mask(geometry, source, target)
    rings = (geometry.exterior, *geometry.holes) if isinstance(geometry, Polygon) else (to_quad(geometry),)
    moved = [_moved_ring(ring, source, target) for ring in rings]
    if not all(np.isfinite(ring).all() for ring in moved):
        return None
    exterior, *holes = (tuple((float(x), float(y)) for x, y in ring[:-1]) for ring in moved)
    polygon = Polygon(exterior, tuple(holes))
    if isinstance(geometry, HBB):
        return to_hbb(polygon)
    return to_obb(polygon) if isinstance(geometry, OBB) else polygon


def _moved_ring(ring: tuple[Point, ...], source: Grid, target: Grid) -> np.ndarray:
    """Move an open ring and close it; edges that the move bends get more points."""
    return trace(ring, lambda x, y: target.from_wgs84(*source.to_wgs84(x, y)), degrees=False)


def _moved_mask(mask: Mask, source: Grid, target: Grid) -> Mask | None:
    """Look up, for each cell of a grid over the moved box, the cell of the mask under its centre."""
    box = move_to_grid(mask.box, source, target)
    if not isinstance(box, HBB) or box.area <= 0:
        return None
    rows, cols = mask.bits.shape
    scale = (box.area / mask.box.area) ** 0.5
    size = [max(1, min(_MOST_CELLS, round(length / cell / scale))) for length, cell in _sides(box, mask)]
    x = box.x1 + (np.arange(size[0]) + 0.5) * box.w / size[0]
    y = box.y1 + (np.arange(size[1]) + 0.5) * box.h / size[1]
    at_x, at_y = source.from_wgs84(*target.to_wgs84(*np.meshgrid(x, y)))
    col = np.floor((at_x - mask.box.x1) * cols / mask.box.w)
    row = np.floor((at_y - mask.box.y1) * rows / mask.box.h)
    inside = (col >= 0) & (col < cols) & (row >= 0) & (row < rows)
    bits = np.zeros(inside.shape, np.bool_)
    bits[inside] = mask.bits[row[inside].astype(int), col[inside].astype(int)]
    return Mask(bits, box)


def _sides(box: HBB, mask: Mask) -> tuple[tuple[float, float], tuple[float, float]]:
    """Pair each side of the moved box with the mask's cell along it, in the pixels of the mask."""
    rows, cols = mask.bits.shape
    return (box.w, mask.box.w / cols), (box.h, mask.box.h / rows)
