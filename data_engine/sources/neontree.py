"""NEON tree crowns as DeepForest ships them: dense boxes of one class on aerial RGB of 0.1 m.

Layout: <name>.tif (georeferenced) or <name>.png with <name>.xml (Pascal VOC) beside it; the only class is "Tree".
Quirks: VOC boxes are xmin, ymin, xmax, ymax in pixels and may run a pixel out of the image; they are kept as they are.
Licence: MIT (DeepForest); NEON data are open (CC0).
Citation: Weinstein et al., A remote sensing derived data set of 100 million individual tree crowns, eLife 2021.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from data_engine import objects
from data_engine.objects import Scene
from data_engine.sources.source import Source, describe_image, require_path, require_split
from vlm.errors import DataError
from vlm.geometry.shapes import HBB
from vlm.records import Region, Sample

NAME: Final = "neontree"
SPLITS: Final = ("all",)
LICENCE: Final = "MIT (DeepForest); NEON data CC0"
LAYOUT: Final = (
    "<name>.tif or <name>.png with <name>.xml (VOC) beside it; they come from "
    "https://github.com/weecology/DeepForest (src/deepforest/data)"
)
CLASSES: Final = ("tree",)
GSD_M: Final = 0.1


def load(root: Path, *, split: str, seed: int = 0) -> Iterator[Sample]:
    """Yield grounding, detection, counting, presence and region samples of each image."""
    for scene in load_scenes(root, split=split):
        yield from objects.all_samples(scene, seed=seed)


def load_scenes(root: Path, *, split: str) -> Iterator[Scene]:
    """Yield each image with its trees as boxes."""
    require_split(NAME, split, SPLITS)
    annotations = sorted(require_path(Path(root), name=NAME, layout=LAYOUT).glob("*.xml"))
    if not annotations:
        raise DataError(f"{NAME}: {root} holds no .xml files; expected {LAYOUT}")
    for path in annotations:
        picture = path.with_suffix(".png") if path.with_suffix(".png").exists() else path.with_suffix(".tif")
        image = describe_image(picture, name=NAME, layout=LAYOUT, sensor="aerial", gsd_m=GSD_M)
        boxes = tuple(parse_voc(path.read_text(encoding="utf-8"), where=str(path)))
        yield Scene(f"{NAME}/{split}/{path.stem}", image, boxes, (), CLASSES, NAME, split, LICENCE)


def parse_voc(text: str, *, where: str = "VOC text") -> Iterator[Region]:
    """Read the objects of a Pascal VOC annotation; a broken one raises DataError with the object's number."""
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise DataError(f"{where} is not valid XML ({error}): download it again") from error
    for number, entry in enumerate(root.iter("object"), start=1):
        values = [entry.findtext(f"bndbox/{name}", "") for name in ("xmin", "ymin", "xmax", "ymax")]
        try:
            x1, y1, x2, y2 = (float(value) for value in values)
        except ValueError as error:
            raise DataError(f"{where} object {number} has box {values}: expected four numbers") from error
        if x2 <= x1 or y2 <= y1:
            raise DataError(f"{where} object {number} has box {values}: expected xmin < xmax and ymin < ymax")
        yield Region(HBB(x1, y1, x2, y2), entry.findtext("name", "").strip().lower())


SOURCE: Final = Source(
    name=NAME, load=load, splits=SPLITS, layout=LAYOUT, licence=LICENCE, citation="Weinstein et al., eLife 2021"
)
