"""LandCover.ai: buildings, woodlands, water and roads on 41 Polish orthophotos, 0.25 and 0.5 m.

Layout: images/*.tif with masks/*.tif (GeoTIFFs in EPSG:2180, about 9,000 px): the split "all". Its split.py cuts them
to 512 px tiles, output/<name>.jpg with output/<name>_m.png, of which train.txt, val.txt and test.txt list the names
(without suffix): the other splits.
Quirks: mask values are 0 none, 1 building, 2 woodland, 3 water, 4 road (version 0 has no roads). The tiles lose the
coordinate system; the orthophotos keep it, and their ground sampling distance.
Licence: CC BY-NC-SA 4.0.
Citation: Boguszewski et al., LandCover.ai: dataset for automatic mapping of buildings, woodlands, water and roads from
aerial imagery, CVPR Workshops 2021.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from data_engine.labels import load_label
from data_engine.sources.boundary import Reject, convert_each
from data_engine.sources.class_masks import Cover, mask_samples
from data_engine.sources.referring import Origin
from data_engine.sources.source import Source, describe_image, require_path, require_split
from vlm.errors import DataError
from vlm.records import Image, Sample

NAME: Final = "landcover_ai"
SPLITS: Final = ("train", "val", "test", "all")
LICENCE: Final = "CC BY-NC-SA 4.0"
LAYOUT: Final = (
    "images/*.tif with masks/*.tif, and, cut by its split.py, output/<name>.jpg with output/<name>_m.png and "
    "train.txt, val.txt, test.txt; they come from https://landcover.ai"
)
COVERS: Final = (
    Cover(1, "building", "buildings"),
    Cover(2, "woodland", "woodlands"),
    Cover(3, "water", "water"),
    Cover(4, "road", "roads"),
)
IGNORED: Final = (0,)


def load(root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
    """Yield the mask of each class that an image shows, and one "none" per image."""
    origin = Origin(NAME, split, LICENCE, seed)

    def convert(pair: tuple[Path, Path]) -> Iterator[Sample]:
        path, mask = pair
        image = describe_image(path, name=NAME, layout=LAYOUT, sensor="aerial")
        label = load_label(require_path(mask, name=NAME, layout=LAYOUT))
        image = _place(image) if split == "all" else image
        label = label if label.ndim == 2 else label[..., 0]
        return mask_samples(image, label, COVERS, origin, key=f"{NAME}/{split}/{path.stem}", ignored=IGNORED)

    return convert_each(_list_pairs(Path(root), split), convert, name=NAME, reject=reject)


def _list_pairs(root: Path, split: str) -> list[tuple[Path, Path]]:
    require_split(NAME, split, SPLITS)
    if split == "all":
        folder = require_path(root / "images", name=NAME, layout=LAYOUT)
        pairs = [(path, root / "masks" / path.name) for path in sorted(folder.glob("*.tif"))]
    else:
        listing = require_path(root / f"{split}.txt", name=NAME, layout=LAYOUT)
        names = listing.read_text(encoding="utf-8").split()
        pairs = [(root / "output" / f"{name}.jpg", root / "output" / f"{name}_m.png") for name in names]
    if not pairs:
        raise DataError(f"{NAME}: {root} holds no images of the split {split!r}; expected {LAYOUT}")
    return pairs


def _place(image: Image) -> Image:
    """State the coordinate system and the ground sampling distance of an orthophoto, where it has them."""
    from vlm.raster import Raster

    with Raster.open(image.path or "") as raster:
        return replace(image, crs=raster.crs, gsd_m=raster.gsd_m)


SOURCE: Final = Source(
    name=NAME,
    load=load,
    splits=SPLITS,
    layout=LAYOUT,
    licence=LICENCE,
    citation="Boguszewski et al., CVPR Workshops 2021",
)
