"""Pairs of images with a change mask in three folders, as the change-detection code bases share it; your own too.

    A/<name>.png  B/<name>.png  label/<name>.png (0 / 255)  list/<split>.txt (one file name a line)
The folders may be called otherwise (DATES, LABELS: time1 and time2, T1 and T2, im1 and im2, before and after ...; mask,
gt ...), the three files of a pair may have different suffixes, and a split may be a folder of its own that holds the
three. Without that, a split is `list/<split>.txt` where that file exists, else the files whose name starts with
`<split>_`; "all" is every pair that has a label. A folder that tells no split in any way is training data as a whole. A
file without a label is no pair here; what is no image (world files, .aux.xml) is passed over. A label whose values are
0 and 1 is read like one of 0 and 255.
As a source, `change_folder` says no more of a change than that there is one; levir_cd and dsifn know what theirs show.
Licence: that of your data.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from data_engine.changes import ChangeScene
from data_engine.labels import load_label
from data_engine.sources.change_pairs import ChangeSet
from data_engine.sources.source import Source, describe_image, require_path, require_split
from vlm.errors import DataError

NAME: Final = "change_folder"
SPLITS: Final = ("train", "val", "test", "all")
LICENCE: Final = "yours"
LAYOUT: Final = (
    "A/<name>.png, B/<name>.png and label/<name>.png, with list/<split>.txt or in <split>/; they come from "
    "https://github.com/wgcban/ChangeFormer, from others that use its layout, or they are yours"
)
DATES: Final = (
    ("A", "B"), ("time1", "time2"), ("T1", "T2"), ("t1", "t2"), ("im1", "im2"), ("Image1", "Image2"),
    ("before", "after"), ("pre", "post"),
)  # fmt: skip
LABELS: Final = ("label", "labels", "mask", "masks", "gt", "GT", "OUT", "cm")
SUFFIXES: Final = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp", ".jp2", ".img", ".webp")
SENTENCE: Final = "part of the area has changed"
CROP_PX: Final = 128


@dataclass(frozen=True, slots=True)
class Pair:
    """Name the three files of a pair."""

    before: Path
    after: Path
    label: Path


@dataclass(frozen=True, slots=True)
class PairSet:
    """Describe a dataset of pairs: what it is called and holds, and the sentences that describe its change."""

    name: str
    layout: str
    licence: str
    forward: str
    backward: str | None
    citation: str
    gsd_m: float | None = None

    def reader(self) -> ChangeSet[Pair]:
        """Give what reads the pairs of a folder."""

        def list_all(root: Path, split: str) -> list[Pair]:
            return list_pairs(root, self, split=split)

        return ChangeSet(self.name, list_all, partial(_load_scene, self), CROP_PX)

    def source(self) -> Source:
        """Give the dataset as a source."""
        reader = self.reader()
        return Source(
            self.name, reader.load, SPLITS, self.layout, self.licence, self.citation, load_scenes=reader.load_scenes
        )


def list_pairs(root: Path, pairs: PairSet, *, split: str) -> list[Pair]:
    """Give the pairs of a split, in the order of its list or of their names; DataError where there are none."""
    require_split(pairs.name, split, SPLITS)
    require_path(root, name=pairs.name, layout=pairs.layout)
    if _find_folders(root / split) is not None:
        return _match(*_require_folders(root / split, pairs), None)
    inner = [known for known in SPLITS if _find_folders(root / known) is not None]
    if inner and split == "all":
        return [pair for known in inner for pair in list_pairs(root, pairs, split=known)]
    folders = _require_folders(root, pairs)
    return _match(*folders, _list_names(root, folders[2], split, pairs))


def _load_scene(pairs: PairSet, pair: Pair, split: str) -> ChangeScene:
    before, after = (
        describe_image(path, name=pairs.name, layout=pairs.layout, gsd_m=pairs.gsd_m)
        for path in (pair.before, pair.after)
    )
    label = load_label(require_path(pair.label, name=pairs.name, layout=pairs.layout))
    label = label if label.ndim == 2 else label[..., 0]
    changed = label >= (128 if label.max(initial=0) > 1 else 1)
    key = f"{pairs.name}/{split}/{pair.label.stem}"
    return ChangeScene(key, before, after, changed, pairs.forward, pairs.backward, pairs.name, split, pairs.licence)


def _find_folders(root: Path) -> tuple[Path, Path, Path] | None:
    for first, second in DATES:
        for label in LABELS:
            if all((root / folder).is_dir() for folder in (first, second, label)):
                return root / first, root / second, root / label
    return None


def _require_folders(root: Path, pairs: PairSet) -> tuple[Path, Path, Path]:
    found = _find_folders(root)
    if found is None:
        missing = next(root / folder for folder in (*DATES[0], LABELS[0]) if not (root / folder).is_dir())
        raise DataError(f"{pairs.name}: {missing} does not exist; expected {pairs.layout}")
    return found


def _list_names(root: Path, labels: Path, split: str, pairs: PairSet) -> list[str] | None:
    """Give the stems of a split; None for all that have a label."""
    labelled = sorted(_list_images(labels))
    listings = {known: root / "list" / f"{known}.txt" for known in SPLITS}
    if split == "all":
        return None
    if listings[split].exists():
        lines = listings[split].read_text(encoding="utf-8").splitlines()
        return [Path(line.strip()).stem for line in lines if line.strip()]
    named = {known: [stem for stem in labelled if stem.startswith(f"{known}_")] for known in SPLITS}
    tells_splits = any(named.values()) or any(path.exists() for path in listings.values())
    if split == "train" and not tells_splits:
        return None
    if not named[split]:
        raise DataError(
            f"{pairs.name}: {root} has neither list/{split}.txt nor files named {split}_*: write the list or take "
            "split 'all'"
        )
    return named[split]


def _list_images(folder: Path) -> dict[str, Path]:
    """Give the images of a folder by stem."""
    found = (path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))
    return {path.stem: path for path in found}


def _match(before: Path, after: Path, labels: Path, stems: list[str] | None) -> list[Pair]:
    """Join the files of three folders by their stems; a file that is missing is named `<stem>.*`."""
    folders = {folder: _list_images(folder) for folder in (before, after, labels)}
    wanted = sorted(folders[labels]) if stems is None else stems
    return [Pair(*(files.get(stem, folder / f"{stem}.*") for folder, files in folders.items())) for stem in wanted]


OWN: Final = PairSet(NAME, LAYOUT, LICENCE, forward=SENTENCE, backward=SENTENCE, citation="yours; layout of BIT_CD")
SOURCE: Final = OWN.source()
