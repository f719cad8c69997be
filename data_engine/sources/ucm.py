"""UCM-Captions: five captions an image of the UC Merced land use set, 256 x 256 aerial RGB of 0.3048 m (1 ft).

Layout (the official one): UCM_captions/imgs/<number>.tif and UCM_captions/dataset.json (karpathy.py); `root` is
UCM_captions or holds it. 2,100 images: train 1,680, val 210, test 210.
Quirks: a few images are 256 x 255 or so in the original set; `tokens` hold typos that `raw` does not ("formland"). The
themes that RSIVQA adds are the source `rsivqa`.
Licence: imagery public domain (USGS); none stated for the captions. Citation: Qu et al., Deep semantic understanding of
high resolution remote sensing image, CITS 2016; images: Yang and Newsam, ACM GIS 2010.
"""

from __future__ import annotations

from typing import Final

from data_engine.sources import karpathy

UCM: Final = karpathy.CaptionSet(
    name="ucm",
    splits=("train", "val", "test"),
    licence="imagery public domain (USGS); captions: none stated, research use",
    layout=(
        "UCM_captions/dataset.json and UCM_captions/imgs/*.tif; they come from "
        "https://github.com/201528014227051/RSICD_optimal"
    ),
    home="UCM_captions",
    annotations="dataset.json",
    images="imgs",
    citation="Qu et al., CITS 2016; images: Yang and Newsam, ACM GIS 2010",
    sensor="aerial",
    gsd_m=0.3048,
)
load = UCM.load
SOURCE: Final = UCM.source()
