"""LEVIR-CC: five sentences each about 10,077 pairs of Google Earth images (256 px, 0.5 m), half of them unchanged.

Layout: LevirCCcaptions.json (as in change_captions) and images/{train,val,test}/{A,B}/<name>.png.
Quirks: the file has a field `filepath` that repeats the split. Unchanged pairs have one of five fixed sentences ("there
is no difference", "the scene is the same as before" ...). The splits are 6,815 / 1,333 / 1,929 pairs.
Licence: academic, non-commercial (imagery Google Earth).
Citation: Liu et al., Remote sensing image change captioning with dual-branch transformers: a new method and a large
scale dataset, TGRS 2022.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from data_engine.sources import change_captions
from data_engine.sources.boundary import Reject, convert_each
from data_engine.sources.change_captions import Record
from data_engine.sources.referring import Origin
from data_engine.sources.source import Source, describe_image, require_split
from vlm.records import Image, Sample

NAME: Final = "levir_cc"
SPLITS: Final = ("train", "val", "test")
LICENCE: Final = "academic, non-commercial"
LAYOUT: Final = (
    "LevirCCcaptions.json and images/<split>/A/*.png, images/<split>/B/*.png; they come from "
    "https://github.com/Chen-Yang-Liu/LEVIR-CC-Dataset"
)
CAPTIONS: Final = "LevirCCcaptions.json"
GSD_M: Final = 0.5


def load(root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
    """Yield one caption sample per distinct sentence, and whether anything changed."""
    require_split(NAME, split, SPLITS)
    root, origin = Path(root), Origin(NAME, split, LICENCE, seed)

    def convert(record: Record) -> Iterator[Sample]:
        images = describe_pair(root, split, record["filename"], name=NAME, layout=LAYOUT)
        key = f"{NAME}/{split}/{Path(record['filename']).stem}"
        return change_captions.caption_samples(record, images, origin, key=key)

    records = change_captions.load_records(root / CAPTIONS, split=split, name=NAME, layout=LAYOUT)
    return convert_each(records, convert, name=NAME, reject=reject)


def references(root: Path, *, split: str) -> dict[str, list[str]]:
    """Give all sentences of each pair by file name, repetitions kept."""
    require_split(NAME, split, SPLITS)
    records = change_captions.load_records(Path(root) / CAPTIONS, split=split, name=NAME, layout=LAYOUT)
    return {record["filename"]: change_captions.read_sentences(record) for record in records}


def describe_pair(root: Path, split: str, file: str, *, name: str, layout: str) -> tuple[Image, Image]:
    """Name the two images of a pair, A before B."""
    folder = root / "images" / split
    before, after = (describe_image(folder / d / file, name=name, layout=layout, gsd_m=GSD_M) for d in ("A", "B"))
    return before, after


SOURCE: Final = Source(
    name=NAME, load=load, splits=SPLITS, layout=LAYOUT, licence=LICENCE, citation="Liu et al., TGRS 2022"
)
