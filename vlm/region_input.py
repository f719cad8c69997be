"""Regions as a user gives them: text in pixels or map coordinates, or a GeoJSON file -> Region in image pixels.

box:10,20,110,90                     pixels of the image; four bare numbers mean the same
obb:60,55,100,40,-30                 centre, sides, angle in degrees (clockwise on the screen); five bare numbers
polygon:10,20,110,20,60,90           corners x,y in order; six bare numbers or more
box:2.29,48.85,2.30,48.86@EPSG:4326  any of them in a CRS: x is longitude or easting, y is latitude or northing;
                                     lengths in the units of the CRS, the angle anticlockwise from east;
                                     edges are straight in that CRS, and may bend in the image
field.geojson, {"type": "Polygon"..} RFC 7946 (longitude, latitude), or the CRS that a `crs` member names;
                                     for an image without georeference the coordinates are pixels
2:box:10,20,110,90, 2:field.geojson  any of them in the second date, whose pixels lie on the first one's grid
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vlm.errors import InstructionError, WindowError
from vlm.geometry.shapes import HBB, OBB, Geometry, Point, Polygon
from vlm.records import Region

if TYPE_CHECKING:
    from vlm.grid import Grid

_FORMS = "box:x1,y1,x2,y2, obb:cx,cy,w,h,angle, polygon:x,y,x,y,x,y (each optionally @EPSG:CODE) or a GeoJSON file"
_IMAGE = re.compile(r"([1-9]):(.*)", re.DOTALL)
_WGS84_NAMES = ("EPSG:4326", "CRS84", "OGC:CRS84")
_HALF_TURN = 180.0
_PROBES = 9

ToPixel = Callable[[np.ndarray, np.ndarray], tuple[Any, Any]]


def parse_region(text: str, grid: Grid, *, images: int = 1) -> tuple[Region, ...]:
    """Parse one region argument into regions on `grid`, which all `images` share (a file may hold several).

    Raises InstructionError when the text is no region or names an image that is not given, WindowError when a region
    lies outside the image.
    """
    numbered = _IMAGE.fullmatch(text.strip())
    if numbered is None:
        return _parse_region(text.strip(), grid)
    image = int(numbered[1]) - 1
    if image >= images:
        raise InstructionError(f"region {text!r} lies in image {image + 1}, but {images} are given: expected {_FORMS}")
    return tuple(replace(region, image=image) for region in _parse_region(numbered[2].strip(), grid))


def _parse_region(text: str, grid: Grid) -> tuple[Region, ...]:
    if text.startswith("{"):
        regions = _parse_geojson(text, "the region text", grid)
    elif Path(text).suffix.lower() in (".geojson", ".json"):
        regions = _parse_geojson(_read(Path(text)), text, grid)
    else:
        regions = (Region(_parse_shape(text, grid)),)
    for region in regions:
        _require_inside(region.geometry, grid, text)
    return regions


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InstructionError(f"region file {path} cannot be read ({error}): expected a GeoJSON text file") from error


def _parse_shape(text: str, grid: Grid) -> Geometry:
    body, _, crs = text.partition("@")
    kind, colon, numbers_text = body.rpartition(":")
    try:
        numbers = [float(number) for number in numbers_text.replace(";", ",").split(",")]
    except ValueError as error:
        raise InstructionError(f"region {text!r} is not a list of numbers: expected {_FORMS}") from error
    kind = kind.strip() if colon else _guess_kind(len(numbers))
    if not _fits(kind, len(numbers)) or not all(map(math.isfinite, numbers)):
        raise InstructionError(f"region {text!r} has {len(numbers)} numbers for {kind!r}: expected {_FORMS}")
    return _pixel_shape(kind, numbers) if not crs else _map_shape(kind, numbers, _from_crs(crs.strip(), grid))


def _guess_kind(count: int) -> str:
    return {4: "box", 5: "obb"}.get(count, "polygon")


def _fits(kind: str, count: int) -> bool:
    if kind == "polygon":
        return count >= 6 and count % 2 == 0
    return {"box": 4, "obb": 5}.get(kind) == count


def _pixel_shape(kind: str, numbers: Sequence[float]) -> Geometry:
    if kind == "box":
        x1, y1, x2, y2 = numbers
        return HBB(min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
    if kind == "obb":
        return OBB(*numbers)
    return Polygon(_pairs(numbers))


def _map_shape(kind: str, numbers: Sequence[float], frame: _Frame) -> Geometry:
    """Place a shape given in map coordinates; a box and an OBB stay what they are, by the shape that encloses them."""
    from vlm.geometry.convert import to_hbb, to_obb

    if kind == "polygon":
        return Polygon(frame.ring(_pairs(numbers)))
    if kind == "obb":
        return to_obb(Polygon(frame.ring(OBB(*numbers).corners())))
    x1, y1, x2, y2 = numbers
    crosses = frame.degrees and _HALF_TURN < x1 - x2 < 2 * _HALF_TURN
    west, east = (x1, x2 + 2 * _HALF_TURN) if crosses else (min(x1, x2), max(x1, x2))
    return to_hbb(Polygon(frame.ring(((west, y1), (east, y1), (east, y2), (west, y2)))))


@dataclass(frozen=True, slots=True)
class _Frame:
    """Hold how coordinates become pixels: a function of arrays, whether they are degrees, and the image's grid."""

    to_pixel: ToPixel
    degrees: bool
    grid: Grid

    def ring(self, points: Sequence[Point]) -> tuple[Point, ...]:
        """Place an open ring in pixels; edges are straight in its own coordinates and get points where they bend."""
        from vlm.place import trace_back

        if self.degrees and _straddles(self.grid):
            points = _made_continuous(points)
        placed = trace_back(points, self.to_pixel)
        return tuple((float(x), float(y)) for x, y in placed[:-1])


