"""Label files as they lie: the layers of a vector file, or a Pascal VOC XML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from data_engine.formats.voc import read_objects
from data_engine.own.classes import Naming, clean_label
from data_engine.sources.xml_objects import load_xml
from vlm.errors import DataError

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

VECTORS: Final = (".geojson", ".gpkg", ".fgb", ".json", ".shp", ".parquet", ".gml", ".kml", ".sqlite", ".zip")
XML: Final = ".xml"
PIXELS: Final = "pixels"
"""The CRS of labels that are drawn in the pixels of their image, x to the right and y down."""
EMPTY: Final = "without geometry"
LINES: Final = "lines, which cover no area"
POINTS: Final = "points without --point-size"
NAMELESS: Final = "without a class"
"""Why a feature is not used."""
_QUARTER_DEG, _TURN_DEG = 90.0, 360.0


Table = tuple[str, list[str], str, list[Any], list[dict[str, object]]]


@dataclass(frozen=True, slots=True)
class LabelOptions:
    """Say how label files are read.

    `crs` is that of files that state none or a wrong one, or PIXELS; `point_m` the side in metres (in pixels where the
    image has no place on the earth) of the box that is drawn around a point.
    """

    naming: Naming = field(default_factory=Naming)
    crs: str | None = None
    point_m: float | None = None


@dataclass(frozen=True, slots=True)
class Layer:
    """Hold the features of a label file that have a class: (class, shape) in a CRS; `dropped` counts the others."""

    path: Path
    crs: str
    features: tuple[tuple[str, BaseGeometry], ...]
    dropped: Counter[str]

    @property
    def total(self) -> int:
        """Give the number of features that the file holds."""
        return len(self.features) + self.dropped.total()


def load_layers(path: Path, options: LabelOptions) -> list[Layer]:
    """Read a label file; DataError where it cannot be read, states no CRS, or no feature can be used."""
    if path.suffix.lower() == XML:
        return [_load_voc(path, options)]
    tables = list(_read_tables(path))
    for where, fields, *_ in tables:
        options.naming.require_fields(fields, where)
    layers = [_sort(path, shapes, rows, options, crs, where) for where, _, crs, shapes, rows in tables]
    if not sum(layer.total for layer in layers):
        raise DataError(f"the labels {path} hold no feature: draw some first")
    if not any(layer.features for layer in layers):
        fields = list(dict.fromkeys(field for _, fields, *_ in tables for field in fields))
        raise _say_unusable(path, sum((layer.dropped for layer in layers), Counter()), options.naming, fields)
    return layers


def _load_voc(path: Path, options: LabelOptions) -> Layer:
    """Read a Pascal VOC file, whose boxes are in the pixels of its image."""
    from vlm.geometry.convert import to_shapely

    regions = read_objects(load_xml(path, name="labels", layout="Pascal VOC XML"), where=str(path))
    label = options.naming.label
    named = tuple((clean_label(label or region.phrase), to_shapely(region.geometry)) for region in regions)
    return Layer(path, PIXELS, named, Counter())


def _read_tables(path: Path) -> Iterator[Table]:
    """Yield name, fields, CRS ("" for none), shapes and fields' values of each layer of a vector file."""
    import shapely
    from pyogrio import list_layers
    from pyogrio.errors import DataLayerError, DataSourceError
    from pyogrio.raw import read

    try:
        for name, kind in list_layers(path):
            if kind is None:
                continue
            meta, _, shapes, columns = read(path, layer=name, force_2d=True)
            fields = [str(field) for field in meta["fields"]]
            rows = [dict(zip(fields, values, strict=True)) for values in zip(*columns, strict=True)]
            where = str(path) if path.stem == name else f"layer {name} of {path}"
            found = list(shapely.from_wkb(shapes))
            yield where, fields, str(meta["crs"] or ""), found, rows or [{} for _ in found]
    except (DataSourceError, DataLayerError, OSError) as error:
        raise DataError(
            f"the labels {path} cannot be read ({error}): expected a vector file such as {', '.join(VECTORS[:5])}, or "
            "Pascal VOC XML"
        ) from error


def _sort(
    path: Path, shapes: list[Any], rows: list[dict[str, object]], options: LabelOptions, crs: str, where: str
) -> Layer:
    """Keep the features of a layer that have a class and an area, and count the others by what they lack."""
    features: list[tuple[str, BaseGeometry]] = []
    dropped: Counter[str] = Counter()
    for shape, row in zip(shapes, rows, strict=True):
        if shape is None or shape.is_empty:
            dropped[EMPTY] += 1
        elif "Line" in shape.geom_type:
            dropped[LINES] += 1
        elif "Point" in shape.geom_type and options.point_m is None:
            dropped[POINTS] += 1
        elif not (label := options.naming.name(row, area="Polygon" in shape.geom_type)):
            dropped[NAMELESS] += 1
        else:
            features.append((label, shape))
    return Layer(path, _find_crs(features, options, crs, where), tuple(features), dropped)


def _find_crs(features: list[tuple[str, BaseGeometry]], options: LabelOptions, stated: str, where: str) -> str:
    """Give the CRS that is told or stated; DataError for none, and for degrees that are none."""
    import shapely

    if options.crs is not None:
        return options.crs
    if not stated:
        raise DataError(f"{where} states no CRS: say it with --label-crs, such as EPSG:32616, or {PIXELS}")
    if not features:
        return stated
    x1, y1, x2, y2 = shapely.total_bounds([shape for _, shape in features]).tolist()
    if _is_geographic(stated, where) and (max(-y1, y2) > _QUARTER_DEG or max(-x1, x2) > _TURN_DEG):
        raise DataError(
            f"{where} says its coordinates are degrees ({stated}), and they are not (x {x1:,.6g} to {x2:,.6g}, y "
            f"{y1:,.6g} to {y2:,.6g}): say their CRS with --label-crs, such as EPSG:32616, or {PIXELS}"
        )
    return stated


def _is_geographic(crs: str, where: str) -> bool:
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        return bool(CRS.from_user_input(crs).is_geographic)
    except CRSError as error:
        raise DataError(f"the CRS {crs!r} of {where} is unknown to PROJ: say one with --label-crs") from error


def _say_unusable(path: Path, dropped: Counter[str], naming: Naming, fields: list[str]) -> DataError:
    """Build the error of a file of which no feature can be used, by what most of them lack."""
    reason, count = dropped.most_common(1)[0]
    if reason == POINTS:
        return DataError(
            f"{path} holds {count} points, which cover no area: say with --point-size how many metres wide the things "
            "are, or draw boxes around them"
        )
    if reason == NAMELESS:
        return naming.refuse(fields, str(path))
    return DataError(f"no feature of {path} can be used: {count} of {dropped.total()} are {reason}; draw polygons")
