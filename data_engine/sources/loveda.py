"""LoveDA: land cover of 7 classes on 5,987 Google Earth images of Nanjing, Changzhou and Wuhan, 1024 px, 0.3 m.

Layout: {Train,Val}/{Rural,Urban}/images_png/<n>.png with masks_png/<n>.png; Test/ has no masks.
Quirks: mask values are 0 no data, 1 background, 2 building, 3 road, 4 water, 5 barren, 6 forest, 7 agriculture; 0 and 1
name nothing. Numbers are unique over both scenes. "Barren" is bare soil, "agriculture" any field.
Licence: CC BY-NC-SA 4.0; academic use only (imagery Google Earth).
Citation: Wang et al., LoveDA: a remote sensing land-cover dataset for domain adaptive semantic segmentation, NeurIPS
Datasets and Benchmarks 2021.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from data_engine.labels import load_label
from data_engine.sources.boundary import Reject, convert_each
from data_engine.sources.class_masks import Cover, mask_samples
from data_engine.sources.referring import Origin
from data_engine.sources.source import Source, describe_image, require_path, require_split
from vlm.errors import DataError
from vlm.records import Sample

NAME: Final = "loveda"
SPLITS: Final = ("train", "val")
LICENCE: Final = "CC BY-NC-SA 4.0; academic use only"
LAYOUT: Final = (
    "Train/Rural/images_png/*.png with Train/Rural/masks_png/*.png, the same in Urban and in Val; they come from "
    "https://zenodo.org/records/5706578"
)
GSD_M: Final = 0.3
COVERS: Final = (
    Cover(2, "building", "buildings"),
    Cover(3, "road", "roads"),
    Cover(4, "water", "water"),
    Cover(5, "barren land", "barren land"),
    Cover(6, "forest", "forest"),
    Cover(7, "farmland", "farmland"),
)
IGNORED: Final = (0, 1)


def load(root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
    """Yield the mask of each class that an image shows, and one "none" per image."""
    origin = Origin(NAME, split, LICENCE, seed)

    def convert(path: Path) -> Iterator[Sample]:
        scene = path.parent.parent
        image = describe_image(path, name=NAME, layout=LAYOUT, gsd_m=GSD_M)
        label = load_label(require_path(scene / "masks_png" / path.name, name=NAME, layout=LAYOUT))
        key = f"{NAME}/{split}/{scene.name.lower()}-{path.stem}"
        return mask_samples(image, label, COVERS, origin, key=key, ignored=IGNORED)

    return convert_each(_list_images(Path(root), split), convert, name=NAME, reject=reject)


def _list_images(root: Path, split: str) -> list[Path]:
    require_split(NAME, split, SPLITS)
    folder = require_path(root / split.capitalize(), name=NAME, layout=LAYOUT)
    found = sorted(folder.glob("*/images_png/*.png"))
    if not found:
        raise DataError(f"{NAME}: {folder} holds no images; expected {LAYOUT}")
    return found


SOURCE: Final = Source(
    name=NAME,
    load=load,
    splits=SPLITS,
    layout=LAYOUT,
    licence=LICENCE,
    citation="Wang et al., NeurIPS Datasets and Benchmarks 2021",
)
