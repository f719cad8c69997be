"""Inria Aerial Image Labeling: building footprints in five cities, 180 aerial images of 5,000 px, 0.3 m.

Layout: AerialImageDataset/train/images/<city><n>.tif with train/gt/<city><n>.tif (0 / 255); AerialImageDataset/ may be
the folder itself. test/ has no labels.
Quirks: images 1 to 5 of each city are the validation set by the authors' custom. A mask of 5,000 px says little in an
answer, so images are cut to tiles of 500 px, kept in the samples as PNG; a tile without buildings is answered "none".
Licence: none stated; research use.
Citation: Maggiori et al., Can semantic labeling methods generalize to any city?, IGARSS 2017.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from data_engine.labels import load_label, load_mask
from data_engine.sources.boundary import Reject, convert_each
from data_engine.sources.class_masks import Cover, class_sample
from data_engine.sources.referring import Origin
from data_engine.sources.source import Source, describe_image, require_path, require_split
from vlm.errors import DataError
from vlm.records import Image, Sample

NAME: Final = "inria"
SPLITS: Final = ("train", "val", "all")
LICENCE: Final = "none stated; research use"
LAYOUT: Final = (
    "AerialImageDataset/train/images/*.tif with AerialImageDataset/train/gt/*.tif; they come from "
    "https://project.inria.fr/aerialimagelabeling"
)
GSD_M: Final = 0.3
TILE_PX: Final = 500
BUILDING: Final = Cover(255, "building", "buildings")


def load(root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
    """Yield the mask of the buildings of each tile."""
    origin = Origin(NAME, split, LICENCE, seed)
    pictures = _list_images(Path(root), split)

    def convert(path: Path) -> Iterator[Sample]:
        image = describe_image(path, name=NAME, layout=LAYOUT, sensor="aerial", gsd_m=GSD_M)
        bits = load_mask(require_path(path.parent.parent / "gt" / path.name, name=NAME, layout=LAYOUT))
        if bits.shape != (image.height, image.width):
            raise DataError(f"{NAME}: the label of {path} is not {image.width} x {image.height} px as its image is")
        for x, y, tile, cut in _cut(image, load_label(path), bits):
            yield class_sample(tile, cut, BUILDING, origin, key=f"{NAME}/{split}/{path.stem}-{x}-{y}/mask-all/building")

    return convert_each(pictures, convert, name=NAME, reject=reject)


def is_validation(name: str) -> bool:
    """Say whether an image such as "austin3" belongs to the validation set."""
    digits = re.search(r"(\d+)$", name)
    return digits is not None and 1 <= int(digits[1]) <= 5


def _list_images(root: Path, split: str) -> list[Path]:
    require_split(NAME, split, SPLITS)
    root = root / "AerialImageDataset" if (root / "AerialImageDataset").is_dir() else root
    folder = require_path(root / "train" / "images", name=NAME, layout=LAYOUT)
    found = sorted(folder.glob("*.tif"))
    if not found:
        raise DataError(f"{NAME}: {folder} holds no images; expected {LAYOUT}")
    return [path for path in found if split == "all" or is_validation(path.stem) == (split == "val")]


def _cut(image: Image, pixels: np.ndarray, bits: np.ndarray) -> Iterator[tuple[int, int, Image, np.ndarray]]:
    """Yield (x, y, tile, its mask) for each tile of TILE_PX; the last column and row may be narrower."""
    from PIL import Image as Picture

    rows, cols = bits.shape
    for y in range(0, rows, TILE_PX):
        for x in range(0, cols, TILE_PX):
            cut = bits[y : y + TILE_PX, x : x + TILE_PX]
            stream = io.BytesIO()
            Picture.fromarray(pixels[y : y + TILE_PX, x : x + TILE_PX]).save(stream, format="PNG")
            yield (
                x,
                y,
                replace(image, path=None, data=stream.getvalue(), width=cut.shape[1], height=cut.shape[0]),
                cut,
            )


SOURCE: Final = Source(
    name=NAME, load=load, splits=SPLITS, layout=LAYOUT, licence=LICENCE, citation="Maggiori et al., IGARSS 2017"
)
