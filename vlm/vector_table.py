"""Answers as GeoPackage and GeoParquet, in the image's own CRS (geopandas and pyogrio do the writing)."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlm.errors import OutputError
from vlm.output import replacing
from vlm.place import place_on_map, sound_polygons
from vlm.records import Answer
from vlm.vector_rows import Row, properties, rows_of

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from shapely import MultiPolygon

LAYER = "regions"
_NUMBERS = ("area_m2", "area_ha", "perimeter_m", "length_m", "width_m")
_COLUMNS = ("phrase", "kind", "image", "image_name", *_NUMBERS, "box_px", "obb_px", "instruction", "text")


def write_geopackage(answers: Sequence[Answer], path: Path) -> Path:
    """Write the regions as layer `regions` of a GeoPackage in the images' CRS; OutputError for several CRSs."""
    from pyogrio.errors import DataSourceError, FieldError

    table = answers_to_table(answers, path=path)
    with replacing(path) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'crs' was not provided")
        try:
            table.to_file(
                temporary, driver="GPKG", layer=LAYER, engine="pyogrio", promote_to_multi=True,
                geometry_type="MultiPolygon",
            )  # fmt: skip
        except (DataSourceError, FieldError) as error:
            raise OSError(str(error)) from error
    return path


def write_parquet(answers: Sequence[Answer], path: Path) -> Path:
    """Write the regions as GeoParquet in the images' CRS; OutputError for several CRSs."""
    table = answers_to_table(answers, path=path)
    with replacing(path) as temporary:
        table.to_parquet(temporary)
    return path


def answers_to_table(answers: Sequence[Answer], *, path: Path) -> GeoDataFrame:
    """Give one row per region with its geometry in the images' CRS, or in pixels (y down, no CRS) without georeference.

    Raises OutputError when the images lie in several CRSs.
    """
    from geopandas import GeoDataFrame

    rows = list(rows_of(answers))
    crs = _only_crs(rows, path) if rows else _crs_of_images(answers)
    values = [_flat(properties(row)) for row in rows]
    columns: dict[str, Any] = {name: [value.get(name) for value in values] for name in _COLUMNS}
    table = GeoDataFrame(columns, geometry=[_shape(row) for row in rows], crs=crs)
    return table.astype(dict.fromkeys(_NUMBERS, "float64"))


def _only_crs(rows: Sequence[Row], path: Path) -> str | None:
    found = list(dict.fromkeys(row.map_grid.crs if row.map_grid is not None else None for row in rows))
    if len(found) > 1:
        shown = ", ".join("none" if crs is None else crs[:40] for crs in found)
        raise OutputError(
            f"{path} cannot hold answers in {len(found)} coordinate systems ({shown}): a table has one; "
            "write one file per image, or GeoJSON, which is always WGS84"
        )
    return found[0]


def _crs_of_images(answers: Sequence[Answer]) -> str | None:
    """Give the CRS of answers without regions: that of their images, None when they have several."""
    found = {grid.crs if grid.georeferenced else None for answer in answers for grid in answer.grids}
    return found.pop() if len(found) == 1 else None


def _shape(row: Row) -> MultiPolygon | None:
    import shapely

    parts = []
    for polygon in sound_polygons(row.region.geometry):
        if row.map_grid is None:
            parts.append(shapely.Polygon(polygon.exterior, polygon.holes))
            continue
        rings = place_on_map(polygon, row.map_grid)
        if rings is None:
            return None
        parts.append(shapely.Polygon(rings[0], rings[1:]))
    return shapely.MultiPolygon(parts) if parts else None


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    """Write lists as JSON text: columns of a GeoPackage hold no lists."""
    return {name: json.dumps(value) if isinstance(value, list) else value for name, value in values.items()}
