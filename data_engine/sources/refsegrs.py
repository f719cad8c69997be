"""RefSegRS: 4,420 referring expressions with masks on aerial images of SkyScapes, 512 px, 0.13 m.

Layout: images/<id>.tif, masks/<id>.tif and output_phrase_{train,val,test}.txt, a line `<id> <phrase>` each.
Quirks: an id may have several lines; a phrase often names all objects of a kind ("vehicle in the parking area"), so a
mask may have many parts. Any mask value but 0 is the object. The splits are 2,172 / 431 / 1,817.
Licence: none stated; research use.
Citation: Yuan et al., RRSIS: referring remote sensing image segmentation, TGRS 2024.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from data_engine.labels import crop_mask, load_mask
from data_engine.sources.boundary import Reject, convert_each
from data_engine.sources.referring import Origin, tidy_phrase
from data_engine.sources.source import Source, describe_image, require_path, require_split
from vlm.errors import DataError
from vlm.records import Region, Sample

NAME: Final = "refsegrs"
SPLITS: Final = ("train", "val", "test")
LICENCE: Final = "none stated; research use"
LAYOUT: Final = (
    "images/<id>.tif, masks/<id>.tif and output_phrase_<split>.txt; they come from "
    "https://huggingface.co/datasets/JessicaYuan/RefSegRS"
)
GSD_M: Final = 0.13


def load(root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
    """Yield one mask sample per line of the split."""
    require_split(NAME, split, SPLITS)
    root, origin = Path(root), Origin(NAME, split, LICENCE, seed)
    listing = require_path(root / f"output_phrase_{split}.txt", name=NAME, layout=LAYOUT)
    lines = listing.read_text(encoding="utf-8").splitlines()
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]

    def convert(entry: tuple[int, str]) -> Iterator[Sample]:
        number, line = entry
        stem, _, text = line.strip().partition(" ")
        image = describe_image(root / "images" / f"{stem}.tif", name=NAME, layout=LAYOUT, gsd_m=GSD_M)
        bits = load_mask(require_path(root / "masks" / f"{stem}.tif", name=NAME, layout=LAYOUT), threshold=1)
        if bits.shape != (image.height, image.width):
            raise DataError(f"{NAME}: the mask of {stem} is not {image.width} x {image.height} px as its image is")
        phrase, mask = tidy_phrase(text), crop_mask(bits)
        region = Region(mask, phrase) if mask is not None else None
        yield origin.segment(phrase, region, image, key=f"{NAME}/{split}/{stem}/mask-{number}")

    return convert_each(numbered, convert, name=NAME, reject=reject)


SOURCE: Final = Source(
    name=NAME, load=load, splits=SPLITS, layout=LAYOUT, licence=LICENCE, citation="Yuan et al., TGRS 2024"
)
