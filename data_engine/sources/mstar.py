"""MSTAR: SAR chips of ten military vehicles (X band, 0.3 m), and scenes with such chips pasted into real clutter.

Layout (the deep learning project of hunterlew, both parts optional):
    classification/{train,val}/<0..9>/*.jpeg with train.txt and val.txt of `path label`          128 x 128 grey
    VOCdevkit2007/VOC2007/{JPEGImages,Annotations,ImageSets/Main/{train,val,test}.txt}           about 491 x 594
Quirks: classes are the digits 0 to 9; their names (VEHICLES) follow from the counts of the standard set in alphabetical
order and are nowhere stated. Chips of "train" were taken at a depression angle of 17 degrees, those of "val" at 15,
which is the standard test set. A quarter of the boxes run up to 9 px out of the scene: they are clipped to it.
Licence: US Government public release (AFRL/DARPA); none stated for the repository. Citation: Keydel et al., MSTAR
extended operating conditions, SPIE 2757, 1996.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from data_engine import generate
from data_engine.objects import Scene, seeded
from data_engine.sources.boundary import Reject, convert_each
from data_engine.sources.label_turns import name_label
from data_engine.sources.object_scenes import ObjectSet
from data_engine.sources.source import Source, describe_image, require_path, require_split
from data_engine.sources.xml_objects import load_xml, read_box
from vlm.errors import DataError
from vlm.geometry.shapes import HBB
from vlm.records import Image, Region, Sample

NAME: Final = "mstar"
SPLITS: Final = ("train", "val", "test")
LICENCE: Final = "US Government public release (AFRL/DARPA)"
LAYOUT: Final = (
    "classification/<split>.txt with classification/<split>/<0..9>/*.jpeg, or VOCdevkit2007/VOC2007/; they come from "
    "https://github.com/hunterlew/mstar_deeplearning_project"
)
VEHICLES: Final = (
    "2S1 howitzer", "BMP-2 infantry fighting vehicle", "BRDM-2 scout car", "BTR-60 personnel carrier",
    "BTR-70 personnel carrier", "D7 bulldozer", "T-62 tank", "T-72 tank", "ZIL-131 truck", "ZSU-23-4 anti-aircraft gun",
)  # fmt: skip
SENSOR: Final = "SAR"
GSD_M: Final = 0.3


def load(
    root: Path, *, split: str, seed: int = 0, reject: Reject | None = None, annotations: bool = False
) -> Iterator[Sample]:
    """Yield the vehicle of each chip of the split, and the object samples of each of its scenes."""
    require_split(NAME, split, SPLITS)
    chips = Path(root) / "classification" / f"{split}.txt"
    scenes = _voc(root) / "ImageSets" / "Main" / f"{split}.txt"
    if not chips.exists() and not scenes.exists():
        raise DataError(f"{NAME}: {root} holds neither {chips.name} of chips nor of scenes; expected {LAYOUT}")
    if chips.exists():
        lines = chips.read_text(encoding="utf-8").splitlines()
        yield from convert_each(
            (line for line in lines if line.strip()),
            lambda line: (_chip_sample(chips.with_suffix(""), line, split, seed),),
            name=NAME,
            reject=reject,
        )
    if scenes.exists():
        yield from READER.load(root, split=split, seed=seed, reject=reject, annotations=annotations)


def load_scene(path: Path, split: str) -> Scene:
    """Read one annotation, its vehicles as boxes clipped to the scene, and the image of its number."""
    picture = path.parent.with_name("JPEGImages") / f"{path.stem}.jpg"
    image = describe_image(picture, name=NAME, layout=LAYOUT, sensor=SENSOR, gsd_m=GSD_M)
    regions = []
    for place, entry in enumerate(load_xml(path, name=NAME, layout=LAYOUT).iter("object"), start=1):
        where = f"{path} object {place}"
        vehicle = _vehicle(entry.findtext("name", "").strip(), where)
        regions.append(Region(_clip(read_box(entry, where), image, where), vehicle))
    return Scene(f"{NAME}/{split}/{path.stem}", image, tuple(regions), (), VEHICLES, NAME, split, LICENCE)


def _list_scenes(root: Path, split: str) -> list[Path]:
    require_split(NAME, split, SPLITS)
    listing = require_path(_voc(root) / "ImageSets" / "Main" / f"{split}.txt", name=NAME, layout=LAYOUT)
    return [_voc(root) / "Annotations" / f"{number}.xml" for number in listing.read_text(encoding="utf-8").split()]


def _voc(root: Path) -> Path:
    return Path(root) / "VOCdevkit2007" / "VOC2007"


def _chip_sample(folder: Path, line: str, split: str, seed: int) -> Sample:
    path, _, digit = line.rpartition(" ")
    vehicle = _vehicle(digit.strip(), f"{folder}.txt line {line!r}")
    chip = folder / path.strip()
    image = describe_image(chip, name=NAME, layout=LAYOUT, sensor=SENSOR, gsd_m=GSD_M)
    sample_id = f"{NAME}/{split}/chip/{digit.strip()}-{chip.stem}/vehicle"
    turn = name_label("vehicle", vehicle, seeded(seed, sample_id))
    return generate.wrap_turn(turn, sample_id=sample_id, images=(image,), source=NAME, split=split, licence=LICENCE)


def _vehicle(digit: str, where: str) -> str:
    if digit not in map(str, range(len(VEHICLES))):
        raise DataError(f"{where} has class {digit!r}: expected a digit, 0 to 9")
    return VEHICLES[int(digit)]


def _clip(box: HBB, image: Image, where: str) -> HBB:
    width, height = float(image.width or 0), float(image.height or 0)
    x1, y1, x2, y2 = max(0.0, box.x1), max(0.0, box.y1), min(width, box.x2), min(height, box.y2)
    if x2 <= x1 or y2 <= y1:
        raise DataError(f"{where}: the box {box} lies outside the image of {width:g} x {height:g} px")
    return HBB(x1, y1, x2, y2)


READER: Final = ObjectSet(NAME, _list_scenes, load_scene)
load_scenes = READER.load_scenes
SOURCE: Final = Source(
    NAME, load, SPLITS, LAYOUT, LICENCE, citation="Keydel et al., SPIE 2757, 1996", load_scenes=load_scenes
)
