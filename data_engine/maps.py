"""Maps -> annotations: a georeferenced raster with vector layers or a land-cover raster of the same place.

Features are brought into the raster's pixels, cut at its edge and named by their tags (map_tags). Objects become a
detection, surfaces and lines a segmentation (annotations), which the recipes read. The classes that were looked for are
those that the layers hold anywhere, inside the image or not, so that the absence of one is a fact about the map.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from data_engine.annotations import cover_to_turn, scene_to_sample
from data_engine.cover import UNKNOWN, Cover, cover_to_regions, draw
from data_engine.labels import crop_mask
from data_engine.map_tags import Kind, classify_tags
from data_engine.objects import Scene
from vlm.errors import DataError
from vlm.geometry.convert import polygons_from_shapely
from vlm.geometry.shapes import Window
from vlm.records import Image, Region, Sample, Turn

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from vlm.grid import Grid
    from vlm.raster import Raster

VECTOR_SUFFIXES: Final = (".geojson", ".gpkg", ".fgb", ".json", ".shp")
MIN_AREA_PX: Final = 16.0
"""The least visible area of a feature in square pixels."""
WORLDCOVER: Final = {
    10: "tree cover", 20: "shrubland", 30: "grassland", 40: "cropland", 50: "built-up area",
    60: "bare or sparsely vegetated land", 70: "snow and ice", 80: "water", 90: "herbaceous wetland", 95: "mangroves",
    100: "moss and lichen",
}  # fmt: skip
"""The class values of ESA WorldCover (10 m, 2020 and 2021), as words."""


@dataclass(frozen=True, slots=True)
class Feature:
    """Hold one feature of a layer in the layer's own coordinates: its class and its shape (lines with a width)."""

    label: str
    kind: Kind
    shape: BaseGeometry
    width_m: float


@dataclass(frozen=True, slots=True)
class Layer:
    """Hold the features of one layer and its CRS as PROJ reads it."""

    crs: str
    features: tuple[Feature, ...]


def read_layers(path: Path) -> list[Layer]:
    """Read the layers of a vector file (GeoJSON, GeoPackage, FlatGeobuf, shapefile) whose features are known classes.

    Raises DataError for a file that cannot be read and for a layer without CRS.
    """
    import shapely
    from pyogrio import list_layers
    from pyogrio.errors import DataLayerError, DataSourceError
    from pyogrio.raw import read

    layers = []
    try:
        for name, _ in list_layers(path):
            meta, _, shapes, columns = read(path, layer=name)
            if meta["crs"] is None:
                raise DataError(f"layer {name} of {path} has no CRS: set one with ogr2ogr -a_srs")
            rows = [dict(zip(meta["fields"], values, strict=True)) for values in zip(*columns, strict=True)]
            found = (_read_feature(shape, row) for shape, row in zip(shapely.from_wkb(shapes), rows, strict=True))
            layers.append(Layer(str(meta["crs"]), tuple(feature for feature in found if feature is not None)))
    except (DataSourceError, DataLayerError, OSError) as error:
        raise DataError(f"map layers {path} cannot be read ({error}): expected {', '.join(VECTOR_SUFFIXES)}") from error
    return layers


def load_map(
    raster: Path, layers: Sequence[Path], *, key: str, source: str, licence: str, window_px: int | None = None
) -> Iterator[Sample]:
    """Yield the annotations of a raster, or of each of its windows of `window_px` (as PNG), from vector files.

    Raises DataError where the raster has no georeference or no layer holds a known class.
    """
    import shapely

    from vlm.raster import Raster as Opened

    features = [layer for path in layers for layer in read_layers(path)]
    with Opened.open(raster) as opened:
        if not opened.grid.georeferenced:
            raise DataError(f"{raster} has no georeference, so that no map can be laid over it: add one")
        placed = [item for layer in features for item in _place(layer, opened.grid)]
        if not placed:
            raise DataError(f"{', '.join(map(str, layers))} hold no known class: see data_engine/map_tags.py")
        counted = tuple(dict.fromkeys(label for label, kind, _ in placed if kind == "object"))
        tree = shapely.STRtree([shape for _, _, shape in placed])
        for name, image, window in _windows(opened, raster, window_px):
            box = window.box
            seen = [placed[at] for at in sorted(tree.query(shapely.box(box.x1, box.y1, box.x2, box.y2)).tolist())]
            yield _annotate(image, seen, counted, window, key=f"{key}{name}", source=source, licence=licence)


def load_land_cover(
    raster: Path,
    labels: Path,
    *,
    key: str,
    source: str,
    licence: str,
    classes: Mapping[int, str] = WORLDCOVER,
    window_px: int | None = None,
) -> Iterator[Sample]:
    """Yield the land cover of a raster, or of each of its windows, from a label raster (nearest label of each pixel).

    Labels without a class are left out. Raises DataError where neither georeference nor size match.
    """
    from vlm.raster import Raster as Opened

    names = tuple(dict.fromkeys(classes.values()))
    with Opened.open(raster) as opened:
        values = _warp_labels(labels, opened)
        table = np.full(max(classes) + 1, UNKNOWN, np.int16)
        for value, label in classes.items():
            table[value] = names.index(label)
        known = (values >= 0) & (values <= max(classes))
        indices = np.where(known, table[np.where(known, values, 0)], np.int16(UNKNOWN)).astype(np.int16)
        for name, image, window in _windows(opened, raster, window_px):
            part = indices[window.y : window.y + window.h, window.x : window.x + window.w]
            found = cover_to_regions(Cover(np.ascontiguousarray(part), names))
            if found:
                turn = cover_to_turn(found, names, seed=0, key=f"{key}{name}")
                yield Sample(f"{key}{name}/cover", (image,), (turn,), "segment", source, "train", licence)


