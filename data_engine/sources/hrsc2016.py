"""HRSC2016: ships as oriented boxes on Google Earth images of six harbours, 0.4 to 2 m, 300 to 1,500 px.

Layout: FullDataSet/AllImages/<n>.bmp, FullDataSet/Annotations/<n>.xml, ImageSets/{train,val,trainval,test}.txt (one
image number a line). Train/ and Test/ with AllImages/ and Annotations/ of their own, and copies with JPEGImages/, are
read too.
Quirks: an object is HRSC_Objects/HRSC_Object with a horizontal box (box_xmin ...) and an oriented one (mbox_cx,
mbox_cy, mbox_w, mbox_h, mbox_ang): pixels and *radians*, the angle of the ship's length, from +x towards +y. Class_ID
has three levels ("100000001" is a ship, others are its types); every object is a ship here. Img_Resolution states the
ground sampling distance in m. Images without ships exist. `difficult` objects are ships like the others.
Licence: none stated; research use (imagery Google Earth).
Citation: Liu et al., A high resolution optical satellite image dataset for ship recognition and some new baselines,
ICPRAM 2017.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element

from data_engine.objects import Scene
from data_engine.sources.object_scenes import ObjectSet
from data_engine.sources.source import Source, describe_image, require_path, require_split
from data_engine.sources.xml_objects import load_xml, read_box, read_numbers
from vlm.errors import DataError
from vlm.geometry.convert import canonical
from vlm.geometry.shapes import OBB
from vlm.records import Region

NAME: Final = "hrsc2016"
SPLITS: Final = ("train", "val", "trainval", "test")
LICENCE: Final = "none stated; research use (imagery Google Earth)"
LAYOUT: Final = (
    "FullDataSet/AllImages/*.bmp, FullDataSet/Annotations/*.xml and ImageSets/<split>.txt; they come from "
    "https://www.kaggle.com/datasets/guofeng/hrsc2016"
)
CLASSES: Final = ("ship",)
FOLDERS: Final = ("FullDataSet", "Train", "Test", ".")
IMAGES: Final = ("AllImages/{}.bmp", "AllImages/{}.jpg", "AllImages/{}.png", "JPEGImages/{}.bmp", "JPEGImages/{}.jpg")
BOX: Final = ("box_xmin", "box_ymin", "box_xmax", "box_ymax")
TURNED: Final = ("mbox_cx", "mbox_cy", "mbox_w", "mbox_h", "mbox_ang")


def load_scene(record: tuple[Path, str], split: str) -> Scene:
    """Read the annotation of one image; a file without numbers where they belong raises DataError."""
    root, number = record
    path = _find(root, [f"{folder}/Annotations/{number}.xml" for folder in FOLDERS])
    tree = load_xml(path, name=NAME, layout=LAYOUT)
    picture = _find(path.parent.parent, [name.format(number) for name in IMAGES])
    image = describe_image(picture, name=NAME, layout=LAYOUT, gsd_m=_read_gsd(tree))
    entries = [(f"{path} object {place}", entry) for place, entry in enumerate(tree.iter("HRSC_Object"), start=1)]
    boxes = tuple(Region(read_box(entry, where, BOX), "ship") for where, entry in entries)
    turned = tuple(Region(_read_obb(entry, where), "ship") for where, entry in entries)
    return Scene(f"{NAME}/{split}/{number}", image, boxes, turned, CLASSES, NAME, split, LICENCE)


def _list_images(root: Path, split: str) -> list[tuple[Path, str]]:
    require_split(NAME, split, SPLITS)
    listing = require_path(root / "ImageSets" / f"{split}.txt", name=NAME, layout=LAYOUT)
    return [(root, number) for number in listing.read_text("utf-8").split()]


def _find(folder: Path, names: list[str]) -> Path:
    found = [folder / name for name in names if (folder / name).exists()]
    return require_path(found[0] if found else folder / names[0], name=NAME, layout=LAYOUT)


def _read_obb(entry: Element, where: str) -> OBB:
    cx, cy, w, h, radians = read_numbers(entry, TURNED, where)
    if min(w, h) <= 0:
        raise DataError(f"{where} has an oriented box of {w:g} x {h:g} px: expected sides above 0")
    return canonical(OBB(cx, cy, w, h, math.degrees(radians)))


def _read_gsd(tree: Element) -> float | None:
    text = (tree.findtext("Img_Resolution") or "").strip()
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 < value < math.inf else None


READER: Final = ObjectSet(NAME, _list_images, load_scene)
load, load_scenes = READER.load, READER.load_scenes
SOURCE: Final = Source(NAME, load, SPLITS, LAYOUT, LICENCE, citation="Liu et al., ICPRAM 2017", load_scenes=load_scenes)