def _straddles(grid: Grid) -> bool:
    """Say whether an image lies across the antimeridian: the longitude jumps along its middle row or column."""
    along, middle = np.linspace(0, 1, _PROBES), np.full(_PROBES, 0.5)
    jumps = [
        np.abs(np.diff(grid.to_wgs84(x * grid.width, y * grid.height)[0])) > _HALF_TURN
        for x, y in ((along, middle), (middle, along))
    ]
    return bool(np.any(jumps))


def _made_continuous(points: Sequence[Point]) -> tuple[Point, ...]:
    """Turn longitudes that jump by more than half a turn (but not by a whole one) so that edges take the short way."""
    turned, turn = [], 0.0
    for (last, _), (x, y) in pairwise((points[0], *points)):
        if _HALF_TURN < abs(x - last) < 2 * _HALF_TURN:
            turn -= math.copysign(2 * _HALF_TURN, x - last)
        turned.append((x + turn, y))
    return tuple(turned)


def _pairs(numbers: Sequence[float]) -> tuple[Point, ...]:
    points = tuple(zip(numbers[::2], numbers[1::2], strict=True))
    return points[:-1] if len(points) > 3 and points[0] == points[-1] else points


def _from_crs(crs: str, grid: Grid) -> _Frame:
    """Give how (x, y) in `crs` become pixels of the image.

    Raises InstructionError for an unknown CRS or an image without georeference.
    """
    if not grid.georeferenced:
        raise InstructionError(
            f"the region is given in {crs} but the image has no georeference"
            f"{f' ({grid.flaw})' if grid.flaw else ''}: give it in pixels, without @{crs}"
        )
    if crs.upper() in _WGS84_NAMES:
        return _Frame(partial(_from_lonlat, grid), True, grid)
    return _Frame(partial(_to_pixel_via_wgs84, _wgs84_transform(crs), grid), False, grid)


def _wgs84_transform(crs: str) -> ToPixel:
    from pyproj import CRS, Transformer
    from pyproj.exceptions import ProjError

    try:
        transformer = Transformer.from_crs(CRS.from_user_input(crs), "EPSG:4326", always_xy=True)
    except ProjError as error:
        raise InstructionError(
            f"region has the unknown CRS {crs!r}, or one without a place on the earth: expected a name such as "
            "EPSG:32633"
        ) from error
    return transformer.transform


