"""RSVG (GeoVG's): 7,933 referring expressions with boxes on 4,239 Google Earth images of 1,024 px, 0.24 to 4.88 m.

Layout: images/*, refs_rsvg.p and instances_rsvg.json, as in refer_api. The names are those that the authors' tools
read; the archive itself was not at hand, so where your copy differs, rename its files. refGeo holds the same
expressions as JSON lines (source refgeo).
Quirks: the official splits are 5,505 / 1,201 / 1,227 expressions. Objects are small; expressions begin with a command
("Find a ground track field, ...") and describe the place by other objects.
Licence: none stated; research use (imagery Google Earth).
Citation: Sun et al., Visual grounding in remote sensing images, ACM Multimedia 2022.
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

NAME: Final = "rsvg"
SPLITS: Final = ("train", "val", "test")
LICENCE: Final = "none stated; research use (imagery Google Earth)"
LAYOUT: Final = (
    "images/*, refs_rsvg.p and instances_rsvg.json; they come from https://sunyuxi.github.io/publication/GeoVG"
)


def load(root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
    """Yield one grounding sample per expression of the split."""
    require_split(NAME, split, SPLITS)
    root, origin = Path(root), Origin(NAME, split, LICENCE, seed)
    references = refer_api.list_references(
        root / "refs_rsvg.p", root / "instances_rsvg.json", split=split, name=NAME, layout=LAYOUT
    )

    def convert(reference: Reference) -> Iterator[Sample]:
        image = describe_image(root / "images" / reference.file, name=NAME, layout=LAYOUT)
        phrase = tidy_phrase(reference.text)
        key = f"{NAME}/{split}/{Path(reference.file).stem}/ground-{reference.id}"
        yield origin.ground(phrase, Region(refer_api.read_box(reference), phrase), image, key=key)

    return convert_each(references, convert, name=NAME, reject=reject)


SOURCE: Final = Source(
    name=NAME, load=load, splits=SPLITS, layout=LAYOUT, licence=LICENCE, citation="Sun et al., ACM Multimedia 2022"
)
