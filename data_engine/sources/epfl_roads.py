"""EPFL / ETH road segmentation (CS-433 and CIL course data): aerial RGB 400 x 400 at about 0.3 m with road masks.

Layout: training/images/satImage_NNN.png with training/groundtruth/satImage_NNN.png; test_set_images/ holds no labels
and is not read.
Quirks: masks are 8-bit and anti-aliased; a pixel is road from 128 on.
Licence: none stated (course data, Google imagery); use for tests.
Citation: Mnih, Machine learning for aerial image labeling, 2013 (task); EPFL CS-433 project 2 (data).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from data_engine import generate
from data_engine.labels import crop_mask, load_mask
from data_engine.objects import seeded
from data_engine.sources.boundary import Reject, convert_each
from data_engine.sources.source import Source, describe_image, require_path, require_split
from vlm.records import Region, Sample

NAME: Final = "epfl_roads"
SPLITS: Final = ("train",)
LICENCE: Final = "none stated; tests only"
LAYOUT: Final = (
    "training/images/satImage_*.png and training/groundtruth/satImage_*.png; they come from "
    "https://www.aicrowd.com/challenges/epfl-ml-road-segmentation"
)
GSD_M: Final = 0.3


def load(root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
    """Yield one "segment the roads" sample per labelled image."""
    require_split(NAME, split, SPLITS)
    images, labels = (
        require_path(Path(root) / "training" / folder, name=NAME, layout=LAYOUT) for folder in ("images", "groundtruth")
    )

    def convert(name: str) -> Iterator[Sample]:
        image = describe_image(images / name, name=NAME, layout=LAYOUT, gsd_m=GSD_M)
        mask = crop_mask(load_mask(require_path(labels / name, name=NAME, layout=LAYOUT)))
        sample_id = f"{NAME}/{split}/{Path(name).stem}/mask"
        turn = generate.segment_all("road", Region(mask, "road") if mask is not None else None, seeded(seed, sample_id))
        yield generate.wrap_turn(turn, sample_id=sample_id, images=(image,), source=NAME, split=split, licence=LICENCE)

    names = sorted({path.name for folder in (images, labels) for path in folder.glob("*.png")})
    return convert_each(names, convert, name=NAME, reject=reject)


SOURCE: Final = Source(
    name=NAME, load=load, splits=SPLITS, layout=LAYOUT, licence=LICENCE, citation="EPFL CS-433 road segmentation"
)
