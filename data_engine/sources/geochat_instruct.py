"""GeoChat-Instruct: 318,000 conversations: references and descriptions with oriented boxes, VQA, scenes, floods.

Layout: GeoChat_Instruct.json, a list of {"id", "image", "conversations"}, and the images (DOTA, DIOR, FAIR1M, RSVQA,
FloodNet, NWPU-RESISC45) in images/, final_images_llava/ or as the parts of images.zip unpack
(share/softwares/kartik/GeoChat_finetuning/final_images_llava/).
Quirks: coordinates are `{<x1><y1><x2><y2>|<a>}`, integers 0 to 100 of the image's sides; `a` turns the box about its
centre, in degrees, counter-clockwise on the screen. One unit is 1 % of a side, so small objects are coarse. Boxes lean
out of the image by a little; records with damaged numbers (981 for 98) are turned away. Questions begin with [refer],
[identify] or [grounding], which become tasks (tagged_chat); scene questions list all classes.
Licence: annotations Apache-2.0; images under the terms of their datasets.
Citation: Kuckreja et al., GeoChat: grounded large vision-language model for remote sensing, CVPR 2024.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from data_engine.sources import tagged_chat
from data_engine.sources.boundary import Reject
from data_engine.sources.source import Source, require_split
from vlm.records import Sample

NAME: Final = "geochat_instruct"
SPLITS: Final = ("train",)
LICENCE: Final = "annotations Apache-2.0; images under their datasets' terms"
LAYOUT: Final = (
    "GeoChat_Instruct.json with its images in images/ or final_images_llava/; they come from "
    "https://huggingface.co/datasets/MBZUAI/GeoChat_Instruct"
)
FOLDERS: Final = (
    "images",
    "final_images_llava",
    "images/final_images_llava",
    "share/softwares/kartik/GeoChat_finetuning/final_images_llava",
    ".",
)


def load(root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
    """Yield one sample per conversation; `seed` changes nothing: the words are the dataset's own."""
    require_split(NAME, split, SPLITS)
    path, images = Path(root) / "GeoChat_Instruct.json", tuple(Path(root) / folder for folder in FOLDERS)
    file = tagged_chat.ChatFile(NAME, path, images, "geochat", split, LICENCE, LAYOUT)
    return tagged_chat.load_samples(file, reject=reject)


SOURCE: Final = Source(
    name=NAME, load=load, splits=SPLITS, layout=LAYOUT, licence=LICENCE, citation="Kuckreja et al., CVPR 2024"
)
