"""Any scene classification set that keeps each class in a folder: AID, UC Merced, NWPU-RESISC45, WHU-RS19, PatternNet.

Layout: <class>/*.{png,jpg,tif,...}; or <split>/<class>/*, the splits being train, val (or valid) and test. Without
folders of splits the only split is "all". The folder's name becomes words: "DenseResidential", "dense_residential" and
"dense-residential" are all "dense residential".
Licence: that of the set; "unknown" here. Citation: that of the set.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from data_engine import generate
from data_engine.objects import seeded
from data_engine.sources.boundary import Reject, convert_each
from data_engine.sources.source import Source, describe_image, require_path, require_split
from vlm.errors import DataError
from vlm.records import Sample

NAME: Final = "folder_scenes"
SPLITS: Final = ("all", "train", "val", "test")
LICENCE: Final = "unknown"
LAYOUT: Final = (
    "<class>/<image> or <split>/<class>/<image>, two classes at least; such sets come from "
    "https://captain-whu.github.io/AID, http://weegee.vision.ucmerced.edu/datasets/landuse.html and others"
)
SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".jp2")
FOLDERS: Final = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}
_BORDER: Final = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Za-z])(?=\d)|[\s_\-]+")


def load(root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
    """Yield one sample an image: the question for the scene class, and its name."""
    require_split(NAME, split, SPLITS)
    root = require_path(Path(root), name=NAME, layout=LAYOUT)
    classes = find_classes(root, split)
    paths = (path for folder in classes for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES)

    def convert(path: Path) -> Iterator[Sample]:
        folder = next(parent for parent in path.parents if parent in classes)
        image = describe_image(path, name=NAME, layout=LAYOUT)
        sample_id = f"{NAME}/{split}/{path.relative_to(root).with_suffix('').as_posix()}/theme"
        turn = generate.classify(read_theme(folder.name), seeded(seed, sample_id))
        yield generate.wrap_turn(turn, sample_id=sample_id, images=(image,), source=NAME, split=split, licence=LICENCE)

    return convert_each(paths, convert, name=NAME, reject=reject)


def find_classes(root: Path, split: str) -> tuple[Path, ...]:
    """List the class folders of a split; DataError when there are fewer than two."""
    splits = {
        name: root / folder for name, folders in FOLDERS.items() for folder in folders if (root / folder).is_dir()
    }
    if split == "all":
        homes = list(splits.values()) or [root]
    elif split in splits:
        homes = [splits[split]]
    else:
        raise DataError(f"{NAME}: {root} has no folder {split}, so split 'all' is the only one; expected {LAYOUT}")
    classes = tuple(
        folder
        for home in homes
        for folder in sorted(home.iterdir())
        if folder.is_dir() and any(path.suffix.lower() in SUFFIXES for path in folder.rglob("*"))
    )
    if len({folder.name for folder in classes}) < 2:
        raise DataError(f"{NAME}: {root} holds {len(classes)} folders with images; expected {LAYOUT}")
    return classes


def read_theme(folder: str) -> str:
    """Write the name of a class folder as words; DataError when it has no letter."""
    words = " ".join(word for word in _BORDER.split(folder) if word).lower()
    if not any(letter.isalpha() for letter in words):
        raise DataError(f"{NAME}: the class folder {folder!r} has no letters: rename it to the name of its class")
    return words


SOURCE: Final = Source(name=NAME, load=load, splits=SPLITS, layout=LAYOUT, licence=LICENCE, citation="that of the set")
