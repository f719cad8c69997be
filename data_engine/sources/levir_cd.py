"""LEVIR-CD: building change between two Google Earth images (0.5 m, Texas), 5 to 14 years apart.

Layout: A/, B/, label/ (0 / 255) and list/ as in ab_label; names tell the official split (`train_36_0512_0512.png`)
where the 1024 px tiles were cut to 256 px, as most code bases do.
Quirks: the label marks new buildings almost only (the data are of a growing region), so the forward sentence is true in
general and the dates swapped show buildings that disappear. Some pairs have an empty label: nothing changed.
Licence: academic, non-commercial (imagery Google Earth).
Citation: Chen and Shi, A spatial-temporal attention-based method and a new dataset for remote sensing image change
detection, Remote Sensing 12(10), 2020.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from data_engine.changes import ChangeScene
from data_engine.sources import ab_label
from data_engine.sources.boundary import Reject
from data_engine.sources.source import Source
from vlm.records import Sample

NAME: Final = "levir_cd"
SPLITS: Final = ab_label.SPLITS
LICENCE: Final = "academic, non-commercial"
LAYOUT: Final = (
    "A/<name>.png, B/<name>.png, label/<name>.png and list/<split>.txt; it comes from "
    "https://justchenhao.github.io/LEVIR/ (cut to 256 px tiles as ChangeFormer and BIT_CD publish it)"
)
CROP_PX: Final = 128
PAIRS: Final = ab_label.PairSet(
    NAME,
    LAYOUT,
    LICENCE,
    forward="new buildings have appeared",
    backward="buildings have disappeared",
    gsd_m=0.5,
)


def load(root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
    """Yield change samples of each pair, of its swapped dates, of each date twice, and of its four crops."""
    return ab_label.load_samples(root, PAIRS, split=split, crop_px=CROP_PX, seed=seed, reject=reject)


def load_scenes(root: Path, *, split: str) -> Iterator[ChangeScene]:
    """Yield each pair of the split with its change mask."""
    return ab_label.load_scenes(root, PAIRS, split=split)


SOURCE: Final = Source(
    name=NAME,
    load=load,
    splits=SPLITS,
    layout=LAYOUT,
    licence=LICENCE,
    citation="Chen and Shi, Remote Sensing 12(10), 2020",
)
