"""NEON tree crowns as DeepForest ships them: dense boxes of one class on aerial RGB of 0.1 m.

Layout: <name>.tif (georeferenced) or <name>.png with <name>.xml (Pascal VOC) beside it; the only class is "Tree".
Quirks: VOC boxes are xmin, ymin, xmax, ymax in pixels and may run a pixel out of the image; they are kept as they are.
Licence: MIT (DeepForest); NEON data are open (CC0).
Citation: Weinstein et al., A remote sensing derived data set of 100 million individual tree crowns, eLife 2021.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from data_engine.objects import Scene
from data_engine.sources.object_scenes import ObjectSet
from data_engine.sources.source import Source, describe_image, require_path, require_split
from data_engine.sources.xml_objects import load_xml, read_box
from vlm.errors import DataError
from vlm.records import Region

NAME: Final = "neontree"
SPLITS: Final = ("all",)
LICENCE: Final = "MIT (DeepForest); NEON data CC0"
LAYOUT: Final = (
    "<name>.tif or <name>.png with <name>.xml (VOC) beside it; they come from "
    "https://github.com/weecology/DeepForest (src/deepforest/data)"
)
CLASSES: Final = ("tree",)
GSD_M: Final = 0.1


def load_scene(path: Path, split: str) -> Scene:
    """Read one annotation and the image beside it; a broken object raises DataError with its number."""
    picture = path.with_suffix(".png") if path.with_suffix(".png").exists() else path.with_suffix(".tif")
    image = describe_image(picture, name=NAME, layout=LAYOUT, sensor="aerial", gsd_m=GSD_M)
    entries = enumerate(load_xml(path, name=NAME, layout=LAYOUT).iter("object"), start=1)
    boxes = tuple(
        Region(read_box(entry, f"{path} object {number}"), entry.findtext("name", "").strip().lower())
        for number, entry in entries
    )
    return Scene(f"{NAME}/{split}/{path.stem}", image, boxes, (), CLASSES, NAME, split, LICENCE)


def _list_labels(root: Path, split: str) -> list[Path]:
    require_split(NAME, split, SPLITS)
    found = sorted(require_path(root, name=NAME, layout=LAYOUT).glob("*.xml"))
    if not found:
        raise DataError(f"{NAME}: {root} holds no .xml files; expected {LAYOUT}")
    return found


READER: Final = ObjectSet(NAME, _list_labels, load_scene)
load, load_scenes = READER.load, READER.load_scenes
SOURCE: Final = Source(
    NAME, load, SPLITS, LAYOUT, LICENCE, citation="Weinstein et al., eLife 2021", load_scenes=load_scenes
)
