"""LEVIR-MCI: LEVIR-CC's pairs and sentences with masks of the changed roads and buildings.

Layout: LevirCCcaptions.json and images/{train,val,test}/{A,B,label}/<name>.png, as in levir_cc; label_rgb/ shows the
same masks in colour and is not read.
Quirks: mask values are 0 nothing, 128 a changed road, 255 a changed building; nearly all changes are new ones. A mask
of several bands has the same value in each.
Licence: academic, non-commercial (imagery Google Earth).
Citation: Liu et al., Change-Agent: toward interactive comprehensive remote sensing change interpretation and analysis,
TGRS 2024.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from data_engine import generate
from data_engine.changes import MAX_BOXES, MIN_COMPONENT_PX
from data_engine.labels import crop_mask, load_label, split_components
from data_engine.sources import change_captions
from data_engine.sources.boundary import Reject, convert_each
from data_engine.sources.change_answers import locate_change
from data_engine.sources.change_captions import Record
from data_engine.sources.levir_cc import CAPTIONS, describe_pair
from data_engine.sources.referring import Origin
from data_engine.sources.source import Source, require_path, require_split
from vlm.errors import DataError
from vlm.records import Image, Region, Sample

NAME: Final = "levir_mci"
SPLITS: Final = ("train", "val", "test")
LICENCE: Final = "academic, non-commercial"
LAYOUT: Final = (
    "LevirCCcaptions.json and images/<split>/A, B and label with <name>.png in each; they come from "
    "https://huggingface.co/datasets/lcybuaa/LEVIR-MCI"
)
KINDS: Final = {"changed road": 128, "changed building": 255}


def load(root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
    """Yield captions, whether anything changed, the mask of all changes, and masks and boxes of each kind."""
    require_split(NAME, split, SPLITS)
    root, origin = Path(root), Origin(NAME, split, LICENCE, seed)

    def convert(record: Record) -> Iterator[Sample]:
        file = record["filename"]
        images = describe_pair(root, split, file, name=NAME, layout=LAYOUT)
        key = f"{NAME}/{split}/{Path(file).stem}"
        yield from change_captions.caption_samples(record, images, origin, key=key)
        label = load_label(require_path(root / "images" / split / "label" / file, name=NAME, layout=LAYOUT))
        yield from _mask_samples(label if label.ndim == 2 else label[..., 0], images, origin, key=key)

    records = change_captions.load_records(root / CAPTIONS, split=split, name=NAME, layout=LAYOUT)
    return convert_each(records, convert, name=NAME, reject=reject)


def _mask_samples(label: np.ndarray, images: tuple[Image, Image], origin: Origin, *, key: str) -> Iterator[Sample]:
    """Yield the masks of all kinds in one answer, and the mask and the boxes of each; "none" where there is none."""
    values = set(np.unique(label).tolist())
    if label.shape != (images[0].height, images[0].width) or not values <= {0, *KINDS.values()}:
        raise DataError(f"{key}: the label is {label.shape[::-1]} and holds {sorted(values)}: expected 0, 128 and 255")
    masks = {kind: crop_mask(label == value) for kind, value in KINDS.items()}
    found = [Region(mask, kind) for kind, mask in masks.items() if mask is not None]
    yield locate_change("change_mask", "ref seg", found, images, origin, key=f"{key}/mask")
    for kind, value in KINDS.items():
        bits, slug = label == value, kind.replace(" ", "-")
        parts = [Region(part, kind) for part in split_components(bits, min_px=MIN_COMPONENT_PX)]
        if bits.any() and not parts:
            continue
        whole = [region for region in found if region.phrase == kind]
        yield locate_change("change_class_mask", "seg", whole, images, origin, key=f"{key}/mask/{slug}", phrase=kind)
        if len(parts) <= MAX_BOXES:
            ordered = generate.sort_regions(parts)
            yield locate_change(
                "change_class_box", "box", ordered, images, origin, key=f"{key}/box/{slug}", phrase=kind
            )


SOURCE: Final = Source(
    name=NAME, load=load, splits=SPLITS, layout=LAYOUT, licence=LICENCE, citation="Liu et al., TGRS 2024"
)
