"""FAIR1M: oriented objects of 37 fine classes on Gaofen and Google Earth images of 1,000 to 10,000 px, 0.3-0.8 m.

Layout: train/part1/{images,labelXml}, train/part2/{images,labelXml}, validation/{images,labelXml}; images <n>.tif,
labels <n>.xml. A split with images/ and a label folder of its own (FAIR1M 1.0: train/images, train/labelXml) and the
folder name labelXmls are read too. The test split has no labels.
Quirks: an object lists five points, the first corner again at the end; its class is possibleresult/name ("other-ship",
"Boeing737"); a few points may lie outside the image and are kept.
Licence: CC BY-NC-SA 3.0.
Citation: Sun et al., FAIR1M: a benchmark dataset for fine-grained object recognition in high-resolution remote sensing
imagery, ISPRS Journal 184, 2022.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element

from data_engine.objects import Scene
from data_engine.sources.object_scenes import ObjectSet
from data_engine.sources.source import Source, describe_image, require_split
from data_engine.sources.xml_objects import load_xml
from vlm.errors import DataError
from vlm.geometry.shapes import Point, Polygon
from vlm.records import Region

NAME: Final = "fair1m"
SPLITS: Final = ("train", "val")
LICENCE: Final = "CC BY-NC-SA 3.0"
LAYOUT: Final = (
    "train/part1/images/*.tif with train/part1/labelXml/*.xml, train/part2/..., and validation/images with "
    "validation/labelXml; they come from https://www.gaofen-challenge.com/benchmark"
)
FOLDERS: Final = {"train": ("train/part1", "train/part2", "train"), "val": ("validation", "val")}
LABELS: Final = ("labelXml", "labelXmls")
NAMES: Final = (
    "Passenger Ship", "Motorboat", "Fishing Boat", "Tugboat", "other-ship", "Engineering Ship", "Liquid Cargo Ship",
    "Dry Cargo Ship", "Warship", "Small Car", "Bus", "Cargo Truck", "Dump Truck", "other-vehicle", "Van", "Trailer",
    "Tractor", "Excavator", "Truck Tractor", "Boeing737", "Boeing747", "Boeing777", "Boeing787", "ARJ21", "C919",
    "A220", "A321", "A330", "A350", "other-airplane", "Baseball Field", "Basketball Court", "Football Field",
    "Tennis Court", "Roundabout", "Intersection", "Bridge",
)  # fmt: skip


def write_class(name: str) -> str:
    """Write a class as words: "other-ship" -> "other ship", "Boeing737" -> "Boeing 737", "Van" -> "van"."""
    model = re.fullmatch(r"Boeing(\d+)", name)
    if model:
        return f"Boeing {model[1]}"
    return name if name.isupper() else name.replace("-", " ").lower()


WORDS: Final = {name: write_class(name) for name in NAMES}
CLASSES: Final = tuple(WORDS.values())


def load_scene(path: Path, split: str) -> Scene:
    """Read one label file and the image that lies in images/ beside its folder."""
    part = path.parent.parent
    image = describe_image(part / "images" / f"{path.stem}.tif", name=NAME, layout=LAYOUT)
    regions = tuple(
        _read_object(entry, f"{path} object {number}")
        for number, entry in enumerate(load_xml(path, name=NAME, layout=LAYOUT).iter("object"), start=1)
    )
    key = f"{NAME}/{split}/{part.name}-{path.stem}"
    return Scene(key, image, regions, regions, CLASSES, NAME, split, LICENCE)


def _list_labels(root: Path, split: str) -> list[Path]:
    require_split(NAME, split, SPLITS)
    folders = [root / part / labels for part in FOLDERS[split] for labels in LABELS]
    found = [path for folder in folders if folder.is_dir() for path in sorted(folder.glob("*.xml"))]
    if not found:
        raise DataError(f"{NAME}: {root} holds no labels of the split {split!r}; expected {LAYOUT}")
    return found


def _read_object(entry: Element, where: str) -> Region:
    name = (entry.findtext("possibleresult/name") or "").strip()
    if name not in WORDS:
        raise DataError(f"{where} has class {name!r}: known are {', '.join(NAMES)}")
    points = [_read_point(point.text or "", where) for point in entry.iterfind("points/point")]
    if len(points) == 5 and points[0] == points[4]:
        points = points[:4]
    if len(points) != 4:
        raise DataError(f"{where} has {len(points)} points: expected four corners and the first one again")
    return Region(Polygon(tuple(points)), WORDS[name])


def _read_point(text: str, where: str) -> Point:
    x, _, y = text.partition(",")
    try:
        return float(x), float(y)
    except ValueError as error:
        raise DataError(f"{where} has the point {text!r}: expected x,y in pixels") from error


READER: Final = ObjectSet(NAME, _list_labels, load_scene)
load, load_scenes = READER.load, READER.load_scenes
SOURCE: Final = Source(
    NAME, load, SPLITS, LAYOUT, LICENCE, citation="Sun et al., ISPRS Journal 184, 2022", load_scenes=load_scenes
)
