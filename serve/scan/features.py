"""Objects and windows as features: geometry on the map, area on the ellipsoid, and where they come from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from serve.scan.journal import Journal, iterate_findings
from serve.scan.merge import merge_windows
from serve.scan.plan import Target
from serve.scan.seams import Object
from vlm.geometry.convert import to_hbb
from vlm.geometry.shapes import Geometry, Polygon, Window
from vlm.measure import measure
from vlm.place import place_on_map, sound_polygons, trace
from vlm.records import Answer, Region

if TYPE_CHECKING:
    from shapely import MultiPolygon

    from vlm.grid import Grid

Kind = Literal["regions", "windows"]
REGION_TASKS = frozenset({"ground", "detect", "segment"})
WINDOW_TASKS = frozenset({"caption", "classify", "vqa", "count", "region", "chat"})


@dataclass(frozen=True, slots=True, eq=False)
class Feature:
    """Hold one feature: its shapes in pixels of the raster, the raster's grid, and what is written beside it."""

    geometries: tuple[Geometry, ...]
    grid: Grid
    source: str
    window: Window
    windows: int
    label: str
    kind: str
    words: str

    @property
    def polygons(self) -> tuple[Polygon, ...]:
        return tuple(polygon for geometry in self.geometries for polygon in sound_polygons(geometry))

    @property
    def area_m2(self) -> float | None:
        """Measure the feature on the ellipsoid; None where it has no place on the map."""
        if not self.grid.georeferenced:
            return None
        areas = [measure(geometry, self.grid).get("area_m2") for geometry in self.geometries]
        known = [area for area in areas if area is not None]
        return round(sum(known), 3) if len(known) == len(areas) else None

    def to_columns(self) -> dict[str, Any]:
        """Give what every format writes beside the geometry."""
        window = self.window
        return {
            "source": self.source,
            "window": f"{window.x},{window.y},{window.w},{window.h}",
            "windows": self.windows,
            "box_px": ",".join(f"{value:.2f}" for value in self._bounds()),
            "label": self.label,
            "kind": self.kind,
            "words": self.words,
            "area_m2": self.area_m2,
        }

    def _bounds(self) -> tuple[float, float, float, float]:
        boxes = [to_hbb(geometry) for geometry in self.geometries]
        low = min(box.x1 for box in boxes), min(box.y1 for box in boxes)
        return *low, max(box.x2 for box in boxes), max(box.y2 for box in boxes)

    def to_answer(self) -> Answer:
        """Give the feature as an answer, which vlm.vector writes as GeoJSON."""
        regions = tuple(Region(polygon, self.label) for polygon in self.polygons)
        return Answer("", regions, grids=(self.grid,))


def choose_kinds(task: str | None, *, regions: int) -> tuple[Kind, ...]:
    """Say what becomes a feature: the objects, the windows with their words, or both.

    The task decides; without one, objects where any window has found some, and windows where none has.
    """
    if task in REGION_TASKS or (task not in WINDOW_TASKS and regions):
        return ("regions",)
    return ("windows", "regions") if regions else ("windows",)


def features_of(target: Target, journal: Journal, kinds: Sequence[Kind]) -> Iterator[Feature]:
    """Yield the features of one raster."""
    if "windows" in kinds:
        for finding in iterate_findings(journal, range(target.first, target.first + target.windows)):
            if finding.state == "answered":
                yield _of_window(target, target.window(finding.number), finding.words)
    if "regions" in kinds:
        for found in merge_windows(target, journal):
            yield _of_object(target, found)


def place(feature: Feature, crs: str | None) -> MultiPolygon | None:
    """Lay a feature on the map of a CRS; in pixels where `crs` is None; None where it has no place there."""
    import shapely

    parts = []
    for polygon in feature.polygons:
        rings = _placed(polygon, feature.grid, crs)
        if rings is None:
            return None
        parts.append(shapely.Polygon(rings[0], rings[1:]))
    return shapely.MultiPolygon(parts) if parts else None


def _placed(polygon: Polygon, grid: Grid, crs: str | None) -> Sequence[Any] | None:
    import numpy as np

    if crs is None:
        return polygon.exterior, *polygon.holes
    if not grid.georeferenced:
        return None
    if grid.crs == crs:
        return place_on_map(polygon, grid)
    turn = _transformer(str(grid.crs), crs)

    def project(x: Any, y: Any) -> tuple[Any, Any]:
        there_x, there_y = turn.transform(*grid.to_map(x, y))
        return np.asarray(there_x), np.asarray(there_y)

    rings = [trace(ring, project, degrees=False) for ring in (polygon.exterior, *polygon.holes)]
    return rings if all(np.isfinite(ring).all() for ring in rings) else None


@lru_cache(maxsize=64)
def _transformer(source: str, target: str) -> Any:
    from pyproj import Transformer

    return Transformer.from_crs(source, target, always_xy=True)


def _of_window(target: Target, window: Window, words: str) -> Feature:
    x1, y1, x2, y2 = window.x, window.y, window.x + window.w, window.y + window.h
    corners: Any = ((x1, y1), (x2, y1), (x2, y2), (x1, y2))
    return Feature((Polygon(corners),), target.grid, target.path, window, 1, "", "window", words)


def _of_object(target: Target, found: Object) -> Feature:
    return Feature(
        found.geometries, target.grid, target.path, found.window, found.pieces, found.phrase, found.kind, found.words
    )
