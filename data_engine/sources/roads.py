"""Roads in general: folders of images with a road mask each; DeepGlobe and Massachusetts Roads as they are.

Layouts, with <split> a folder, or none for the split "all":
    <split>/<id>_sat.jpg with <split>/<id>_mask.png                 DeepGlobe Road Extraction, 1,024 px, 0.5 m
    tiff/<split>/<id>.tiff with tiff/<split>_labels/<id>.tif        Massachusetts Roads, 1,500 px, 1 m
    [<split>/]images/<id>.* with masks/<id>.* (or labels/, gt/, groundtruth/) beside it    anybody's folder
Quirks: DeepGlobe's masks are not pure 0 and 255: a pixel is road from 128 on (from 1 on where no value is above 1).
Only DeepGlobe's train/ has masks. Massachusetts images have white parts without data, where no roads are labelled.
Licence: DeepGlobe research and education only; Massachusetts Roads none stated; yours is yours.
Citation: Demir et al., DeepGlobe 2018, CVPR Workshops 2018; Mnih, Machine learning for aerial image labeling, 2013.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from data_engine.labels import load_label
from data_engine.sources.boundary import Reject, convert_each
from data_engine.sources.class_masks import Cover, class_sample
from data_engine.sources.referring import Origin
from data_engine.sources.source import Source, describe_image, require_split
from vlm.errors import DataError
from vlm.records import Sample

NAME: Final = "roads"
SPLITS: Final = ("train", "val", "test", "all")
LICENCE: Final = "research use; see the dataset"
LAYOUT: Final = (
    "<split>/<id>_sat.jpg with <id>_mask.png, tiff/<split>/ with tiff/<split>_labels/, or images/ with masks/; they "
    "come from https://competitions.codalab.org/competitions/18467, https://www.cs.toronto.edu/~vmnih/data or yourself"
)
ROAD: Final = Cover(255, "road", "roads")
MASKS: Final = ("masks", "labels", "gt", "groundtruth")
Pair = tuple[Path, Path, float | None]


def load(root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
    """Yield the mask of the roads of each image."""
    require_split(NAME, split, SPLITS)
    origin = Origin(NAME, split, LICENCE, seed)
    pairs = _list_pairs(Path(root), split)

    def convert(pair: Pair) -> Iterator[Sample]:
        path, mask, gsd_m = pair
        image = describe_image(path, name=NAME, layout=LAYOUT, gsd_m=gsd_m)
        label = load_label(mask)
        label = label if label.ndim == 2 else label[..., 0]
        if label.shape != (image.height, image.width):
            raise DataError(f"{NAME}: the mask {mask} is not {image.width} x {image.height} px as its image is")
        bits = label >= (128 if label.max() > 1 else 1)
        key = f"{NAME}/{split}/{path.stem.removesuffix('_sat')}/mask-all/road"
        yield class_sample(image, bits, ROAD, origin, key=key)

    return convert_each(pairs, convert, name=NAME, reject=reject)


def _list_pairs(root: Path, split: str) -> list[Pair]:
    folder = root if split == "all" else root / split
    pairs = _deepglobe(folder) or _massachusetts(root, split) or _plain(folder)
    if not pairs:
        raise DataError(f"{NAME}: {folder} holds no images with masks; expected {LAYOUT}")
    return pairs


def _deepglobe(folder: Path) -> list[Pair]:
    masks = [(path, path.with_name(path.name.replace("_sat.jpg", "_mask.png"))) for path in folder.glob("*_sat.jpg")]
    return sorted((path, mask, 0.5) for path, mask in masks if mask.exists())


def _massachusetts(root: Path, split: str) -> list[Pair]:
    folder = root / "tiff" if (root / "tiff").is_dir() else root
    return [(path, mask, 1.0) for path, mask in _match(folder / split, folder / f"{split}_labels")]


def _plain(folder: Path) -> list[Pair]:
    for name in MASKS:
        pairs = _match(folder / "images", folder / name)
        if pairs:
            return [(path, mask, None) for path, mask in pairs]
    return []


def _match(images: Path, masks: Path) -> list[tuple[Path, Path]]:
    """Pair the files of two folders that have one name, whatever their suffixes."""
    if not images.is_dir() or not masks.is_dir():
        return []
    by_stem = {path.stem: path for path in masks.iterdir() if path.is_file()}
    found = sorted(path for path in images.iterdir() if path.is_file())
    return [(path, by_stem[path.stem]) for path in found if path.stem in by_stem]


SOURCE: Final = Source(
    name=NAME, load=load, splits=SPLITS, layout=LAYOUT, licence=LICENCE, citation="Demir et al. 2018; Mnih 2013"
)
