"""DIOR and DIOR-R: 20 classes of objects on 23,463 Google Earth images of 800 x 800 px, 0.5 to 30 m.

Layout: JPEGImages-trainval/*.jpg, JPEGImages-test/*.jpg, `Annotations/Horizontal Bounding Boxes/*.xml` (VOC: name,
bndbox) and ImageSets/Main/{train,val,test}.txt (one image number a line); DIOR-R adds `Annotations/Oriented Bounding
Boxes/*.xml` (name, robndbox with x_left_top ... y_left_bottom). Copies with JPEGImages/ and Annotations/ as plain
folders are read too; either kind of box may be missing.
Quirks: class names are written together ("groundtrackfield"), with capitals in one file and not in the other. Nothing
says that both kinds of file list the objects in one order, so they make samples of their own. Boxes may run out of the
image by a pixel. Small ships and vehicles are not always labelled: they are never counted or called absent.
Licence: none stated; research use (imagery Google Earth).
Citation: Li et al., Object detection in optical remote sensing images: a survey and a new benchmark, ISPRS Journal 159,
2020; oriented boxes: Cheng et al., Anchor-free oriented proposal generator for object detection, TGRS 2022.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from data_engine import objects
from data_engine.objects import Scene
from data_engine.sources.boundary import Reject, convert_each
from data_engine.sources.object_scenes import annotate
from data_engine.sources.source import Source, describe_image, require_path, require_split
from data_engine.sources.xml_objects import load_xml
from vlm.errors import DataError
from vlm.records import Sample

NAME: Final = "dior"
SPLITS: Final = ("train", "val", "test")
LICENCE: Final = "none stated; research use (imagery Google Earth)"
LAYOUT: Final = (
    "JPEGImages-trainval/, JPEGImages-test/ (or JPEGImages/), Annotations/Horizontal Bounding Boxes/ and, for DIOR-R, "
    "Annotations/Oriented Bounding Boxes/, and ImageSets/Main/<split>.txt; they come from "
    "https://gcheng-nwpu.github.io/#Datasets"
)
WORDS: Final = {
    "airplane": "airplane", "airport": "airport", "baseballfield": "baseball field",
    "basketballcourt": "basketball court", "bridge": "bridge", "chimney": "chimney", "dam": "dam",
    "expresswayservicearea": "expressway service area", "expresswaytollstation": "expressway toll station",
    "golffield": "golf field", "groundtrackfield": "ground track field", "harbor": "harbor", "overpass": "overpass",
    "ship": "ship", "stadium": "stadium", "storagetank": "storage tank", "tenniscourt": "tennis court",
    "trainstation": "train station", "vehicle": "vehicle", "windmill": "windmill",
}  # fmt: skip
CLASSES: Final = tuple(WORDS.values())
DOUBTFUL: Final = ("ship", "vehicle")
HORIZONTAL: Final = "Horizontal Bounding Boxes"
ORIENTED: Final = "Oriented Bounding Boxes"


def load(
    root: Path, *, split: str, seed: int = 0, reject: Reject | None = None, annotations: bool = False
) -> Iterator[Sample]:
    """Yield grounding, detection, counting, presence and region samples, and with DIOR-R oriented boxes."""
    root = Path(root)
    numbers = _list_images(root, split)

    def convert(number: str) -> Iterator[Sample]:
        kinds = [kind for kind in (HORIZONTAL, ORIENTED) if _annotations(root, kind).is_dir()]
        yield from annotate(load_scene(root, number, split=split, kind=kinds[0]), wanted=annotations, seed=seed)
        if HORIZONTAL in kinds:
            yield from objects.all_samples(load_scene(root, number, split=split), seed=seed)
        if ORIENTED in kinds:
            turned = load_scene(root, number, split=split, kind=ORIENTED)
            yield from objects.ground_samples(turned, kind="obb", seed=seed)
            yield from objects.detect_samples(turned, kind="obb", seed=seed)

    return convert_each(numbers, convert, name=NAME, reject=reject)


def load_scenes(root: Path, *, split: str, reject: Reject | None = None) -> Iterator[Scene]:
    """Yield each image of the split with its horizontal boxes, or with its oriented ones where it has no others."""
    root = Path(root)
    kind = HORIZONTAL if _annotations(root, HORIZONTAL).is_dir() else ORIENTED

    def convert(number: str) -> Iterator[Scene]:
        yield load_scene(root, number, split=split, kind=kind)

    return convert_each(_list_images(root, split), convert, name=NAME, reject=reject)


def load_scene(root: Path, number: str, *, split: str, kind: str = HORIZONTAL) -> Scene:
    """Read one image with its objects as boxes, or with kind ORIENTED as four-point polygons (boxes and obbs)."""
    from data_engine.formats.voc import read_objects

    path = _annotations(root, kind) / f"{number}.xml"
    image = describe_image(_find_image(root, number, split), name=NAME, layout=LAYOUT)
    found = read_objects(load_xml(path, name=NAME, layout=LAYOUT), where=str(path))
    regions = tuple(replace(region, phrase=_write_class(region.phrase, str(path))) for region in found)
    turned = regions if kind == ORIENTED else ()
    return Scene(f"{NAME}/{split}/{number}", image, regions, turned, CLASSES, NAME, split, LICENCE, DOUBTFUL)


def read_class(text: str) -> str | None:
    """Give the words of a DIOR class name in any of its spellings, or None for an unknown one."""
    return WORDS.get("".join(letter for letter in text.lower() if letter.isalpha()))


def _write_class(name: str, where: str) -> str:
    words = read_class(name)
    if words is None:
        raise DataError(f"{where} has an object of class {name!r}: known are {', '.join(WORDS)}")
    return words


def _list_images(root: Path, split: str) -> list[str]:
    require_split(NAME, split, SPLITS)
    listing = require_path(root / "ImageSets" / "Main" / f"{split}.txt", name=NAME, layout=LAYOUT)
    if not any(_annotations(root, kind).is_dir() for kind in (HORIZONTAL, ORIENTED)):
        raise DataError(f"{NAME}: {root / 'Annotations'} does not hold annotations; expected {LAYOUT}")
    return listing.read_text(encoding="utf-8").split()


def _annotations(root: Path, kind: str) -> Path:
    """Give the folder of a kind of box; a plain Annotations/ with files in it holds horizontal ones."""
    folder = root / "Annotations"
    plain = kind == HORIZONTAL and not (folder / kind).is_dir() and next(folder.glob("*.xml"), None) is not None
    return folder if plain else folder / kind


def _find_image(root: Path, number: str, split: str) -> Path:
    folder = "JPEGImages-test" if split == "test" else "JPEGImages-trainval"
    official = root / folder / f"{number}.jpg"
    return official if official.exists() else root / "JPEGImages" / f"{number}.jpg"


SOURCE: Final = Source(
    NAME, load, SPLITS, LAYOUT, LICENCE, citation="Li et al., ISPRS Journal 159, 2020", load_scenes=load_scenes
)
