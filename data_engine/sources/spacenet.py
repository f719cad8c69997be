"""SpaceNet 1, 2, 4 and 6: building footprints as GeoJSON on GeoTIFF chips of 0.3 to 1 m (WorldView, Capella SAR).

Layout (the official one, unpacked): <area>/<product>/*.tif, and the labels in geojson*/ beside the products or one
folder higher: geojson/buildings/*_img<n>.geojson (1, 2), geojson/spacenet-buildings/*_<x>_<y>.geojson (4, one label for
27 looks), geojson_buildings/*_tile_<n>.geojson (6). A chip and its label share img<n>, tile_<n> or <x>_<y>. Of the
optical products the first of PRODUCTS that an area has is read, and SAR-Intensity beside it. Only train is labelled.
Quirks: labels are in their own CRS (WGS84 or UTM) and are placed on the image's pixels; chips are 8 or 16 bit and are
named by path, not converted; buildings are cut at the edge of the chip, and of one cut into pieces the largest is kept;
what is under MIN_PX pixels is left out; a chip without buildings has an empty list or an empty file. Off-nadir looks
(4) shift roofs against footprints.
Licence: CC BY-SA 4.0. Citation: Van Etten et al., SpaceNet: a remote sensing dataset and challenge series, 2018; Weir
et al., ICCV 2019 (4); Shermeyer et al., CVPR Workshops 2020 (6).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from data_engine.objects import Scene
from data_engine.sources.object_scenes import ObjectSet
from data_engine.sources.rasters import describe_raster
from data_engine.sources.source import Source, require_path, require_split
from vlm.errors import DataError
from vlm.geometry.shapes import HBB, Mask, Polygon
from vlm.records import Image, Region

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

NAME: Final = "spacenet"
SPLITS: Final = ("train",)
LICENCE: Final = "CC BY-SA 4.0"
LAYOUT: Final = (
    "<area>/<product>/*.tif and geojson*/ with one .geojson a chip beside or above; they come from "
    "https://spacenet.ai/datasets/"
)
RGB: Final = ("red", "green", "blue")
PRODUCTS: Final = {
    "RGB-PanSharpen": ("WorldView", RGB),
    "PS-RGB": ("WorldView", RGB),
    "3band": ("WorldView", RGB),
    "Pan-Sharpen": ("WorldView", ("red", "green", "blue", "nir")),
    "PAN": ("WorldView", ("pan",)),
    "SAR-Intensity": ("SAR", ("hh", "hv", "vh", "vv")),
}
SAR: Final = "SAR-Intensity"
CHIP: Final = re.compile(r"_(img\d+|tile_\d+|\d+_\d+)$")
BUILDING: Final = "building"
MIN_PX: Final = 4.0


def load_scene(pair: tuple[Path, Path], split: str = "train") -> Scene:
    """Read one chip with its buildings as polygons in pixels; the name of its folder says which product it is."""
    path, label = pair
    sensor, bands = PRODUCTS[path.parent.name]
    image = describe_raster(path, name=NAME, layout=LAYOUT, sensor=sensor, bands=bands)
    regions = tuple(Region(polygon, BUILDING) for polygon in _load_polygons(path, label, image))
    key = f"{NAME}/{split}/{path.parents[1].name}/{path.stem}"
    return Scene(key, image, regions, regions, (BUILDING,), NAME, split, LICENCE)


def with_masks(scene: Scene) -> Scene:
    """Give the same scene with a mask of one cell a pixel in the place of each polygon."""
    masks = tuple(replace(region, geometry=_fill(region.geometry)) for region in scene.boxes)  # type: ignore[arg-type]
    return replace(scene, boxes=masks, obbs=masks)


def _list_pairs(root: Path, split: str) -> Iterator[tuple[Path, Path]]:
    require_split(NAME, split, SPLITS)
    folders = list(_product_folders(root))
    if not folders:
        raise DataError(f"{NAME}: {root} holds no products of SpaceNet; expected {LAYOUT}")
    return (pair for folder in folders for pair in _pairs(folder))


def _product_folders(root: Path) -> Iterator[Path]:
    """Yield the folder of the best optical product of each area, and that of its SAR product."""
    areas = sorted({folder.parent for name in PRODUCTS for folder in root.rglob(name) if folder.is_dir()})
    for area in areas:
        optical = [area / name for name in PRODUCTS if name != SAR and (area / name).is_dir()]
        yield from optical[:1]
        if (area / SAR).is_dir():
            yield area / SAR


def _pairs(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Yield (chip, label) of a product; a chip without a label of its number raises DataError."""
    homes = [home for place in (folder.parent, folder.parents[1]) for home in sorted(place.glob("geojson*"))]
    labels = {
        _chip_of(label): label
        for home in reversed(homes)
        for label in sorted(home.rglob("*.geojson"))
        if "road" not in str(label.relative_to(home)).lower()
    }
    if not labels:
        raise DataError(f"{NAME}: neither {folder.parent} nor the folder above holds labels; expected {LAYOUT}")
    for path in sorted(folder.glob("*.tif")):
        chip = _chip_of(path)
        yield path, labels.get(chip, folder.parent / f"label of {chip or path.name}")


