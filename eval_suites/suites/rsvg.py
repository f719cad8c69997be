"""DIOR-RSVG and OPT-RSVG: referring phrases with one horizontal box, in VOC files.

A split file holds the running numbers of objects, all XML files sorted by name (ZhanYang-nwpu/RSVG-pytorch); the phrase
is lower-cased there, and here. Boxes are pixels, x1 y1 x2 y2. Official test sets: 7,500 and 24,477 phrases.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from functools import partial
from typing import Final

from eval_suites.baselines import RANDOM
from eval_suites.cases import Case
from eval_suites.suites.asking import ask, box_of
from eval_suites.suites.benchmark import Benchmark, Questions
from eval_suites.suites.folder import Folder

PLACES: Final = ("JPEGImages", "Image", "images")
CORNERS: Final = ("xmin", "ymin", "xmax", "ymax")


def load(folder: Folder, *, objects: int) -> Questions:
    """Read the test phrases; a folder with fewer objects than the splits number would shift them, and is refused."""
    wanted = [int(line) for line in folder.file("test.txt", "split/test.txt").read_text().split()]
    chosen, cases, total = set(wanted), [], 0
    for total, (file, size, item) in enumerate(_objects(folder), start=1):
        if total - 1 in chosen:
            cases.append(_case(total - 1, file, size, item))
    if max(wanted, default=0) >= total:
        raise folder.refuse(
            f"has {total} objects in its XML files and a split that names object {max(wanted)} (all: {objects})"
        )
    return Questions(tuple(cases))


def _objects(folder: Folder) -> Iterator[tuple[str, tuple[int, int], ElementTree.Element]]:
    paths = folder.files("Annotations/*.xml")
    if not paths:
        raise folder.refuse("has no Annotations/*.xml")
    for path in sorted(paths, key=lambda path: path.name):
        root = ElementTree.parse(path).getroot()
        size = (int(root.findtext("size/width") or 0), int(root.findtext("size/height") or 0))
        name = root.findtext("filename") or f"{path.stem}.jpg"
        image = folder.image(name, *PLACES)
        yield from ((image, size, item) for item in root.iter("object"))


def _case(number: int, image: str, size: tuple[int, int], item: ElementTree.Element) -> Case:
    phrase = (item.findtext("description") or "").strip().lower()
    numbers = [float(item.findtext(f"bndbox/{corner}") or 0) for corner in CORNERS]
    return ask(
        number,
        [image],
        f"Give the bounding box of: {phrase}",
        category=item.findtext("name") or "",
        regions=[(phrase, box_of(numbers))],
        form="box",
        phrase=phrase,
        truth=numbers,
        sizes=[size] if min(size) > 0 else (),
    )


def _build(name: str, title: str, page: str, objects: int) -> Benchmark:
    return Benchmark(
        name=name,
        title=title,
        layout="Annotations/*.xml, JPEGImages/*.jpg (or Image/) and test.txt (or split/test.txt)",
        get=page,
        licence="none stated; research use",
        about=__doc__ or "",
        load=partial(load, objects=objects),
        baselines=(RANDOM,),
        probes=("flip", "turn", "brightness", "jpeg", "shift"),
    )


DIOR: Final = _build("dior-rsvg", "DIOR-RSVG", "https://github.com/ZhanYang-nwpu/RSVG-pytorch", 38_320)
OPT: Final = _build("opt-rsvg", "OPT-RSVG", "https://github.com/like413/OPT-RSVG", 48_952)
