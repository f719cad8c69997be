"""SZTAKI AirChange benchmark: aerial pairs 952 x 640 at 1.5 m, 5 to 23 years apart, with binary change masks.

Layout: {Szada,Tiszadob,Archieve}/<number>/{im1,im2,gt}.bmp (PNG is read too); gt is 0 / 255. There is no official
split; the field tests on the top-left corner of Szada/1 and Tiszadob/3.
Quirks: dates are in no particular order of season, and the changes are of any kind (buildings, fields, earthwork).
Licence: free for scientific use, acknowledge the authors.
Citation: Benedek and Sziranyi, Change detection in optical aerial images by a multilayer conditional mixed Markov
model, TGRS 2009.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from data_engine.changes import ChangeScene
from data_engine.labels import load_mask
from data_engine.sources.change_pairs import ChangeSet
from data_engine.sources.source import Source, describe_image, require_path, require_split
from vlm.errors import DataError

NAME: Final = "sztaki"
SPLITS: Final = ("all",)
LICENCE: Final = "free for scientific use"
LAYOUT: Final = (
    "<area>/<number>/im1, im2 and gt as .bmp or .png (areas Szada, Tiszadob, Archieve); they come from "
    "http://mplab.sztaki.hu/remotesensing/airchange_benchmark.html"
)
GSD_M: Final = 1.5
CROP_PX: Final = 256
SENTENCE: Final = "the land cover has changed"


def _list_labels(root: Path, split: str) -> list[Path]:
    require_split(NAME, split, SPLITS)
    require_path(root, name=NAME, layout=LAYOUT)
    found = sorted([*root.glob("*/*/gt.bmp"), *root.glob("*/*/gt.png")])
    if not found:
        raise DataError(f"{NAME}: {root} holds no <area>/<number>/gt.bmp; expected {LAYOUT}")
    return found


def _load_scene(label: Path, split: str) -> ChangeScene:
    before, after = (
        describe_image(label.with_name(f"{stem}{label.suffix}"), name=NAME, layout=LAYOUT, gsd_m=GSD_M)
        for stem in ("im1", "im2")
    )
    key = f"{NAME}/{split}/{label.parent.parent.name}-{label.parent.name}"
    return ChangeScene(key, before, after, load_mask(label), SENTENCE, SENTENCE, NAME, split, LICENCE)


READER: Final = ChangeSet(NAME, _list_labels, _load_scene, CROP_PX)
load, load_scenes = READER.load, READER.load_scenes
SOURCE: Final = Source(
    NAME, load, SPLITS, LAYOUT, LICENCE, citation="Benedek and Sziranyi, TGRS 2009", load_scenes=load_scenes
)