def _from_lonlat(grid: Grid, lon: np.ndarray, lat: np.ndarray) -> tuple[Any, Any]:
    off = ~((lon >= -360) & (lon <= 540) & (lat >= -90) & (lat <= 90))
    if off.any():
        raise WindowError(
            f"the region has a point at longitude {lon[off][0]:g}, latitude {lat[off][0]:g}, which is not on the "
            "earth: expected degrees, longitude first, or another CRS named after an @"
        )
    return grid.from_wgs84(lon, lat)


def _to_pixel_via_wgs84(to_wgs84: ToPixel, grid: Grid, x: np.ndarray, y: np.ndarray) -> tuple[Any, Any]:
    return _from_lonlat(grid, *to_wgs84(x, y))


def _parse_geojson(text: str, source: str, grid: Grid) -> tuple[Region, ...]:
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise InstructionError(f"{source} is not JSON ({error}): expected GeoJSON with polygons") from error
    try:
        regions = tuple(_feature_regions(document, _geojson_frame(document, grid)))
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InstructionError(
            f"{source} is JSON but not GeoJSON ({type(error).__name__}: {error}): expected a Polygon, a Feature or a "
            f"FeatureCollection"
        ) from error
    if not regions:
        raise InstructionError(f"{source} holds no Polygon or MultiPolygon: expected at least one")
    return regions


def _geojson_frame(document: Any, grid: Grid) -> _Frame | None:
    """Give the frame of a GeoJSON document, None for pixels."""
    if not grid.georeferenced:
        return None
    named = document.get("crs") if isinstance(document, Mapping) else None
    name = named.get("properties", {}).get("name") if isinstance(named, Mapping) else None
    if not isinstance(name, str) or "CRS84" in name:
        return _Frame(partial(_from_lonlat, grid), True, grid)
    return _from_crs(name.replace("urn:ogc:def:crs:", "").replace("::", ":"), grid)


def _feature_regions(node: Mapping[str, Any], frame: _Frame | None, phrase: str = "") -> Iterator[Region]:
    kind = node["type"]
    if kind == "FeatureCollection":
        for feature in node["features"]:
            yield from _feature_regions(feature, frame)
    elif kind == "Feature":
        properties = node.get("properties") or {}
        if node["geometry"] is not None:
            yield from _feature_regions(node["geometry"], frame, str(properties.get("phrase") or ""))
    elif kind == "GeometryCollection":
        for part in node["geometries"]:
            yield from _feature_regions(part, frame, phrase)
    elif kind in ("Polygon", "MultiPolygon"):
        for rings in [node["coordinates"]] if kind == "Polygon" else node["coordinates"]:
            yield Region(_rings_to_polygon(rings, frame), phrase)


def _rings_to_polygon(rings: Sequence[Sequence[Sequence[float]]], frame: _Frame | None) -> Polygon:
    exterior, *holes = (_ring(ring, frame) for ring in rings)
    return Polygon(exterior, tuple(holes))


def _ring(ring: Sequence[Sequence[float]], frame: _Frame | None) -> tuple[Point, ...]:
    points = tuple((float(position[0]), float(position[1])) for position in ring)
    points = points[:-1] if len(points) > 1 and points[0] == points[-1] else points
    return points if frame is None or len(points) < 3 else frame.ring(points)


def _require_inside(geometry: Geometry, grid: Grid, text: str) -> None:
    from vlm.geometry.convert import to_hbb

    box = to_hbb(geometry)
    if box.x2 <= 0 or box.y2 <= 0 or box.x1 >= grid.width or box.y1 >= grid.height:
        raise WindowError(
            f"region {text[:60]!r} lies outside the image: in pixels it is x {box.x1:.0f} to {box.x2:.0f}, "
            f"y {box.y1:.0f} to {box.y2:.0f}, the image is {grid.width} x {grid.height}; check the order (x before y, "
            f"longitude before latitude) and the CRS"
        )
    if box.area <= 0:
        raise WindowError(f"region {text[:60]!r} has no area: expected a shape with a width and a height")
