"""xView: about a million objects of 60 classes as horizontal boxes on WorldView-3 images of about 3,000 px, 0.3 m.

Layout: train_images/<n>.tif and xView_train.geojson, one feature an object: image_id ("2355.tif"), type_id and
bounds_imcoords, "x1,y1,x2,y2" in pixels of that image. val_images/ has no labels.
Quirks: the file is some 600 MB, so only its three columns are read, by GDAL. The geometry of a feature is longitude and
latitude and is not used. type_id 75 and 82 occur without a name and are left out, as are boxes without an area; the
features of 1395.tif have no image. Boxes may run out of the image. Six classes are kinds of the others (a small car is
a passenger vehicle): "passenger vehicle" marks those that could not be told apart, so these classes are never counted
or called absent.
Licence: CC BY-NC-SA 4.0.
Citation: Lam et al., xView: objects in context in overhead imagery, arXiv 1802.07856, 2018.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from data_engine.objects import Scene
from data_engine.sources.object_scenes import ObjectSet
from data_engine.sources.source import Source, describe_image, require_path, require_split
from vlm.errors import DataError
from vlm.geometry.shapes import HBB
from vlm.records import Region

NAME: Final = "xview"
SPLITS: Final = ("train",)
LICENCE: Final = "CC BY-NC-SA 4.0"
LAYOUT: Final = "train_images/*.tif and xView_train.geojson; they come from https://xviewdataset.org"
GSD_M: Final = 0.3
TYPES: Final = {
    11: "fixed-wing aircraft", 12: "small aircraft", 13: "passenger or cargo plane", 15: "helicopter",
    17: "passenger vehicle", 18: "small car", 19: "bus", 20: "pickup truck", 21: "utility truck", 23: "truck",
    24: "cargo truck", 25: "truck with box", 26: "truck tractor", 27: "trailer", 28: "truck with flatbed",
    29: "truck with liquid", 32: "crane truck", 33: "railway vehicle", 34: "passenger car", 35: "cargo car",
    36: "flat car", 37: "tank car", 38: "locomotive", 40: "maritime vessel", 41: "motorboat", 42: "sailboat",
    44: "tugboat", 45: "barge", 47: "fishing vessel", 49: "ferry", 50: "yacht", 51: "container ship",
    52: "oil tanker", 53: "engineering vehicle", 54: "tower crane", 55: "container crane", 56: "reach stacker",
    57: "straddle carrier", 59: "mobile crane", 60: "dump truck", 61: "haul truck", 62: "scraper or tractor",
    63: "front loader or bulldozer", 64: "excavator", 65: "cement mixer", 66: "ground grader", 71: "hut or tent",
    72: "shed", 73: "building", 74: "aircraft hangar", 76: "damaged building", 77: "facility",
    79: "construction site", 83: "vehicle lot", 84: "helipad", 86: "storage tank", 89: "shipping container lot",
    91: "shipping container", 93: "pylon", 94: "tower",
}  # fmt: skip
CLASSES: Final = tuple(TYPES.values())
DOUBTFUL: Final = (
    "fixed-wing aircraft", "passenger vehicle", "truck", "railway vehicle", "maritime vessel", "engineering vehicle",
    "building",
)  # fmt: skip
UNNAMED: Final = (75, 82)
WITHOUT_IMAGE: Final = ("1395.tif",)
Labelled = tuple[Path, list[tuple[str, int]]]
"""An image, and the bounds_imcoords and type_id of each of its objects."""


def _list_objects(root: Path, split: str) -> list[Labelled]:
    """Give (bounds_imcoords, type_id) of the objects of each image, images in order of their number."""
    from pyogrio.errors import DataSourceError
    from pyogrio.raw import read

    require_split(NAME, split, SPLITS)
    path = require_path(root / "xView_train.geojson", name=NAME, layout=LAYOUT)
    wanted = ["image_id", "type_id", "bounds_imcoords"]
    try:
        meta, _, _, columns = read(path, columns=wanted, read_geometry=False)
    except DataSourceError as error:
        raise DataError(f"{NAME}: {path} cannot be read as GeoJSON ({error}): unpack it again") from error
    if set(meta["fields"]) != set(wanted):
        raise DataError(f"{NAME}: {path} has the properties {list(meta['fields'])}: expected {', '.join(wanted)}")
    by_name = dict(zip(meta["fields"], columns, strict=True))
    if by_name["type_id"].dtype.kind not in "iu":
        raise DataError(f"{NAME}: {path} has a type_id that is no number: unpack it again")
    found: dict[Path, list[tuple[str, int]]] = {}
    for file, kind, bounds in zip(*(by_name[name] for name in wanted), strict=True):
        if int(kind) not in UNNAMED and file not in WITHOUT_IMAGE:
            found.setdefault(root / "train_images" / file, []).append((str(bounds), int(kind)))
    return sorted(found.items(), key=lambda item: (len(item[0].name), item[0].name))


def load_scene(labelled: Labelled, split: str) -> Scene:
    """Read one image with its objects as boxes; one whose box has no area is left out."""
    path, listed = labelled
    image = describe_image(path, name=NAME, layout=LAYOUT, sensor="WorldView-3", gsd_m=GSD_M)
    regions = [_read_region(bounds, kind, path.name) for bounds, kind in listed]
    boxes = tuple(region for region in regions if region is not None)
    return Scene(f"{NAME}/{split}/{path.stem}", image, boxes, (), CLASSES, NAME, split, LICENCE, DOUBTFUL)


def _read_region(bounds: str, kind: int, file: str) -> Region | None:
    """Read one object; None where its box has no area."""
    try:
        x1, y1, x2, y2 = (float(word) for word in bounds.split(","))
    except ValueError as error:
        raise DataError(f"{NAME}: {file} has bounds_imcoords {bounds!r}: expected x1,y1,x2,y2 in pixels") from error
    if kind not in TYPES:
        raise DataError(f"{NAME}: {file} has an object of type_id {kind}: known are {', '.join(map(str, TYPES))}")
    return Region(HBB(x1, y1, x2, y2), TYPES[kind]) if x2 > x1 and y2 > y1 else None


READER: Final = ObjectSet(NAME, _list_objects, load_scene)
load, load_scenes = READER.load, READER.load_scenes
SOURCE: Final = Source(
    NAME, load, SPLITS, LAYOUT, LICENCE, citation="Lam et al., arXiv 1802.07856, 2018", load_scenes=load_scenes
)
