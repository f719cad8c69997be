"""SECOND: land cover of the changed areas at both dates, six classes, 4,662 pairs of aerial images, 512 px, 0.5 to 3 m.

Layout: {im1,im2,label1,label2}/<name>.png, in train/, SECOND_train_set/ or the folder itself for the split "train" and
in test/ for "test"; label1_rgb/ and label2_rgb/ (SCD code bases) are read as well.
Quirks: labels are RGB. White is "unchanged" and is the same in both; the other colours say what a changed pixel was and
became, and what an unchanged pixel is is not told: the masks of the land cover sample end where the change ends, and an
unchanged pair has none. A label of class numbers, as some copies have, is refused, since their order differs.
Licence: none stated; research use.
Citation: Yang et al., Asymmetric siamese networks for semantic change detection in aerial images, TGRS 2022.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from data_engine.annotations import cover_to_turn
from data_engine.changes import ChangeScene, change_samples
from data_engine.labels import crop_mask, encode_colours, load_label
from data_engine.sources.boundary import Reject, convert_each
from data_engine.sources.referring import Origin
from data_engine.sources.source import Source, describe_image, require_path, require_split
from vlm.errors import DataError
from vlm.records import Region, Sample

NAME: Final = "second"
SPLITS: Final = ("train", "test")
LICENCE: Final = "none stated; research use"
LAYOUT: Final = (
    "im1/, im2/, label1/ and label2/ with <name>.png in each (test/im1/ ... for the test split); they come from "
    "https://captain-whu.github.io/SCD"
)
FOLDERS: Final = {"train": ("train", "SECOND_train_set", "."), "test": ("test",)}
UNCHANGED: Final = (255, 255, 255)
COLOURS: Final = {
    "non-vegetated ground surface": (128, 128, 128),
    "low vegetation": (0, 128, 0),
    "trees": (0, 255, 0),
    "buildings": (128, 0, 0),
    "water": (0, 0, 255),
    "playgrounds": (255, 0, 0),
}
CLASSES: Final = tuple(COLOURS)
MOSTLY: Final = 0.9
"""The share of the changed area from which one transition is all that is said."""


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """Hold what each changed pixel was and became: indices into CLASSES (rows, cols), -1 where nothing changed."""

    before: np.ndarray
    after: np.ndarray


def load(root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
    """Yield the land cover of both dates, and change samples of each pair, its swapped dates and each date twice."""
    folder = _find_folder(Path(root), split)
    origin = Origin(NAME, split, LICENCE, seed)

    def convert(path: Path) -> Iterator[Sample]:
        labels = _load_labels(folder, path.name)
        scene = _scene(folder, path.name, labels, split)
        if scene.changed.any():
            yield _cover_sample(scene, labels, origin)
        yield from change_samples(scene, seed=seed)

    return convert_each(_list_images(folder), convert, name=NAME, reject=reject)


def load_scenes(root: Path, *, split: str, reject: Reject | None = None) -> Iterator[ChangeScene]:
    """Yield each pair of the split with its change mask and the sentence about its largest transition."""
    folder = _find_folder(Path(root), split)

    def convert(path: Path) -> Iterator[ChangeScene]:
        yield _scene(folder, path.name, _load_labels(folder, path.name), split)

    return convert_each(_list_images(folder), convert, name=NAME, reject=reject)


def say_transition(before: np.ndarray, after: np.ndarray) -> str:
    """Say what most of the changed area became: "trees turned into buildings"; arrays as in Labels."""
    changed = before >= 0
    if not changed.any():
        return "nothing has changed"
    pairs, counts = np.unique(before[changed] * len(CLASSES) + after[changed], return_counts=True)
    was, became = divmod(int(pairs[counts.argmax()]), len(CLASSES))
    share = counts.max() / counts.sum()
    sentence = f"{CLASSES[was]} turned into {CLASSES[became]}"
    return sentence if share >= MOSTLY else f"mostly {sentence}"


def _find_folder(root: Path, split: str) -> Path:
    require_split(NAME, split, SPLITS)
    found = [root / folder for folder in FOLDERS[split] if (root / folder / "im1").is_dir()]
    return found[0] if found else require_path(root / FOLDERS[split][0] / "im1", name=NAME, layout=LAYOUT)


def _list_images(folder: Path) -> list[Path]:
    found = sorted((folder / "im1").glob("*.png"))
    if not found:
        raise DataError(f"{NAME}: {folder / 'im1'} holds no images; expected {LAYOUT}")
    return found


def _load_labels(folder: Path, file: str) -> Labels:
    before, after = (_load_label(folder, f"label{date}", file) for date in (1, 2))
    if before.shape != after.shape or not np.array_equal(before < 0, after < 0):
        raise DataError(f"{NAME}: the labels of {file} do not agree about what is unchanged: copy them again")
    return Labels(before, after)


def _load_label(folder: Path, name: str, file: str) -> np.ndarray:
    """Read one label as indices into CLASSES, -1 for unchanged; a colour of no class raises DataError."""
    inner = folder / name if (folder / name).is_dir() else folder / f"{name}_rgb"
    path = require_path(inner / file, name=NAME, layout=LAYOUT)
    label = load_label(path)
    if label.ndim != 3:
        raise DataError(f"{NAME}: {path} has one band: expected the RGB colours of the classes")
    codes = encode_colours(label)
    known = {int(encode_colours(np.array(rgb))): index for index, rgb in enumerate((UNCHANGED, *COLOURS.values()), -1)}
    found, places = np.unique(codes, return_inverse=True)
    unknown = [code for code in found.tolist() if code not in known]
    if unknown:
        colours = [(code % 256, code // 256 % 256, code // 65536) for code in unknown[:3]]
        raise DataError(f"{NAME}: {path} holds the colours {colours}: expected those of {', '.join(CLASSES)} or white")
    return np.array([known[code] for code in found.tolist()], np.int64)[places].reshape(codes.shape)


def _scene(folder: Path, file: str, labels: Labels, split: str) -> ChangeScene:
    before, after = (
        describe_image(folder / d / file, name=NAME, layout=LAYOUT, sensor="aerial") for d in ("im1", "im2")
    )
    forward, backward = say_transition(labels.before, labels.after), say_transition(labels.after, labels.before)
    key = f"{NAME}/{split}/{Path(file).stem}"
    return ChangeScene(key, before, after, labels.before >= 0, forward, backward, NAME, split, LICENCE)


def _cover_sample(scene: ChangeScene, labels: Labels, origin: Origin) -> Sample:
    """Ask for the land cover of both dates: one mask per class and date, where it changed."""
    regions = [
        Region(mask, name, date)
        for date, label in enumerate((labels.before, labels.after))
        for index, name in enumerate(CLASSES)
        if (mask := crop_mask(label == index)) is not None
    ]
    turn = cover_to_turn(regions, CLASSES, seed=origin.seed, key=scene.key, dates=2, changed_only=True)
    return origin.wrap(turn, (scene.before, scene.after), key=f"{scene.key}/cover")


SOURCE: Final = Source(NAME, load, SPLITS, LAYOUT, LICENCE, citation="Yang et al., TGRS 2022", load_scenes=load_scenes)
