"""Label files and rasters -> images with their objects in pixels; each feature is used or counted by what it lacks.

images/ labels.gpkg              one file for all images, in any CRS
images/ labels/NAME.geojson ...  a file of each image's name (or of a name that begins with it), also Pascal VOC XML
image.tif labels.shp             a single image
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from data_engine.own.layers import PIXELS, VECTORS, XML, LabelOptions, Layer, load_layers
from vlm.errors import DataError
from vlm.geometry.convert import to_hbb
from vlm.geometry.shapes import HBB, Polygon
from vlm.grid import Grid
from vlm.records import Region

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

LOG = logging.getLogger("nadir.data")
RASTERS: Final = (".tif", ".tiff", ".jp2", ".vrt", ".img", ".png", ".jpg", ".jpeg", ".bmp", ".webp")
LEAST_PX: Final = 9.0
"""The least area of an object in square pixels."""
OUTSIDE: Final = "outside all images"
SMALL: Final = "smaller than 3 x 3 px"
_UPRIGHT_PX: Final = 0.51
"""How far a corner may lie from that of an upright box, in pixels, for the shape to be one."""


@dataclass(frozen=True)
class OwnImage:
    """Hold one raster with its grid and its objects, polygons or boxes in its pixels, some reaching over its edge."""

    path: Path
    grid: Grid
    gsd_m: float | None
    objects: tuple[Region, ...]

    @cached_property
    def bounds(self) -> np.ndarray:
        """Give the boxes of the objects, (n, 4): x1, y1, x2, y2 in pixels."""
        boxes = [to_hbb(region.geometry) for region in self.objects]
        return np.array([[box.x1, box.y1, box.x2, box.y2] for box in boxes]).reshape(-1, 4)


@dataclass(frozen=True, slots=True)
class OwnData:
    """Hold the images that have objects, the classes in alphabetical order, and what became of each feature."""

    images: tuple[OwnImage, ...]
    classes: tuple[str, ...]
    features: int
    used: int
    dropped: Counter[str]
    unlabelled: tuple[Path, ...]
    """Images that no feature lies in."""

    @property
    def outlined(self) -> bool:
        """Say whether most objects are known by an outline rather than by a box."""
        shapes = [isinstance(region.geometry, Polygon) for image in self.images for region in image.objects]
        return 2 * sum(shapes) > len(shapes)


def load_own(images: Path, labels: Path, options: LabelOptions) -> OwnData:
    """Read a user's rasters and labels; DataError or RasterError, in a sentence, for what cannot be used."""
    rasters = find_rasters(images)
    pairs = _match(rasters, labels)
    grids = {raster: _open_grid(raster) for raster, _ in pairs}
    read: dict[Path, list[Layer]] = {}
    for _, files in pairs:
        for file in files:
            if file not in read:
                read[file] = load_layers(file, options)
    layers = [layer for found in read.values() for layer in found]
    dropped = sum((layer.dropped for layer in layers), Counter[str]())
    fate: dict[tuple[int, int], str] = {
        (id(layer), number): OUTSIDE for layer in layers for number in range(len(layer.features))
    }
    found = []
    for raster, files in pairs:
        grid, gsd_m = grids[raster]
        objects: list[Region] = []
        for layer in (layer for file in files for layer in read[file]):
            objects += _place(layer, grid, gsd_m, options, fate)
        found.append(OwnImage(raster, grid, gsd_m, tuple(objects)))
    dropped.update(reason for reason in fate.values() if reason)
    data = OwnData(
        images=tuple(image for image in found if image.objects),
        classes=tuple(sorted({region.phrase for image in found for region in image.objects})),
        features=sum(layer.total for layer in layers),
        used=sum(not reason for reason in fate.values()),
        dropped=dropped,
        unlabelled=tuple(image.path for image in found if not image.objects) + tuple(set(rasters) - set(grids)),
    )
    if not data.images:
        raise _say_apart(found, layers)
    return data


def find_rasters(images: Path) -> list[Path]:
    """List the images of a folder in the order of their names, or give a single one; DataError where there is none."""
    if images.is_file():
        return [images]
    if not images.is_dir():
        raise DataError(f"the images {images} do not exist: name a raster, or a folder of rasters")
    found = sorted(path for path in images.iterdir() if path.suffix.lower() in RASTERS)
    if not found:
        raise DataError(f"{images} holds no image: expected files that end in {', '.join(RASTERS)}")
    for one, other in pairwise(sorted(found, key=lambda path: path.stem)):
        if one.stem == other.stem:
            raise DataError(f"{one} and {other.name} are called alike: leave one of them out, or rename it")
    return found


def _match(rasters: Sequence[Path], labels: Path) -> list[tuple[Path, list[Path]]]:
    """Pair images with label files: with the only one, or with those of a folder that are called as they are."""
    if labels.is_file():
        return [(raster, [labels]) for raster in rasters]
    if not labels.is_dir():
        raise DataError(f"the labels {labels} do not exist: name a vector file, or a folder with one for each image")
    files = sorted(path for path in labels.iterdir() if path.suffix.lower() in (*VECTORS, XML))
    if not files:
        raise DataError(f"{labels} holds no labels: expected files that end in {', '.join((*VECTORS, XML))}")
    if len(files) == 1 and not any(files[0].stem == raster.stem for raster in rasters):
        return [(raster, files) for raster in rasters]
    pairs = [(raster, own) for raster in rasters if (own := [file for file in files if file.stem == raster.stem])]
    if not pairs:
        raise DataError(
            f"no label file of {labels} is called as an image is ({files[0].name}, but {rasters[0].name}): name them "
            "alike, or give one file for all images"
        )
    return pairs


