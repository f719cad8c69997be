"""HRSID sample scenes: ships as instance masks in Sentinel-1 and TerraSAR-X images, 800 x 800, class 1-3 m.

Layout (the repository's sample folder): <name>.png, <name>_instance_color_RGB.png (ship = (128, 0, 0)) and
<name>_instance_id_RGB.png (one colour per ship), all in one folder; names are P<scene>_<y0>_<y1>_<x0>_<x1>. The full
archive has COCO files instead (JPEGImages/, annotations/*.json), which this source does not read.
Licence: GPL-3.0 (repository). Citation: Wei et al., HRSID: a high-resolution SAR images dataset for ship detection and
instance segmentation, IEEE Access 2020.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from data_engine.sources import colour_instances
from data_engine.sources.source import Source, require_path, require_split

NAME: Final = "hrsid"
SPLITS: Final = ("all",)
LICENCE: Final = "GPL-3.0"
LAYOUT: Final = (
    "<name>.png, <name>_instance_color_RGB.png and <name>_instance_id_RGB.png in one folder; they come from "
    "https://github.com/chaozhong2010/HRSID (data/)"
)
HRSID: Final = colour_instances.InstanceSet(NAME, {"ship": (128, 0, 0)}, LAYOUT, LICENCE, sensor="SAR")


def _find_folder(root: Path, split: str) -> Path:
    require_split(NAME, split, SPLITS)
    return require_path(root, name=NAME, layout=LAYOUT)


READER: Final = HRSID.reader(_find_folder)
load, load_scenes = READER.load, READER.load_scenes
SOURCE: Final = Source(
    NAME, load, SPLITS, LAYOUT, LICENCE, citation="Wei et al., IEEE Access 2020", load_scenes=load_scenes
)