def _read_feature(shape: BaseGeometry | None, tags: dict[str, Any]) -> Feature | None:
    if shape is None or shape.is_empty or "Point" in shape.geom_type:
        return None
    found = classify_tags(tags, area="Polygon" in shape.geom_type)
    return None if found is None else Feature(found.label, found.kind, shape, found.width_m)


def _place(layer: Layer, grid: Grid) -> list[tuple[str, Kind, BaseGeometry]]:
    """Bring the features of a layer into the pixels of a grid; lines get their width."""
    import shapely
    from pyproj import Transformer

    towards = Transformer.from_crs(layer.crs, grid.crs, always_xy=True)
    gsd_m = grid.gsd_m or 1.0

    def to_pixel(points: np.ndarray) -> np.ndarray:
        x, y = towards.transform(points[:, 0], points[:, 1])
        return np.stack(grid.to_pixel(np.asarray(x), np.asarray(y)), axis=1)

    placed = []
    for feature in layer.features:
        shape = shapely.transform(shapely.force_2d(feature.shape), to_pixel)
        if feature.kind == "line":
            shape = shape.buffer(max(feature.width_m / gsd_m / 2, 0.5), cap_style="flat")
        placed.append((feature.label, feature.kind, shapely.make_valid(shape)))
    return placed


def _windows(opened: Raster, path: Path, window_px: int | None) -> Iterator[tuple[str, Image, Window]]:
    """Give the whole raster by path, or a grid of windows as PNG, the last row and column shifted inwards."""
    facts: dict[str, Any] = {"gsd_m": opened.gsd_m, "crs": opened.crs}
    size: dict[str, Any] = {"width": opened.width, "height": opened.height}
    if window_px is None or max(opened.width, opened.height) <= window_px:
        yield "", Image(path=str(path), **size, **facts), opened.window
        return
    rendering = opened.renderings()[0]
    for y in _offsets(opened.height, window_px):
        for x in _offsets(opened.width, window_px):
            window = Window(x, y, min(window_px, opened.width), min(window_px, opened.height))
            pixels = opened.read(window, (window.w, window.h), rendering)
            if pixels.valid.any():
                data = _encode_png(pixels.rgb)
                yield f"/{x}-{y}", Image(data=data, width=window.w, height=window.h, **facts), window


def _offsets(length: int, size_px: int) -> list[int]:
    starts = list(range(0, max(1, length - size_px + 1), size_px))
    return starts if starts[-1] + size_px >= length else [*starts, length - size_px]


def _encode_png(rgb: np.ndarray) -> bytes:
    import io

    from PIL import Image as Picture

    stream = io.BytesIO()
    Picture.fromarray(rgb).save(stream, format="PNG")
    return stream.getvalue()


def _annotate(
    image: Image,
    placed: Sequence[tuple[str, Kind, BaseGeometry]],
    counted: tuple[str, ...],
    window: Window,
    *,
    key: str,
    source: str,
    licence: str,
) -> Sample:
    """Cut the features at the window, move them into its pixels and write them as annotations."""
    objects: list[Region] = []
    surfaces: dict[str, list[Region]] = {}
    for label, kind, shape in placed:
        regions = [Region(part, label) for part in _cut(shape, window)]
        if kind == "object":
            objects += regions
        else:
            surfaces.setdefault(label, []).extend(regions)
    turns: list[Turn] = []
    if counted:
        scene = Scene(key, image, tuple(objects), tuple(objects), counted, source, "train", licence)
        turns += scene_to_sample(scene).turns
    if surfaces:
        drawn = [(label, crop_mask(draw([r.geometry for r in regions], width=window.w, height=window.h)))
                 for label, regions in surfaces.items()]  # fmt: skip
        masks = [Region(mask, label) for label, mask in drawn if mask is not None]
        turns.append(cover_to_turn(masks, tuple(surfaces), seed=0, key=key))
    return Sample(f"{key}/map", (image,), tuple(turns), "detect" if counted else "segment", source, "train", licence)


def _cut(shape: BaseGeometry, window: Window) -> list[Any]:
    """Give the visible polygons of a shape in the window's pixels, those of less than MIN_AREA_PX left out."""
    import shapely

    box = window.box
    seen = shapely.intersection(shape, shapely.box(box.x1, box.y1, box.x2, box.y2))
    moved = shapely.transform(seen, lambda points: points - (window.x, window.y))
    return [polygon for polygon in polygons_from_shapely(moved) if _area(polygon) >= MIN_AREA_PX]


def _area(polygon: Any) -> float:
    from vlm.geometry.convert import polygon_area

    return polygon_area(polygon)


def _warp_labels(labels: Path, opened: Raster) -> np.ndarray:
    """Read the label of each pixel of a raster: on the raster's grid, or pixel by pixel where neither has a place."""
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioIOError
    from rasterio.warp import Resampling, reproject

    try:
        with (
            warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning),
            rasterio.open(labels) as source,
        ):
            if source.crs is None or opened.grid.transform is None or opened.crs is None:
                if (source.width, source.height) != (opened.width, opened.height):
                    raise DataError(
                        f"labels {labels} of {source.width} x {source.height} px cannot be laid over {opened.path} of "
                        f"{opened.width} x {opened.height} px: one of them has no georeference, and the sizes differ"
                    )
                return np.asarray(source.read(1), np.int32)
            target = np.full((opened.height, opened.width), -1, np.int32)
            reproject(
                rasterio.band(source, 1), target, dst_transform=rasterio.Affine(*opened.grid.transform),
                dst_crs=opened.crs, dst_nodata=-1, resampling=Resampling.nearest,
            )  # fmt: skip
            return target
    except RasterioIOError as error:
        raise DataError(f"labels {labels} cannot be read as a raster ({error}): copy them again") from error
