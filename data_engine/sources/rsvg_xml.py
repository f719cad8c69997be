"""The layout of DIOR-RSVG and OPT-RSVG: VOC files whose objects carry a description, and splits of object numbers.

Annotations/<name>.xml: <filename>, and per <object> name, bndbox (pixels) and description. A split file holds one
number a line: the running number of an object when all files are sorted by name and all their objects are counted from
0. (The authors' code takes the files in the order in which the file system lists them; sorted by name, the numbers of
the three splits cover every object exactly once.) A missing file would shift every number after it, so the objects are
counted against the splits first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from data_engine.sources.boundary import Reject, convert_each
from data_engine.sources.referring import Origin, tidy_phrase
from data_engine.sources.source import describe_image, require_path, require_split
from data_engine.sources.xml_objects import load_xml, read_box
from vlm.errors import DataError
from vlm.records import Region, Sample

SPLITS: Final = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Layout:
    """Name a dataset of this kind: where its images and splits may lie below the root, and what its folder holds."""

    name: str
    images: tuple[str, ...]
    splits: tuple[str, ...]
    text: str
    licence: str
    gsd_m: float | None = None


@dataclass(frozen=True, slots=True)
class _Expression:
    """Hold one described object: its running number, its file and its place in the file."""

    number: int
    path: Path
    place: int


def load_samples(
    root: Path, *, split: str, layout: Layout, seed: int = 0, reject: Reject | None = None
) -> Iterator[Sample]:
    """Yield one grounding sample per described object of the split."""
    require_split(layout.name, split, SPLITS)
    root = Path(root)
    origin = Origin(layout.name, split, layout.licence, seed)

    def convert(expression: _Expression) -> Iterator[Sample]:
        yield _sample(expression, _find(root, layout.images, layout), layout, origin)

    return convert_each(_list_expressions(root, split, layout), convert, name=layout.name, reject=reject)


def _list_expressions(root: Path, split: str, layout: Layout) -> Iterator[_Expression]:
    folder = require_path(root / "Annotations", name=layout.name, layout=layout.text)
    wanted = {known: _read_numbers(root, known, layout) for known in SPLITS}
    objects = [
        (path, place)
        for path in sorted(folder.glob("*.xml"))
        for place in range(len(load_xml(path, name=layout.name, layout=layout.text).findall("object")))
    ]
    listed = sorted(number for numbers in wanted.values() for number in numbers)
    if listed != list(range(len(objects))):
        raise DataError(
            f"{layout.name}: {folder} holds {len(objects)} objects, the split files number {len(listed)} from "
            f"{listed[0] if listed else 0} to {listed[-1] if listed else 0}: they must cover 0 to {len(objects) - 1} "
            "once; download the annotations and the splits together"
        )
    for number in sorted(wanted[split]):
        path, place = objects[number]
        yield _Expression(number, path, place)


def _read_numbers(root: Path, split: str, layout: Layout) -> list[int]:
    path = _find(root, layout.splits, layout) / f"{split}.txt"
    lines = require_path(path, name=layout.name, layout=layout.text).read_text(encoding="utf-8").split()
    if not all(line.isascii() and line.isdigit() for line in lines):
        raise DataError(f"{layout.name}: {path} holds other lines than object numbers: download it again")
    return [int(line) for line in lines]


def _find(root: Path, folders: Sequence[str], layout: Layout) -> Path:
    found = [root / folder for folder in folders if (root / folder).is_dir()]
    return require_path(found[0] if found else root / folders[0], name=layout.name, layout=layout.text)


def _sample(expression: _Expression, images: Path, layout: Layout, origin: Origin) -> Sample:
    tree = load_xml(expression.path, name=layout.name, layout=layout.text)
    entry = tree.findall("object")[expression.place]
    where = f"{expression.path} object {expression.place + 1}"
    file = (tree.findtext("filename") or f"{expression.path.stem}.jpg").strip()
    image = describe_image(images / file, name=layout.name, layout=layout.text, gsd_m=layout.gsd_m)
    phrase = tidy_phrase(entry.findtext("description") or "")
    key = f"{layout.name}/{origin.split}/{expression.path.stem}/ground-{expression.number}"
    return origin.ground(phrase, Region(read_box(entry, where), phrase), image, key=key)
