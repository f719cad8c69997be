"""Any detection set in the YOLO layout: label texts with normalised numbers, one an image, and data.yaml.

Layout: labels/<split>/*.txt with images/<split>/* of the same names (Ultralytics), or <split>/labels/ with
<split>/images/ (Roboflow); "all" reads labels/ with images/ as they lie there. "valid" is read as val. Class names come
from data.yaml or classes.txt. What the numbers mean is said in data_engine.formats.yolo: boxes, oriented boxes and
polygons. Images without a label file are left out; an empty one says that the image holds nothing.
Licence: that of the set; "unknown" here. Citation: the layout is that of Ultralytics (docs.ultralytics.com/datasets).
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

NAME: Final = "yolo_set"
SPLITS: Final = ("train", "val", "test", "all")
LICENCE: Final = "unknown"
LAYOUT: Final = (
    "labels/<split>/*.txt with images/<split>/*, or <split>/labels/ with <split>/images/, and data.yaml; the rules of "
    "the layout come from https://docs.ultralytics.com/datasets"
)


def load(
    root: Path, *, split: str, seed: int = 0, reject: Reject | None = None, annotations: bool = False
) -> Iterator[Sample]:
    """Yield grounding, detection, counting, presence and region samples of each image, and masks where it has them."""
    from data_engine.formats import Reading, yolo

    require_split(NAME, split, SPLITS)
    root = require_path(Path(root), name=NAME, layout=LAYOUT)
    labels, images = find_folders(root, split)
    reading = Reading(images=images, split=split, on_error=report_to(reject, NAME))
    classes = yolo.load_classes(root, reading)
    found = yolo.read_labels(labels, Reading(images=images, names=classes, on_error=reading.on_error))
    yield from label_samples(
        found, classes, source=NAME, split=split, licence=LICENCE, seed=seed, reject=reject, annotations=annotations
    )


def find_folders(root: Path, split: str) -> tuple[Path, Path]:
    """Give the folders of the labels and of the images of a split; DataError when there are none."""
    names = {"val": ("val", "valid", "validation"), "all": ("",)}.get(split, (split,))
    for name in names:
        for labels, images in (
            (root / "labels" / name, root / "images" / name),
            (root / name / "labels", root / name / "images"),
        ):
            if labels.is_dir():
                return labels, images if images.is_dir() else labels
    raise DataError(f"{NAME}: {root} has no labels of the split {split!r}; expected {LAYOUT}")


SOURCE: Final = Source(
    name=NAME, load=load, splits=SPLITS, layout=LAYOUT, licence=LICENCE, citation="layout: Ultralytics"
)
