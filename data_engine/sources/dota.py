"""DOTA: oriented objects of 15 to 18 classes as four corners, on Google Earth, GF-2 and JL-1 images of any size.

Layout: {train,val}/images/<name>.png with {train,val}/labelTxt/<name>.txt; a folder with images/ and labelTxt/ of its
own is the split "all". A label file has up to two header lines (`imagesource:...`, `gsd:...`) and then one object a
line: `x1 y1 x2 y2 x3 y3 x4 y4 category difficult`, corners in pixels, from the object's head clockwise.
Quirks: `gsd` is sometimes wrong by orders of magnitude or `null`, and is not used. Corners may lie outside the image
and are kept. v1.0 leaves out small vehicles that v1.5 has: they are never counted or called absent. Objects flagged as
difficult are objects like the others here.
Licence: academic use only (imagery Google Earth).
Citation: Xia et al., DOTA: a large-scale dataset for object detection in aerial images, CVPR 2018.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from data_engine.objects import Scene
from data_engine.sources.object_scenes import ObjectSet
from data_engine.sources.source import Source, describe_image, require_path, require_split
from vlm.records import Region

NAME: Final = "dota"
SPLITS: Final = ("train", "val", "all")
LICENCE: Final = "academic use only"
LAYOUT: Final = (
    "images/<name>.png with labelTxt/<name>.txt, in the folder itself or in train/ and val/; they come from "
    "https://captain-whu.github.io/DOTA/dataset.html"
)
CATEGORIES: Final = (
    "plane", "ship", "storage-tank", "baseball-diamond", "tennis-court", "basketball-court", "ground-track-field",
    "harbor", "bridge", "large-vehicle", "small-vehicle", "helicopter", "roundabout", "soccer-ball-field",
    "swimming-pool", "container-crane", "airport", "helipad",
)  # fmt: skip
CLASSES: Final = tuple(category.replace("-", " ") for category in CATEGORIES[:15])
DOUBTFUL: Final = ("small vehicle",)


def load_scene(path: Path, split: str) -> Scene:
    """Read one label file, its objects as four-point polygons in its order, and the image that belongs to it."""
    from data_engine.formats.picture_files import read_label_file

    image = describe_image(path.parent.parent / "images" / f"{path.stem}.png", name=NAME, layout=LAYOUT)
    regions = tuple(parse_labels(read_label_file(path), where=str(path)))
    extra = tuple(dict.fromkeys(region.phrase for region in regions if region.phrase not in CLASSES))
    key = f"{NAME}/{split}/{path.stem}"
    return Scene(key, image, regions, regions, CLASSES + extra, NAME, split, LICENCE, DOUBTFUL)


def parse_labels(text: str, *, where: str = "label text") -> Iterator[Region]:
    """Read a label file's text; a line that is no header and no object of DOTA raises DataError with its number."""
    from data_engine.formats import dota_txt

    return dota_txt.parse_labels(text, where, categories=CATEGORIES)


def _list_labels(root: Path, split: str) -> list[Path]:
    require_split(NAME, split, SPLITS)
    folder = root if split == "all" else root / split
    return sorted(require_path(folder / "labelTxt", name=NAME, layout=LAYOUT).glob("*.txt"))


READER: Final = ObjectSet(NAME, _list_labels, load_scene)
load, load_scenes = READER.load, READER.load_scenes
SOURCE: Final = Source(NAME, load, SPLITS, LAYOUT, LICENCE, citation="Xia et al., CVPR 2018", load_scenes=load_scenes)
