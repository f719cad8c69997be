"""Cut a polygon at the edges of its image, so that the part inside keeps its place. No text here."""

from __future__ import annotations

from vlm.geometry.convert import polygon_area, polygons_from_shapely, to_shapely
from vlm.geometry.shapes import Polygon

_ROUNDING = 1e-9  # of the frame's side: what a point on the edge loses on its way through integers and back


def is_inside(polygon: Polygon, width: float, height: float) -> bool:
    """Say whether every point of a polygon lies inside a width x height frame in pixels, or on its edge."""
    dx, dy = _ROUNDING * width, _ROUNDING * height
    points = (point for ring in (polygon.exterior, *polygon.holes) for point in ring)
    return all(-dx <= x <= width + dx and -dy <= y <= height + dy for x, y in points)


def clip_polygon(polygon: Polygon, width: float, height: float) -> Polygon | None:
    """Give the part of a polygon inside a width x height frame in pixels, None where there is none.

    Of a polygon that the frame cuts into several parts the largest is kept, as of a mask that becomes a polygon.
    """
    if is_inside(polygon, width, height):
        return polygon
    import shapely

    parts = polygons_from_shapely(shapely.intersection(to_shapely(polygon), shapely.box(0, 0, width, height)))
    return max(parts, key=polygon_area, default=None)
