"""iSAID: instance masks of 15 classes on the images of DOTA.

Layout: {train,val}/images/<name>.png with <name>_instance_color_RGB.png (class colour) and <name>_instance_id_RGB.png
(one colour per instance, id = R + 256 G + 65536 B). `root` is the folder that holds train/ and val/, or its parent with
iSAID/ in it. The test split has no labels.
Quirks: small vehicles are annotated more densely than in DOTA-v1.0, so the counts differ from DOTA's.
Licence: academic use only. Citation: Zamir et al., iSAID: a large-scale dataset for instance segmentation in aerial
images, CVPR Workshops 2019.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from data_engine.sources import colour_instances
from data_engine.sources.source import Source, require_path, require_split

NAME: Final = "isaid"
SPLITS: Final = ("train", "val")
LICENCE: Final = "academic use only"
LAYOUT: Final = (
    "<split>/images/<name>.png, <name>_instance_color_RGB.png and <name>_instance_id_RGB.png; they come from "
    "https://captain-whu.github.io/iSAID/ (the images from DOTA)"
)
COLOURS: Final = {
    "ship": (0, 0, 63),
    "storage tank": (0, 63, 63),
    "baseball diamond": (0, 63, 0),
    "tennis court": (0, 63, 127),
    "basketball court": (0, 63, 191),
    "ground track field": (0, 63, 255),
    "bridge": (0, 127, 63),
    "large vehicle": (0, 127, 127),
    "small vehicle": (0, 0, 127),
    "helicopter": (0, 0, 191),
    "swimming pool": (0, 0, 255),
    "roundabout": (0, 191, 127),
    "soccer ball field": (0, 127, 191),
    "plane": (0, 127, 255),
    "harbor": (0, 100, 155),
}
ISAID: Final = colour_instances.InstanceSet(NAME, COLOURS, LAYOUT, LICENCE)


def _find_folder(root: Path, split: str) -> Path:
    require_split(NAME, split, SPLITS)
    root = root / "iSAID" if (root / "iSAID").is_dir() else root
    return require_path(root / split / "images", name=NAME, layout=LAYOUT)


READER: Final = ISAID.reader(_find_folder)
load, load_scenes = READER.load, READER.load_scenes
SOURCE: Final = Source(
    NAME, load, SPLITS, LAYOUT, LICENCE, citation="Zamir et al., CVPR Workshops 2019", load_scenes=load_scenes
)
