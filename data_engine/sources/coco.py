"""Any detection set in the COCO layout: annotations as JSON, images in folders, one of each a split.

Layout: annotations/*<split>*.json (instances_train2017.json, train.json), or <split>/_annotations.coco.json (Roboflow),
or <split>.json; the images in the folder of the annotations, <split>/, <split>2017/, images/<split>/, images/ or
train2017/, whichever holds the first one that the file lists. "valid" is read as val. What the numbers mean, and how
run lengths and crowds are read, is said in data_engine.formats.coco. Objects with outlines also make masks.
Licence: that of the set; "unknown" here. Citation: Lin et al., Microsoft COCO, ECCV 2014 (the layout).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from data_engine.sources.boundary import Reject, report_to
from data_engine.sources.label_scenes import label_samples
from data_engine.sources.source import Source, require_path, require_split
from vlm.errors import DataError
from vlm.records import Sample

NAME: Final = "coco_set"
SPLITS: Final = ("train", "val", "test")
LICENCE: Final = "unknown"
LAYOUT: Final = (
    "annotations/*<split>*.json or <split>/_annotations.coco.json, with images in <split>/, <split>2017/ or images/; "
    "the rules of the layout come from https://cocodataset.org/#format-data"
)


def load(
    root: Path, *, split: str, seed: int = 0, reject: Reject | None = None, annotations: bool = False
) -> Iterator[Sample]:
    """Yield grounding, detection, counting, presence and region samples of each image, and masks where it has them."""
    from data_engine.formats import Reading, coco

    require_split(NAME, split, SPLITS)
    file = coco.load_file(find_annotations(require_path(Path(root), name=NAME, layout=LAYOUT), split))
    first = str(file.images[0].get("file_name", "")) if file.images else ""
    images = _find_images(Path(root), file.path.parent, split, first)
    found = coco.read_labels(file, Reading(images=images, on_error=report_to(reject, NAME)))
    classes = file.classes
    yield from label_samples(
        found, classes, source=NAME, split=split, licence=LICENCE, seed=seed, reject=reject, annotations=annotations
    )


def find_annotations(root: Path, split: str) -> Path:
    """Find the annotations of a split; DataError when there are none, or several that could be meant."""
    for name in _spellings(split):
        found = [path for path in sorted((root / "annotations").glob("*.json")) if name in _words(path.stem)]
        found = [path for path in found if path.stem.startswith("instances")] or found
        others = (root / name / "_annotations.coco.json", root / f"{name}.json", root / name / f"{name}.json")
        found = found or [path for path in others if path.is_file()]
        if len(found) > 1:
            listed = ", ".join(path.name for path in found)
            raise DataError(f"{NAME}: the split {split!r} could be {listed} in {found[0].parent}: move the others away")
        if found:
            return found[0]
    raise DataError(f"{NAME}: {root} has no annotations of the split {split!r}; expected {LAYOUT}")


def _find_images(root: Path, beside: Path, split: str, first: str) -> Path:
    """Find the folder that holds the first image of the annotations; images/ where none does."""
    folders = [beside]
    for name in _spellings(split):
        folders += [root / f"{name}{year}" for year in ("", "2017", "2014")]
        folders += [root / "images" / f"{name}{year}" for year in ("", "2017", "2014")]
    folders += [root / "JPEGImages", root]
    return next((folder for folder in folders if first and (folder / first).is_file()), root / "images")


def _spellings(split: str) -> tuple[str, ...]:
    return ("val", "valid", "validation") if split == "val" else (split,)


def _words(stem: str) -> list[str]:
    """Split a file name into words without digits: instances_train2017 -> instances, train."""
    return "".join(letter if letter.isalpha() else " " for letter in stem.lower()).split()


SOURCE: Final = Source(
    name=NAME, load=load, splits=SPLITS, layout=LAYOUT, licence=LICENCE, citation="layout: Lin et al., ECCV 2014"
)
