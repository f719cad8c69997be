"""Features to a file as they come: GeoParquet in row groups, GeoPackage in batches, GeoJSON feature by feature."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from serve.scan.features import Feature, place
from vlm.errors import OutputError
from vlm.vector import answer_to_geojson
from vlm.vector_geojson import PIXEL_FRAME

LAYER: Final = "answers"
BATCH: Final = 2_000
_TEXTS = ("source", "window", "box_px", "label", "kind", "words", "model", "instruction")
_NAMES = ("source", "window", "windows", "box_px", "label", "kind", "words", "area_m2", "model", "instruction")


@dataclass(frozen=True, slots=True)
class About:
    """Hold what is the same for every feature of a scan: the CRS of the file, the model, the instruction.

    `called` is what the source is called in the file; None gives each raster's path.
    """

    crs: str | None
    model: str
    instruction: str
    called: str | None = None

    def columns(self, feature: Feature) -> dict[str, Any]:
        """Give what is written beside a feature's geometry."""
        values = feature.to_columns() | {"model": self.model, "instruction": self.instruction}
        return values if self.called is None else values | {"source": self.called}


def write_features(features: Iterable[Feature], path: Path, temporary: Path, about: About) -> int:
    """Write features in the format of the suffix of `path`, whole or not at all, and count them.

    `temporary` is on the same disk and takes the place of `path` when it is whole. OutputError when it cannot be
    written.
    """
    write = WRITERS[require_suffix(path)]
    for left_behind in temporary.parent.glob(f"{temporary.name}*"):
        left_behind.unlink()
    counted = _Count(features)
    try:
        write(counted, temporary, about)
        with temporary.open("rb") as whole:
            os.fsync(whole.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written ({error.strerror or error}): make room or choose another --out; what was "
            "answered is kept, and the same command goes on"
        ) from error
    return counted.count


def require_suffix(path: Path) -> str:
    """Give the suffix that names the format of a file; OutputError for another."""
    suffix = path.suffix.lower()
    if suffix not in WRITERS:
        raise OutputError(f"{path} has the suffix {path.suffix!r}: expected {', '.join(WRITERS)}")
    return suffix


class _Count:
    def __init__(self, features: Iterable[Feature]) -> None:
        self._features, self.count = features, 0

    def __iter__(self) -> Iterator[Feature]:
        for feature in self._features:
            self.count += 1
            yield feature


def _write_parquet(features: Iterable[Feature], path: Path, about: About) -> None:
    """Write GeoParquet 1.1: geometry as WKB, the CRS as PROJJSON."""
    import pyarrow as pa
    from pyarrow import parquet

    schema = _schema(pa, about)
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for rows in _batches(features, about):
            writer.write_table(pa.Table.from_pylist(rows, schema))


def _schema(pa: Any, about: About) -> Any:
    from pyproj import CRS

    types = {"windows": pa.int32(), "area_m2": pa.float64()}
    fields = [pa.field(name, types.get(name, pa.string())) for name in _NAMES]
    crs = None if about.crs is None else CRS.from_user_input(about.crs).to_json_dict()
    column = {"encoding": "WKB", "geometry_types": ["MultiPolygon"], "crs": crs}
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
    return pa.schema([*fields, pa.field("geometry", pa.binary())], metadata={"geo": json.dumps(geo)})


def _write_geopackage(features: Iterable[Feature], path: Path, about: About) -> None:
    import pyogrio
    from geopandas import GeoDataFrame, GeoSeries
    from pyogrio.errors import DataSourceError, FieldError

    columns: dict[str, Any] = {}
    first = True
    for rows in _at_least_one(_batches(features, about)):
        columns = {name: [row[name] for row in rows] for name in _NAMES}
        shapes = GeoSeries.from_wkb([row["geometry"] for row in rows], crs=about.crs)
        table = GeoDataFrame(columns, geometry=shapes).astype({"windows": "int32", "area_m2": "float64"})
        table = table.astype(dict.fromkeys(_TEXTS, "object"))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "'crs' was not provided")
            try:
                pyogrio.write_dataframe(
                    table, path, driver="GPKG", layer=LAYER, geometry_type="MultiPolygon", promote_to_multi=True,
                    append=not first,
                )  # fmt: skip
            except (DataSourceError, FieldError) as error:
                raise OSError(str(error)) from error
        first = False


def _write_geojson(features: Iterable[Feature], path: Path, about: About) -> None:
    """Write RFC 7946: WGS84, or pixels where no raster has a place on the map, which the file then says."""
    head: dict[str, Any] = {"type": "FeatureCollection"}
    if about.crs is None:
        head |= {"crs": None, "coordinate_frame": PIXEL_FRAME}
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps(head)[:-1] + ', "features": [')
        for number, feature in enumerate(features):
            whole = {"type": "Feature", "geometry": _earth(feature, about), "properties": about.columns(feature)}
            text = json.dumps(whole, ensure_ascii=False, allow_nan=False)
            file.write((",\n" if number else "\n") + text)
        file.write("\n]}\n")


def _earth(feature: Feature, about: About) -> dict[str, Any] | None:
    """Give the geometry of a feature as vlm.vector does, its parts as one; None off the map that others are on."""
    if about.crs is not None and not feature.grid.georeferenced:
        return None
    found = [part["geometry"] for part in answer_to_geojson(feature.to_answer())["features"]]
    if not found or any(part is None for part in found):
        return None
    if len(found) == 1:
        return dict(found[0])
    polygons: list[Any] = []
    for part in found:
        polygons += part["coordinates"] if part["type"] == "MultiPolygon" else [part["coordinates"]]
    return {"type": "MultiPolygon", "coordinates": polygons}


def _batches(features: Iterable[Feature], about: About) -> Iterator[list[dict[str, Any]]]:
    """Give rows of columns with WKB geometry, BATCH at a time."""
    drawn = iter(features)
    while group := list(islice(drawn, BATCH)):
        yield [_row(feature, about) for feature in group]


def _row(feature: Feature, about: About) -> dict[str, Any]:
    shape = place(feature, about.crs)
    return {**about.columns(feature), "geometry": None if shape is None else shape.wkb}


def _at_least_one(batches: Iterator[list[dict[str, Any]]]) -> Iterator[list[dict[str, Any]]]:
    yield next(batches, [])
    yield from batches


WRITERS: Final[dict[str, Callable[[Iterable[Feature], Path, About], None]]] = {
    ".parquet": _write_parquet,
    ".gpkg": _write_geopackage,
    ".geojson": _write_geojson,
}
