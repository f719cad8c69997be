"""RSITMD: five fine-grained captions an image, made for text-image retrieval; 256 x 256 RGB of mixed resolutions.

Layout: dataset_RSITMD.json (karpathy.py) and images/<filename>; `root` is the folder of both, or holds it as RSITMD/.
4,743 images: the file knows the splits train (4,291) and test (452); a validation split is each paper's own.
Quirk: entries also list keywords, which are not read. The layout is the one that published retrieval code reads
(GeoRSCLIP's test data, AMFMN); the JSON itself was not at hand.
Licence: none stated; research use. Citation: Yuan et al., Exploring a fine-grained multiscale method for cross-modal
remote sensing image retrieval, TGRS 2021.
"""

from __future__ import annotations

from typing import Final

from data_engine.sources import karpathy

RSITMD: Final = karpathy.CaptionSet(
    name="rsitmd",
    splits=("train", "test"),
    licence="none stated; research use",
    layout="dataset_RSITMD.json and images/<filename>; they come from https://github.com/xiaoyuan1996/AMFMN",
    home="RSITMD",
    annotations="dataset_RSITMD.json",
    images="images",
    citation="Yuan et al., TGRS 2021",
)
load = RSITMD.load
SOURCE: Final = RSITMD.source()
