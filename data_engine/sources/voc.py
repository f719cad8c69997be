"""Any detection set in the Pascal VOC layout: one XML an image, and lists of the splits.

Layout: Annotations/*.xml, JPEGImages/* and ImageSets/Main/<split>.txt (one name a line); without the lists, or with the
split "all", every XML is read. What the numbers mean is said in data_engine.formats.voc: corners as they are written
(counted from 1 with `one_based`), oriented boxes (<robndbox>) as well. DIOR, SSDD and NEON trees have sources of their
own.
Licence: that of the set; "unknown" here. Citation: Everingham et al., The Pascal visual object classes challenge, IJCV
2010 (the layout).
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

NAME: Final = "voc_set"
SPLITS: Final = ("train", "val", "test", "trainval", "all")
LICENCE: Final = "unknown"
LAYOUT: Final = (
    "Annotations/*.xml with JPEGImages/* and ImageSets/Main/<split>.txt; the rules of the layout come from "
    "http://host.robots.ox.ac.uk/pascal/VOC"
)


def load(
    root: Path,
    *,
    split: str,
    seed: int = 0,
    reject: Reject | None = None,
    annotations: bool = False,
    one_based: bool = False,
) -> Iterator[Sample]:
    """Yield grounding, detection, counting, presence and region samples of each image of the split.

    `one_based` says that corners count pixels from 1, as the devkit of Pascal VOC does.
    """
    from data_engine.formats import Reading, voc

    require_split(NAME, split, SPLITS)
    root = require_path(Path(root), name=NAME, layout=LAYOUT)
    require_path(root / "Annotations", name=NAME, layout=LAYOUT)
    reading = Reading(split=split, one_based=one_based, on_error=report_to(reject, NAME))
    labels = voc.read_labels(root, reading, keys=read_split(root, split))
    classes = voc.load_classes(root, reading)
    yield from label_samples(
        labels, classes, source=NAME, split=split, licence=LICENCE, seed=seed, reject=reject, annotations=annotations
    )


def read_split(root: Path, split: str) -> tuple[str, ...] | None:
    """List the names of a split; None for all. DataError when there is no list of it."""
    if split == "all":
        return None
    path = root / "ImageSets" / "Main" / f"{split}.txt"
    if not path.is_file():
        raise DataError(f"{NAME}: {path} does not exist, so split 'all' is the only one; expected {LAYOUT}")
    return tuple(line.split()[0] for line in path.read_text(encoding="utf-8").splitlines() if line.strip())


SOURCE: Final = Source(
    name=NAME, load=load, splits=SPLITS, layout=LAYOUT, licence=LICENCE, citation="layout: Everingham et al., IJCV 2010"
)