def _open_grid(raster: Path) -> tuple[Grid, float | None]:
    from vlm.raster import Raster

    with Raster.open(raster) as opened:
        return opened.grid, opened.gsd_m


def _place(
    layer: Layer, grid: Grid, gsd_m: float | None, options: LabelOptions, fate: dict[tuple[int, int], str]
) -> list[Region]:
    """Bring the features of a layer into the pixels of an image, and note of each that it is used or too small."""
    import shapely

    if layer.crs != PIXELS and not grid.georeferenced:
        return []
    frame, objects = shapely.box(0, 0, grid.width, grid.height), list[Region]()
    shapes = _to_pixels([shape for _, shape in layer.features], layer.crs, grid)
    for number, ((label, _), shape) in enumerate(zip(layer.features, shapes, strict=True)):
        if not np.isfinite(shapely.get_coordinates(shape)).all():
            continue
        if "Point" in shape.geom_type:
            side_px = (options.point_m or 0.0) / (gsd_m or 1.0)
            shape = shape.buffer(side_px / 2, cap_style="square")
        parts = [part for part in _polygons(shape) if part.intersects(frame)]
        large = [part for part in parts if part.intersection(frame).area >= LEAST_PX]
        objects += [Region(_shape_of(part), label) for part in large]
        if large or (parts and fate[id(layer), number]):
            fate[id(layer), number] = "" if large else SMALL
    return objects


def _to_pixels(shapes: Sequence[BaseGeometry], crs: str, grid: Grid) -> list[BaseGeometry]:
    import shapely
    from pyproj import Transformer
    from pyproj.exceptions import CRSError

    if crs == PIXELS:
        return list(shapes)
    try:
        towards = Transformer.from_crs(crs, grid.crs, always_xy=True)
    except CRSError as error:
        raise DataError(f"the CRS {crs!r} of the labels is unknown to PROJ: say another with --label-crs") from error

    def to_pixel(points: np.ndarray) -> np.ndarray:
        x, y = towards.transform(points[:, 0], points[:, 1])
        return np.stack(grid.to_pixel(np.asarray(x), np.asarray(y)), axis=1)

    return [shapely.transform(shape, to_pixel) for shape in shapes]


def _polygons(shape: BaseGeometry) -> list[Any]:
    """Give the sound polygons of a shape: a feature of several parts is several objects."""
    import shapely

    sound = shape if shape.is_valid else shapely.make_valid(shape)
    return [part for part in shapely.get_parts(shapely.get_parts([sound])) if part.geom_type == "Polygon"]


def _shape_of(part: Any) -> HBB | Polygon:
    """Give an upright box where a polygon is one, else the polygon."""
    x1, y1, x2, y2 = part.bounds
    corners = list(part.exterior.coords)[:-1]
    at_corner = all(
        min(abs(x - x1), abs(x - x2)) <= _UPRIGHT_PX and min(abs(y - y1), abs(y - y2)) <= _UPRIGHT_PX
        for x, y, *_ in corners
    )
    if len(corners) == 4 and at_corner and not part.interiors:
        return HBB(x1, y1, x2, y2)
    rings = [tuple((x, y) for x, y, *_ in ring.coords[:-1]) for ring in (part.exterior, *part.interiors)]
    return Polygon(rings[0], tuple(rings[1:]))


def _say_apart(images: Sequence[OwnImage], layers: Sequence[Layer]) -> DataError:
    """Build the error of labels of which none lies in an image: both extents in degrees, where they are known."""
    import shapely
    from pyproj import Transformer

    placed = [layer for layer in layers if layer.crs != PIXELS and layer.features]
    first = images[0]
    if placed and not any(image.grid.georeferenced for image in images):
        return DataError(
            f"{first.path} has no georeference ({first.grid.flaw or 'neither CRS nor transform'}), so that labels on a "
            "map cannot be laid over it: add one with gdal_translate, or draw in its pixels and say --label-crs "
            f"{PIXELS}"
        )
    if not placed:
        return DataError(
            f"no label lies in {first.path} ({first.grid.width} x {first.grid.height} px): check its frame"
        )
    layer = placed[0]
    x1, y1, x2, y2 = shapely.total_bounds([shape for _, shape in layer.features]).tolist()
    west, south, east, north = Transformer.from_crs(layer.crs, "OGC:CRS84", always_xy=True).transform_bounds(
        x1, y1, x2, y2
    )
    lon, lat = first.grid.to_wgs84(np.array([0.0, first.grid.width]), np.array([0.0, first.grid.height]))
    return DataError(
        f"no label of {layer.path} lies in an image: the labels reach from {west:.4f}, {south:.4f} to {east:.4f}, "
        f"{north:.4f} degrees, and {first.path} from {min(lon):.4f}, {min(lat):.4f} to {max(lon):.4f}, {max(lat):.4f}: "
        "check that they are of one place, or say the labels' CRS with --label-crs"
    )
