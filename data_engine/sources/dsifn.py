"""DSIFN: land-cover change between two Google Earth images of six Chinese cities, cut to 256 px.

Layout: A/, B/, label/ (0 / 255) and list/ as in ab_label. (The original archive calls the folders t1, t2 and mask; the
change-detection code bases renamed them.)
Quirks: the change is of any kind (buildings, roads, fields), so the sentence says no more than that the area changed.
Licence: ChangeFormer's samples are MIT code with imagery of Google Earth; research use.
Citation: Zhang et al., A deeply supervised image fusion network for change detection in high resolution bi-temporal
remote sensing images, ISPRS Journal 166, 2020.
"""

from __future__ import annotations

from typing import Final

from data_engine.sources import ab_label

SENTENCE: Final = "the land cover has changed"
DSIFN: Final = ab_label.PairSet(
    "dsifn",
    licence="research use (imagery Google Earth)",
    layout=(
        "A/<name>.png, B/<name>.png, label/<name>.png and list/<split>.txt; it comes from "
        "https://github.com/GeoZcx/A-deeply-supervised-image-fusion-network-for-change-detection-in-remote-sensing-images"
    ),
    forward=SENTENCE,
    backward=SENTENCE,
    citation="Zhang et al., ISPRS Journal 166, 2020",
)
READER: Final = DSIFN.reader()
load, load_scenes = READER.load, READER.load_scenes
SOURCE: Final = DSIFN.source()