def _chip_of(path: Path) -> str:
    match = CHIP.search(path.stem)
    return match.group(1) if match else ""


def _load_polygons(path: Path, label: Path, image: Image) -> Iterator[Polygon]:
    """Yield the buildings of a label file on the pixels of a chip, clipped to it."""
    import shapely

    from vlm.geometry.convert import polygons_from_shapely

    frame = shapely.box(0, 0, float(image.width or 0), float(image.height or 0))
    for shape in _load_shapes(path, label):
        cut = shapely.make_valid(shape).intersection(frame)
        parts = sorted(polygons_from_shapely(cut), key=_area, reverse=True)
        if parts and _area(parts[0]) >= MIN_PX:
            yield parts[0]


def _load_shapes(path: Path, label: Path) -> list[BaseGeometry]:
    """Read the footprints of a GeoJSON file in the pixels of a raster."""
    import shapely
    from pyogrio import raw
    from pyogrio.errors import DataSourceError
    from pyproj import Transformer

    from vlm.dataset import grid_of, open_dataset

    require_path(label, name=NAME, layout=LAYOUT)
    if not label.stat().st_size:
        return []
    try:
        meta, _, geometry, _ = raw.read(label, columns=[], force_2d=True)
    except DataSourceError as error:
        raise DataError(f"{NAME}: {label} cannot be read as GeoJSON ({error}): unpack it again") from error
    with open_dataset(str(path)) as dataset:
        grid = grid_of(dataset)
    if grid.crs is None:
        raise DataError(f"{NAME}: {path} states no CRS, so that its labels cannot be placed on it: copy it again")
    to_crs = Transformer.from_crs(meta["crs"] or "EPSG:4326", grid.crs, always_xy=True)

    def to_pixels(points: np.ndarray) -> np.ndarray:
        x, y = to_crs.transform(points[:, 0], points[:, 1])
        return np.stack(grid.to_pixel(x, y), axis=-1)

    shapes: Any = [shape for shape in shapely.from_wkb(geometry) if shape is not None and not shape.is_empty]
    return [shapely.transform(shape, to_pixels) for shape in shapes]


def _area(polygon: Polygon) -> float:
    from vlm.geometry.convert import polygon_area

    return polygon_area(polygon)


def _fill(polygon: Polygon) -> Mask:
    """Draw a polygon on the pixels of its box; one too thin for half a pixel takes all that it touches."""
    from vlm.geometry.convert import to_hbb, to_mask

    box = to_hbb(polygon)
    x1, y1, x2, y2 = np.floor(box.x1), np.floor(box.y1), np.ceil(box.x2), np.ceil(box.y2)
    frame = HBB(float(x1), float(y1), float(x2), float(y2))
    mask = to_mask(polygon, box=frame, rows=int(y2 - y1), cols=int(x2 - x1))
    return (
        mask if mask.bits.any() else to_mask(polygon, box=frame, rows=int(y2 - y1), cols=int(x2 - x1), threshold=1e-6)
    )


READER: Final = ObjectSet(NAME, _list_pairs, load_scene, draw=with_masks)
load, load_scenes = READER.load, READER.load_scenes
SOURCE: Final = Source(
    NAME, load, SPLITS, LAYOUT, LICENCE, load_scenes=load_scenes,
    citation="Van Etten et al., 2018; Weir et al., ICCV 2019; Shermeyer et al., CVPR Workshops 2020",
)  # fmt: skip
