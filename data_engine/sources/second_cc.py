"""SECOND-CC: five sentences each about 6,041 pairs of SECOND's images (256 px), with false changes in them.

Layout: SECOND-CC-AUG.json (as in change_captions) and {train,val,test}/rgb/{A,B}/<name>.png; sem/{A,B}/ holds land
cover in colours and is not read. `root` is the folder of the JSON, or holds it as SECOND-CC-AUG/. The folders are
those that public loaders read; the archive itself was not at hand.
Quirks: "AUG": the training pairs hold augmented copies. Blur, brightness and registration differ between the dates and
are no change. Unchanged pairs have a sentence such as "no change is occurred".
Licence: as stated at the Zenodo record; images under SECOND's terms.
Citation: Karaca et al., Robust change captioning in remote sensing: SECOND-CC dataset and MModalCC framework, JSTARS
2025.
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
from vlm.records import Sample

NAME: Final = "second_cc"
SPLITS: Final = ("train", "val", "test")
LICENCE: Final = "annotations as stated at their Zenodo record; images under SECOND's terms"
LAYOUT: Final = (
    "SECOND-CC-AUG.json and <split>/rgb/A/*.png, <split>/rgb/B/*.png; they come from "
    "https://doi.org/10.5281/zenodo.16937571"
)


def load(root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
    """Yield one caption sample per distinct sentence, and whether anything changed where the file says so."""
    require_split(NAME, split, SPLITS)
    folder = Path(root) / "SECOND-CC-AUG" if (Path(root) / "SECOND-CC-AUG").is_dir() else Path(root)
    origin = Origin(NAME, split, LICENCE, seed)

    def convert(record: Record) -> Iterator[Sample]:
        file = record["filename"]
        before, after = (
            describe_image(folder / split / "rgb" / date / file, name=NAME, layout=LAYOUT) for date in ("A", "B")
        )
        key = f"{NAME}/{split}/{Path(file).stem}"
        return change_captions.caption_samples(record, (before, after), origin, key=key)

    records = change_captions.load_records(folder / "SECOND-CC-AUG.json", split=split, name=NAME, layout=LAYOUT)
    return convert_each(records, convert, name=NAME, reject=reject)


SOURCE: Final = Source(
    name=NAME, load=load, splits=SPLITS, layout=LAYOUT, licence=LICENCE, citation="Karaca et al., JSTARS 2025"
)
