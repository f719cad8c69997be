"""Answers as GeoJSON by RFC 7946: WGS84, right-hand rule, cut at 180 degrees, seven or more decimals.

Images without georeference give pixel coordinates, and the file says so; RFC 7946 readers keep unknown members.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vlm.geometry.convert import ring_area
from vlm.output import write_text
from vlm.place import Rings, cut_meridians, place_on_earth, sound_polygons
from vlm.records import Answer
from vlm.vector_rows import Row, properties, rows_of

PIXEL_FRAME = (
    "pixels of the original image: origin at the top-left corner, x right, y down; the image has no georeference"
)
_LEAST_DECIMALS = 7
_METRES_PER_DEGREE = 111_320


def answers_to_geojson(answers: Sequence[Answer]) -> dict[str, Any]:
    """Give a FeatureCollection of all regions; `answers` keeps the words of answers with and without regions.

    When no region has a place on the map, coordinates are pixels and `coordinate_frame` says so. When only some have,
    the others carry no geometry but `polygons_px`.
    """
    rows = list(rows_of(answers))
    in_pixels = bool(rows) and all(row.map_grid is None for row in rows)
    collection: dict[str, Any] = {"type": "FeatureCollection"}
    if in_pixels:
        collection |= {"crs": None, "coordinate_frame": PIXEL_FRAME}
    collection["features"] = [_feature(row, in_pixels=in_pixels) for row in rows]
    collection["answers"] = [
        {"instruction": a.instruction, "task": a.task, "text": a.text or a.template, "regions": len(a.regions)}
        for a in answers
    ]
    return collection


def write_geojson(answers: Sequence[Answer], path: Path) -> Path:
    """Write answers as one GeoJSON file."""
    text = json.dumps(answers_to_geojson(answers), ensure_ascii=False, allow_nan=False)
    return write_text(path, text + "\n")


def _feature(row: Row, *, in_pixels: bool) -> dict[str, Any]:
    values = properties(row)
    if in_pixels:
        geometry = _geometry(_pixel_rings(row), decimals=3)
    else:
        placed = _earth_rings(row)
        geometry = None if placed is None else _geometry(placed, decimals=_decimals(row))
        if geometry is None:
            values["polygons_px"] = [[ring.round(3).tolist() for ring in rings] for rings in _pixel_rings(row)]
    return {"type": "Feature", "geometry": geometry, "properties": values}


def _pixel_rings(row: Row) -> list[Rings]:
    polygons = sound_polygons(row.region.geometry)
    return [tuple(np.array([*ring, ring[0]]) for ring in (p.exterior, *p.holes)) for p in polygons]


def _earth_rings(row: Row) -> list[Rings] | None:
    """Give the lon/lat polygons of a row, cut at 180 degrees; None when a part of it has no place on the earth."""
    if row.map_grid is None:
        return None
    placed: list[Rings] = []
    for polygon in sound_polygons(row.region.geometry):
        rings = place_on_earth(polygon, row.map_grid)
        if rings is None:
            return None
        placed += cut_meridians(rings)
    return placed


def _geometry(polygons: Sequence[Rings], *, decimals: int) -> dict[str, Any] | None:
    coordinates = [_right_handed(rings, decimals) for rings in polygons]
    if not coordinates:
        return None
    if len(coordinates) == 1:
        return {"type": "Polygon", "coordinates": coordinates[0]}
    return {"type": "MultiPolygon", "coordinates": coordinates}


def _right_handed(rings: Rings, decimals: int) -> list[list[list[float]]]:
    """Run the exterior counter-clockwise and the holes clockwise (RFC 7946, section 3.1.6)."""
    turned = []
    for number, ring in enumerate(rings):
        rounded = (ring.round(decimals) + 0.0).tolist()
        clockwise = ring_area(rounded[:-1]) < 0
        turned.append(rounded[::-1] if clockwise == (number == 0) else rounded)
    return turned


def _decimals(row: Row) -> int:
    """Give the decimals of a degree that keep a twentieth of a pixel, at least 7 (about a centimetre)."""
    gsd_m = row.map_grid.gsd_m if row.map_grid is not None else None
    if not gsd_m:
        return _LEAST_DECIMALS
    return max(_LEAST_DECIMALS, math.ceil(-math.log10(gsd_m / 20 / _METRES_PER_DEGREE)))
