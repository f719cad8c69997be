"""DSIFN: land-cover change between two Google Earth images of six Chinese cities, cut to 256 px.

Layout: A/, B/, label/ (0 / 255) and list/ as in ab_label. (The original archive calls the folders t1, t2 and mask; the
change-detection code bases renamed them.)
Quirks: the change is of any kind (buildings, roads, fields), so the sentence says no more than that the area changed.
Licence: ChangeFormer's samples are MIT code with imagery of Google Earth; research use.
Citation: Zhang et al., A deeply supervised image fusion network for change detection in high resolution bi-temporal
remote sensing images, ISPRS Journal 166, 2020.
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

NAME: Final = "dsifn"
SPLITS: Final = ab_label.SPLITS
LICENCE: Final = "research use (imagery Google Earth)"
LAYOUT: Final = (
    "A/<name>.png, B/<name>.png, label/<name>.png and list/<split>.txt; it comes from "
    "https://github.com/GeoZcx/A-deeply-supervised-image-fusion-network-for-change-detection-in-remote-sensing-images"
)
CROP_PX: Final = 128
SENTENCE: Final = "the land cover has changed"
PAIRS: Final = ab_label.PairSet(
    NAME,
    LAYOUT,
    LICENCE,
    forward=SENTENCE,
    backward=SENTENCE,
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
    citation="Zhang et al., ISPRS Journal 166, 2020",
)
