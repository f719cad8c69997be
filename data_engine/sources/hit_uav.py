"""HIT-UAV: thermal infrared from a UAV at 60-130 m; people, cars, bicycles and other vehicles as HBB and OBB.

Layout (the official one):
    normal_json/{train,val,test}/*.jpg              640 x 512
    normal_json/annotations/{split}.json            HBB: bbox = [x, y, w, h] in pixels
    rotate_json/annotations/{split}.json            OBB: bbox = [cx, cy, w, h, theta], pixels and radians in 0..pi
Quirks: the HBB file's list is called "annotation" (the OBB file's "annotations") and its images are named by
"filename"; theta turns from +x towards +y, clockwise on the screen. "DontCare" marks what nobody should judge: it is
left out, and an image that holds one gives no counts and no negatives. A few images hold no object.
File name: <0 day | 1 night>_<altitude m>_<camera angle, 90 = nadir>_<weather>_<number>.jpg.
Licence: CC BY 4.0.
Citation: Suo et al., HIT-UAV: a high-altitude infrared thermal dataset, Scientific Data 10:227, 2023.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from data_engine import objects
from data_engine.generate import BoxKind
from data_engine.objects import Scene
from data_engine.sources.object_scenes import ObjectSet
from data_engine.sources.source import Source, describe_image, load_json, require_split
from vlm.errors import DataError
from vlm.geometry.angles import from_convention
from vlm.geometry.shapes import HBB, OBB
from vlm.records import Image, Region, Sample

NAME: Final = "hit_uav"
SPLITS: Final = ("train", "val", "test")
LICENCE: Final = "CC BY 4.0"
LAYOUT: Final = (
    "normal_json/<split>/*.jpg, normal_json/annotations/<split>.json and rotate_json/annotations/<split>.json; they "
    "come from https://github.com/suojiashun/HIT-UAV-Infrared-Thermal-Dataset"
)
WORDS: Final = {"Person": "person", "Car": "car", "Bicycle": "bicycle", "OtherVehicle": "other vehicle"}
CLASSES: Final = tuple(WORDS.values())
IGNORED: Final = "DontCare"
Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Files:
    """Hold the annotation files of a split: images, the boxes of each, oriented boxes and class names by id."""

    root: Path
    split: str
    images: list[Entry]
    boxes: dict[int, list[Entry]]
    obbs: dict[int, Entry]
    names: dict[int, str]

    def scene(self, record: Entry) -> Scene:
        """Give one image with its objects, HBB and OBB joined by annotation id."""
        path = self.root / "normal_json" / self.split / record["filename"]
        image = describe_image(path, name=NAME, layout=LAYOUT, sensor="thermal infrared")
        key = f"{NAME}/{self.split}/{path.stem}"
        return _scene(key, self.split, image, self.boxes.get(record["id"], []), self.obbs, self.names)


def single_object_samples(root: Path, *, split: str, kind: BoxKind = "box", seed: int = 0) -> Iterator[Sample]:
    """Yield the grounding test: "Where is the car?" wherever the image holds exactly one object of the class."""
    for scene in load_scenes(root, split=split):
        yield from objects.ground_samples(scene, kind=kind, bases=("single",), seed=seed)


def unique_object_samples(root: Path, *, split: str, kind: BoxKind = "box", seed: int = 0) -> Iterator[Sample]:
    """Yield the wider grounding test: phrases unique by class, position or size ("the left-most car")."""
    for scene in load_scenes(root, split=split):
        yield from objects.ground_samples(scene, kind=kind, seed=seed)


def count_samples(root: Path, *, split: str, seed: int = 0) -> Iterator[Sample]:
    """Yield "How many cars are there?" for each class that the image holds and one class that it does not hold."""
    for scene in load_scenes(root, split=split):
        yield from objects.count_samples(scene, seed=seed)


def _load_files(root: Path, split: str) -> Files:
    require_split(NAME, split, SPLITS)
    flat_path = root / "normal_json" / "annotations" / f"{split}.json"
    turned_path = root / "rotate_json" / "annotations" / f"{split}.json"
    flat = load_json(flat_path, name=NAME, layout=LAYOUT)
    turned = load_json(turned_path, name=NAME, layout=LAYOUT)
    names = {entry["id"]: entry["name"] for entry in _entries(flat, "categories", flat_path, ("id", "name"))}
    by_image: dict[int, list[Entry]] = {}
    fields = ("id", "image_id", "category_id", "bbox")
    for entry in _entries(flat, "annotation", flat_path, fields):
        by_image.setdefault(entry["image_id"], []).append(entry)
    obbs = {entry["id"]: entry for entry in _entries(turned, "annotations", turned_path, fields)}
    images = _entries(flat, "images", flat_path, ("id", "filename"))
    return Files(root, split, images, by_image, obbs, names)


def _entries(content: Any, key: str, path: Path, required: tuple[str, ...]) -> list[Entry]:
    if not isinstance(content, dict) or not isinstance(content.get(key), list):
        raise DataError(f"{path} has no list {key!r}: expected the official HIT-UAV layout")
    for number, entry in enumerate(content[key]):
        if not isinstance(entry, dict) or not set(required) <= entry.keys():
            raise DataError(f"{path} entry {number} of {key!r} lacks one of {', '.join(required)}: download it again")
    return content[key]


def _scene(
    key: str,
    split: str,
    image: Image,
    entries: list[Entry],
    obbs: dict[int, Entry],
    names: dict[int, str],
) -> Scene:
    boxes, turned = [], []
    doubtful: tuple[str, ...] = ()
    for entry in entries:
        name = names.get(entry["category_id"], str(entry["category_id"]))
        if name == IGNORED:
            doubtful = CLASSES
            continue
        if name not in WORDS:
            raise DataError(f"HIT-UAV annotation {entry['id']} has class {name!r}: known are {', '.join(WORDS)}")
        if entry["id"] not in obbs:
            raise DataError(f"HIT-UAV annotation {entry['id']} of {key} has no oriented box in rotate_json")
        boxes.append(Region(_read_hbb(entry), WORDS[name]))
        turned.append(Region(_read_obb(obbs[entry["id"]]), WORDS[name]))
    return Scene(key, image, tuple(boxes), tuple(turned), CLASSES, NAME, split, LICENCE, doubtful)


def _read_hbb(entry: Entry) -> HBB:
    x, y, w, h = _numbers(entry, 4)
    return HBB(x, y, x + w, y + h)


def _read_obb(entry: Entry) -> OBB:
    return from_convention(_numbers(entry, 5), "hit_uav")


def _numbers(entry: Entry, expected: int) -> list[float]:
    values = entry["bbox"]
    if not isinstance(values, list) or len(values) != expected or min(values[2:4]) <= 0:
        raise DataError(f"HIT-UAV annotation {entry['id']} has bbox {values}: expected {expected} numbers, w and h > 0")
    return [float(value) for value in values]


def _list_images(root: Path, split: str) -> list[tuple[Files, Entry]]:
    files = _load_files(root, split)
    return [(files, record) for record in files.images]


def _load_scene(record: tuple[Files, Entry], split: str) -> Scene:
    del split
    files, entry = record
    return files.scene(entry)


READER: Final = ObjectSet(NAME, _list_images, _load_scene)
load, load_scenes = READER.load, READER.load_scenes
SOURCE: Final = Source(
    NAME, load, SPLITS, LAYOUT, LICENCE, citation="Suo et al., Scientific Data 10:227, 2023", load_scenes=load_scenes
)
