"""RRSIS-D: 17,402 referring expressions with masks on images of DIOR (800 x 800 px, 0.5 to 30 m).

Layout: rrsisd/refs(unc).p and rrsisd/instances.json (as in refer_api) and images/rrsisd/JPEGImages/*.jpg; the two
files may lie in the folder itself.
Quirks: masks are COCO run lengths in a list of one; SAM drew them from DIOR's boxes, so they are no finer than it. The
splits are 12,181 / 1,740 / 3,481. bbox repeats DIOR's box and is not used.
Licence: none stated; research use (imagery Google Earth).
Citation: Liu et al., Rotated multi-scale interaction network for referring remote sensing image segmentation, CVPR
2024.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from data_engine.sources import refer_api
from data_engine.sources.boundary import Reject, convert_each
from data_engine.sources.refer_api import Reference
from data_engine.sources.referring import Origin, tidy_phrase
from data_engine.sources.source import Source, describe_image, require_split
from vlm.records import Region, Sample

NAME: Final = "rrsis_d"
SPLITS: Final = ("train", "val", "test")
LICENCE: Final = "none stated; research use (imagery Google Earth)"
LAYOUT: Final = (
    "rrsisd/refs(unc).p, rrsisd/instances.json and images/rrsisd/JPEGImages/*.jpg; they come from "
    "https://github.com/Lsan2401/RMSIN"
)


def load(root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
    """Yield one mask sample per expression of the split."""
    require_split(NAME, split, SPLITS)
    root, origin = Path(root), Origin(NAME, split, LICENCE, seed)
    folder = root / "rrsisd" if (root / "rrsisd").is_dir() else root
    references = refer_api.list_references(
        folder / "refs(unc).p", folder / "instances.json", split=split, name=NAME, layout=LAYOUT
    )

    def convert(reference: Reference) -> Iterator[Sample]:
        path = root / "images" / "rrsisd" / "JPEGImages" / reference.file
        image = describe_image(path, name=NAME, layout=LAYOUT)
        phrase = tidy_phrase(reference.text)
        key = f"{NAME}/{split}/{Path(reference.file).stem}/mask-{reference.id}"
        yield origin.segment(phrase, Region(refer_api.read_outline(reference, image), phrase), image, key=key)

    return convert_each(references, convert, name=NAME, reject=reject)


SOURCE: Final = Source(
    name=NAME, load=load, splits=SPLITS, layout=LAYOUT, licence=LICENCE, citation="Liu et al., CVPR 2024"
)
