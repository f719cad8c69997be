"""OPT-RSVG: 48,952 referring expressions with boxes on 25,452 optical images of many sizes, 14 classes.

Layout: Annotations/*.xml, Image/*.jpg (JPEGImages/ in the authors' code) and split/{train,val,test}.txt of object
numbers (or the three files in the folder itself), as in rsvg_xml. The official splits are 19,580 / 4,895 / 24,477.
Quirks: boxes have fractions of a pixel; the descriptions name a class, and often a position or a relation.
Licence: none stated; research use (imagery of DIOR, HRRSD and others).
Citation: Li et al., Language-guided progressive attention for visual grounding in remote sensing images, TGRS 2024.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from data_engine.sources import rsvg_xml
from data_engine.sources.boundary import Reject
from data_engine.sources.source import Source
from vlm.records import Sample

NAME: Final = "opt_rsvg"
SPLITS: Final = rsvg_xml.SPLITS
LICENCE: Final = "none stated; research use"
LAYOUT: Final = (
    "Annotations/*.xml with <description>, Image/*.jpg and split/train.txt, val.txt, test.txt of object numbers; they "
    "come from https://github.com/like413/OPT-RSVG"
)
KIND: Final = rsvg_xml.Layout(NAME, images=("Image", "JPEGImages"), splits=("split", "."), text=LAYOUT, licence=LICENCE)


def load(root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
    """Yield one grounding sample per described object of the split."""
    return rsvg_xml.load_samples(root, split=split, layout=KIND, seed=seed, reject=reject)


SOURCE: Final = Source(
    name=NAME, load=load, splits=SPLITS, layout=LAYOUT, licence=LICENCE, citation="Li et al., TGRS 2024"
)
