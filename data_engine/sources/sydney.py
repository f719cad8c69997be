"""Sydney-Captions: five captions an image of Sydney, 500 x 500 Google Earth RGB of 0.5 m, seven classes.

Layout (the official one): Sydney_captions/imgs/<number>.tif and Sydney_captions/dataset.json (karpathy.py); `root` is
Sydney_captions or holds it. 613 images: train 497, val 58, test 58.
Quirk: sentences are long and repeat one another; the themes that RSIVQA adds are the source `rsivqa`.
Licence: none stated; Google Earth imagery, research use. Citation: Qu et al., Deep semantic understanding of high
resolution remote sensing image, CITS 2016; images: Zhang et al., TGRS 2015.
"""

from __future__ import annotations

from typing import Final

from data_engine.sources import karpathy

SYDNEY: Final = karpathy.CaptionSet(
    name="sydney",
    splits=("train", "val", "test"),
    licence="none stated (Google Earth imagery); research use",
    layout=(
        "Sydney_captions/dataset.json and Sydney_captions/imgs/*.tif; they come from "
        "https://github.com/201528014227051/RSICD_optimal"
    ),
    home="Sydney_captions",
    annotations="dataset.json",
    images="imgs",
    citation="Qu et al., CITS 2016; images: Zhang et al., TGRS 2015",
    gsd_m=0.5,
)
load = SYDNEY.load
SOURCE: Final = SYDNEY.source()
