"""Shapes in pixels of the original image, and what can be done with them."""

from __future__ import annotations

from vlm.geometry.angles import CONVENTIONS, Convention, from_convention, to_convention
from vlm.geometry.convert import (
    canonical,
    from_shapely,
    polygons_from_shapely,
    to_hbb,
    to_mask,
    to_obb,
    to_polygon,
    to_polygons,
    to_quad,
    to_shapely,
)
from vlm.geometry.iou import iou, iou_matrix
from vlm.geometry.shapes import HBB, OBB, Geometry, Mask, Point, Polygon, Window
from vlm.geometry.transform import flip, rotate90, scale, shift, transform

__all__ = [
    "CONVENTIONS", "HBB", "OBB", "Convention", "Geometry", "Mask", "Point", "Polygon", "Window",
    "canonical", "flip", "from_convention", "from_shapely", "iou", "iou_matrix", "polygons_from_shapely", "rotate90",
    "scale", "shift", "to_convention", "to_hbb", "to_mask", "to_obb", "to_polygon", "to_polygons", "to_quad",
    "to_shapely", "transform",
]  # fmt: skip
