"""DIOR-RSVG: 38,320 referring expressions with boxes on 17,402 images of DIOR (800 x 800 px).

Layout: Annotations/*.xml, JPEGImages/*.jpg and {train,val,test}.txt of object numbers, as in rsvg_xml. The official
splits are 26,991 / 3,829 / 7,500 objects.
Quirks: the test is of *all* objects with a description, whether or not the phrase is unique; phrases are templates of
class, colour, size, position and relation ("The vehicle is on the lower right of the large vehicle on the left").
Licence: none stated; research use (imagery Google Earth).
Citation: Zhan et al., RSVG: exploring data and models for visual grounding on remote sensing data, TGRS 2023.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from data_engine.sources import rsvg_xml
from data_engine.sources.boundary import Reject
from data_engine.sources.source import Source
from vlm.records import Sample

NAME: Final = "dior_rsvg"
SPLITS: Final = rsvg_xml.SPLITS
LICENCE: Final = "none stated; research use (imagery Google Earth)"
LAYOUT: Final = (
    "Annotations/*.xml with <description>, JPEGImages/*.jpg and train.txt, val.txt, test.txt of object numbers; they "
    "come from https://github.com/ZhanYang-nwpu/RSVG-pytorch"
)
KIND: Final = rsvg_xml.Layout(NAME, images=("JPEGImages",), splits=(".", "split"), text=LAYOUT, licence=LICENCE)


def load(root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
    """Yield one grounding sample per described object of the split."""
    return rsvg_xml.load_samples(root, split=split, layout=KIND, seed=seed, reject=reject)


SOURCE: Final = Source(
    name=NAME, load=load, splits=SPLITS, layout=LAYOUT, licence=LICENCE, citation="Zhan et al., TGRS 2023"
)
