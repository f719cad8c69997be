"""Where a pixel lies on the earth: the pixel frame of an image, its CRS coordinates and WGS84.

Pixels are continuous, origin at the top-left corner of the top-left pixel (geometry.shapes). Map coordinates are x, y
in the CRS (longitude first in geographic ones). A grid knows nothing about files: it is a small picklable record.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from vlm.errors import RasterError
from vlm.gcps import GroundPoint, PolynomialFit, fit_gcps, flaw_of_gcps

if TYPE_CHECKING:
    from rasterio.crs import CRS

Affine6 = tuple[float, float, float, float, float, float]
WGS84 = "OGC:CRS84"
POLE_DEG = 89.999
_PROBES = 5
_QUARTER_DEG, _MOST_LON_DEG = 90.0, 540.0
_LEAST_PIXEL, _ROUND_TRIP_SLACK = 0.002, 1000.0
NOMINAL_TOLERANCE = 0.01
_SEMI_MAJOR_M = 6378137.0
_ECCENTRICITY2 = 0.0066943799901413165


@dataclass(frozen=True, slots=True)
class Grid:
    """Place an image of width x height pixels on the earth by an affine, by ground control points, or not at all.

    `transform` is (a, b, c, d, e, f): X = a x + b y + c, Y = d x + e y + f. `gcps` are (x_px, y_px, X, Y) and count
    only where there is no transform. `crs` is "EPSG:32616" or WKT.
    """

    width: int
    height: int
    crs: str | None = None
    transform: Affine6 | None = None
    gcps: tuple[GroundPoint, ...] = ()

    @property
    def georeferenced(self) -> bool:
        """Say whether pixels can be placed on the earth: a CRS, and a transform or 3 control points, without a flaw."""
        return self.crs is not None and (self.transform is not None or bool(self.gcps)) and self.flaw is None

    @property
    def flaw(self) -> str | None:
        """Say why the georeference that an image carries does not place it on the earth.

        None where it does, and where there is none. A local CRS, such as that of a building site, has no such place.
        """
        return _find_flaw(self)

    @property
    def gsd_m(self) -> float | None:
        """Measure one pixel at the centre in metres on the ground (geometric mean of both sides); None on no map.

        A projected CRS gives its nominal unit as long as the ellipsoid agrees within 1 %; Web Mercator far from the
        equator, geographic CRSs and control points are measured on the WGS84 ellipsoid at the image's centre.
        """
        if not self.georeferenced:
            return None
        ground = self._ground_m()
        if self.transform is None:
            return ground
        crs = _crs(self.crs)
        if crs.is_geographic:
            return ground
        a, b, _, d, e, _ = self.transform
        nominal = abs(a * e - b * d) ** 0.5 * crs.linear_units_factor[1]
        if ground is None or abs(nominal / ground - 1) < NOMINAL_TOLERANCE:
            return nominal
        return ground

    @property
    def gcp_rms_px(self) -> float | None:
        """Give the root-mean-square distance in pixels between the control points and the fitted surface."""
        if self.transform is not None or not self.gcps or flaw_of_gcps(self.gcps, self.width, self.height):
            return None
        points = np.array(self.gcps)
        x, y = self.to_pixel(points[:, 2], points[:, 3])
        return float(np.sqrt(np.mean((x - points[:, 0]) ** 2 + (y - points[:, 1]) ** 2)))

    def to_map(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Turn pixels (numbers or arrays) into CRS coordinates; RasterError where the image has no place on a map."""
        if self.transform is not None:
            a, b, c, d, e, f = self.transform
            x, y = np.asarray(x, float), np.asarray(y, float)
            return _like(x, a * x + b * y + c), _like(y, d * x + e * y + f)
        fit = self._fit()
        return fit.forward(x, y)

    def to_pixel(self, map_x: Any, map_y: Any) -> tuple[Any, Any]:
        """Turn CRS coordinates into pixels; inverse of to_map. A point off the projection (inf) has no pixel: NaN."""
        if self.transform is None:
            return self._fit().inverse(map_x, map_y)
        a, b, c, d, e, f = self.transform
        det = a * e - b * d
        u, v = np.asarray(map_x, float) - c, np.asarray(map_y, float) - f
        placed = np.isfinite(u) & np.isfinite(v)
        u, v = np.where(placed, u, np.nan), np.where(placed, v, np.nan)
        return _like(u, (e * u - b * v) / det), _like(v, (a * v - d * u) / det)

    def to_wgs84(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Turn pixels into longitude and latitude in degrees (WGS84)."""
        self._require_place()
        lon, lat = _reproject(self.crs, WGS84, *self.to_map(x, y))
        return _turned(lon, 0.0), lat

    def from_wgs84(self, lon: Any, lat: Any) -> tuple[Any, Any]:
        """Turn longitude and latitude in degrees (WGS84) into pixels; inverse of to_wgs84."""
        self._require_place()
        map_x, map_y = _reproject(WGS84, self.crs, lon, lat)
        if _crs(self.crs).is_geographic:
            map_x = _turned(map_x, self.to_map(self.width / 2, self.height / 2)[0])
        return self.to_pixel(map_x, map_y)

    def _require_place(self) -> None:
        if not self.georeferenced:
            raise RasterError(
                f"the image of {self.width} x {self.height} pixels has no georeference"
                f"{f' ({self.flaw})' if self.flaw else ''}: expected a geographic or projected CRS and a transform, or "
                "3 ground control points; give pixels instead, or add a georeference with gdal_translate"
            )

    def _fit(self) -> PolynomialFit:
        if len(self.gcps) < 3:
            raise RasterError(
                f"the image of {self.width} x {self.height} pixels has no map coordinates: it has neither an affine "
                f"transform nor 3 ground control points (it has {len(self.gcps)}); give pixels instead"
            )
        return fit_gcps(self.gcps)

    def _ground_m(self) -> float | None:
        cx, cy = self.width / 2, self.height / 2
        lon, lat = self.to_wgs84(np.array([cx, cx + 0.5, cx - 0.5, cx, cx]), np.array([cy, cy, cy, cy + 0.5, cy - 0.5]))
        if not (np.isfinite(lon).all() and np.isfinite(lat).all()) or abs(lat[0]) > POLE_DEG:
            return None
        d_lon = (np.array([lon[1] - lon[2], lon[3] - lon[4]]) + 180) % 360 - 180
        d_lat = np.array([lat[1] - lat[2], lat[3] - lat[4]])
        east, north = metres_per_degree(float(lat[0]))
        area = (d_lon[0] * d_lat[1] - d_lon[1] * d_lat[0]) * east * north
        return float(abs(area)) ** 0.5


@lru_cache(maxsize=64)
def _find_flaw(grid: Grid) -> str | None:
    if grid.transform is None and not grid.gcps:
        return None if grid.crs is None else "it has a coordinate system, but no transform and no ground control points"
    if grid.crs is None:
        return "it has no coordinate system"
    if not _is_on_earth(grid.crs):
        return "its coordinate system is a local one"
    if grid.transform is None:
        return flaw_of_gcps(grid.gcps, grid.width, grid.height) or _misplaced(grid)
    a, b, _, d, e, _ = grid.transform
    if not np.isfinite(grid.transform).all() or a * e == b * d:
        return "its transform gives pixels no area"
    return _misplaced(grid)


def _misplaced(grid: Grid) -> str | None:
    """Say that no part of an image lies on the earth, or that its coordinates look like those of another CRS."""
    u, v = np.meshgrid(np.linspace(0, 1, _PROBES), np.linspace(0, 1, _PROBES))
    x, y = grid.to_map(u.ravel() * grid.width, v.ravel() * grid.height)
    crs = _crs(grid.crs)
    reach = f"x {x.min():,.6g} to {x.max():,.6g}, y {y.min():,.6g} to {y.max():,.6g}"
    if crs.is_geographic:
        if ((np.abs(y) <= _QUARTER_DEG) & (np.abs(x) <= _MOST_LON_DEG)).any():
            return None
        swapped = "; they may be latitude before longitude" if np.abs(x).max() <= _QUARTER_DEG < np.abs(y).max() else ""
        metres = "; they may be metres" if np.abs(y).max() > _MOST_LON_DEG else ""
        return f"its coordinates ({reach}) are no degrees of longitude and latitude{swapped}{metres}"
    tiny = max(np.ptp(x), np.ptp(y)) < _LEAST_PIXEL * max(grid.width, grid.height)
    if tiny and np.abs(x).max() <= _MOST_LON_DEG and np.abs(y).max() <= _QUARTER_DEG:
        return f"its coordinates ({reach}) look like degrees, but its coordinate system counts {crs.linear_units}s"
    lon, lat = _reproject(grid.crs, WGS84, x, y)
    back_x, back_y = _reproject(WGS84, grid.crs, lon, lat)
    with np.errstate(invalid="ignore"):
        if (np.hypot(back_x - x, back_y - y) <= _ROUND_TRIP_SLACK).any():
            return None
    return f"its coordinates ({reach}) lie nowhere on the earth in this coordinate system"


def metres_per_degree(lat_deg: float) -> tuple[float, float]:
    """Give metres per degree of longitude and of latitude on the WGS84 ellipsoid (radii of curvature N and M)."""
    phi = np.radians(lat_deg)
    w = 1 - _ECCENTRICITY2 * np.sin(phi) ** 2
    normal, meridian = _SEMI_MAJOR_M / w**0.5, _SEMI_MAJOR_M * (1 - _ECCENTRICITY2) / w**1.5
    return float(np.radians(normal * np.cos(phi))), float(np.radians(meridian))


@lru_cache(maxsize=64)
def _is_on_earth(text: str) -> bool:
    crs = _crs(text)
    return bool(crs.is_geographic or crs.is_projected)


@lru_cache(maxsize=64)
def _crs(text: str | None) -> CRS:
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    try:
        return CRS.from_user_input(text)
    except CRSError as error:
        raise RasterError(f"the coordinate system {str(text)[:80]!r} is not known to PROJ: {error}") from error


def _reproject(source: str | None, target: str | None, x: Any, y: Any) -> tuple[Any, Any]:
    """Move points between two CRSs; a point off the projection becomes inf."""
    from rasterio._err import CPLE_BaseError
    from rasterio.warp import transform

    x, y = np.asarray(x, float), np.asarray(y, float)
    try:
        out_x, out_y = transform(_crs(source), _crs(target), np.atleast_1d(x).ravel(), np.atleast_1d(y).ravel())
    except CPLE_BaseError:
        from pyproj import Transformer

        out_x, out_y = Transformer.from_crs(source, target, always_xy=True).transform(x.ravel(), y.ravel())
    return _like(x, np.array(out_x).reshape(x.shape)), _like(y, np.array(out_y).reshape(y.shape))


def _turned(lon: Any, centre: float) -> Any:
    """Turn longitudes by full circles until they lie within 180 degrees of a centre; exactly 180 stays."""
    turns = np.ceil((np.abs(np.asarray(lon) - centre) - 180) / 360).clip(min=0)
    turns = np.where(np.isfinite(turns), turns, 0)
    turned = lon - np.sign(lon - centre) * turns * 360
    return float(turned) if np.ndim(lon) == 0 else turned


def _like(given: np.ndarray, result: Any) -> Any:
    return float(result) if given.ndim == 0 else result
