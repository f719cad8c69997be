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

from typing import Final

from data_engine.sources import ab_label

LEVIR: Final = ab_label.PairSet(
    "levir_cd",
    licence="academic, non-commercial",
    layout=(
        "A/<name>.png, B/<name>.png, label/<name>.png and list/<split>.txt; it comes from "
        "https://justchenhao.github.io/LEVIR/ (cut to 256 px tiles as ChangeFormer and BIT_CD publish it)"
    ),
    forward="new buildings have appeared",
    backward="buildings have disappeared",
    citation="Chen and Shi, Remote Sensing 12(10), 2020",
    gsd_m=0.5,
)
READER: Final = LEVIR.reader()
load, load_scenes = READER.load, READER.load_scenes
SOURCE: Final = LEVIR.source()
