"""YOLO text: one file an image, one object a line, a class number and numbers divided by the image's sides.

Frame: x by the width, y by the height, origin at the image's top-left corner. Four numbers are centre and size of a
box, eight are the corners of an oriented box, any other even number from six on is a polygon (Ultralytics' detect, OBB
and segment tasks). Class names come from Reading.names, else from `names` in data.yaml (or another .yaml beside the
labels), else from classes.txt or obj.names, in the folder or above labels/. A number without a name is refused.
Layout: labels/ with images/ beside it and the same folders inside, or both kinds of files in one folder. An image
without a label file is left out, since nothing says that it was looked at; an empty file says that it holds nothing.
Written (vlm.vector_labels): six decimals; boxes where all regions are boxes, oriented boxes where all have four
corners, else polygons (the largest part, holes filled, as the format demands); shapes are cut at the image's edge.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from data_engine.formats.format import Format, Reading, Writing, check_regions, read_each
from data_engine.formats.labelled import Labelled, gather, has_four_corners, load_samples
from data_engine.formats.picture_files import list_labels, mirror_folders, read_label_file
from data_engine.sources.source import describe_image
from vlm.errors import DataError
from vlm.geometry.shapes import HBB, Geometry, Polygon
from vlm.output import write_text
from vlm.records import Region, Sample
from vlm.vector_labels import write_yolo, write_yolo_seg

NAME: Final = "yolo"
LAYOUT: Final = "labels/*.txt with images/* of the same names, and data.yaml or classes.txt"
_NAME_FILES: Final = ("classes.txt", "obj.names", "_darknet.labels")
_NO_LABELS: Final = (*_NAME_FILES, "train.txt", "val.txt", "test.txt")
_FURTHEST: Final = 2.0  # image sides; larger numbers are pixels


def load(path: Path, reading: Reading) -> Iterator[Sample]:
    """Yield one sample an image: a detection of all classes (labelled.load_samples)."""
    yield from load_samples(read_labels(path, reading), load_classes(path, reading), reading, name=NAME)


def read_labels(path: Path, reading: Reading) -> Iterator[Labelled]:
    """Yield each labelled image with its objects, in the order of the file names."""
    path = Path(path)
    names = load_classes(path, reading)
    folder = list_labels(path, reading, suffix=".txt", inner=("labels",), pictures=("images",), skip=_NO_LABELS)

    def make(file: Path) -> tuple[Labelled, ...]:
        image = describe_image(folder.picture(file), name=NAME, layout=LAYOUT)
        assert image.width is not None and image.height is not None
        size = (image.width, image.height)
        regions = tuple(_parse(read_label_file(file), names, size, str(file)))
        check_regions(regions, (size,), where=str(file))
        return (Labelled(folder.key(file), image, regions),)

    yield from read_each(folder.files, make, reading.on_error)


def load_classes(path: Path, reading: Reading) -> tuple[str, ...]:
    """Find the class names, in the order of their numbers; DataError when there are none."""
    if reading.names:
        return reading.names
    start = path.parent if path.is_file() else path
    above = (start.parent, start.parent.parent) if "labels" in (start.name, start.parent.name) else ()
    for folder in (start, *above):
        for file in (folder / "data.yaml", *sorted(folder.glob("*.y*ml"))):
            names = _names_of_yaml(file) if file.is_file() else ()
            if names:
                return names
        for file in (*(folder / name for name in _NAME_FILES), *sorted(folder.glob("*.classes.txt"))):
            if file.is_file():
                return tuple(line.strip() for line in read_label_file(file).splitlines() if line.strip())
    raise DataError(
        f"{path} has no class names: expected data.yaml with names, or classes.txt, or the names themselves"
    )


def write(samples: Iterable[Sample], out: Path, writing: Writing) -> int:
    """Write labels/ with a file an image, and data.yaml, to the folder `out`; embedded images go to images/ in it."""
    out = Path(out)
    found = list(gather(samples, writing, out=out, name=NAME))
    answers = [answer for answer, _ in found]
    four = all(has_four_corners(region.geometry) for answer in answers for region in answer.regions)
    (write_yolo if four else write_yolo_seg)(answers, out / "labels")
    mirror_folders(out / "labels", answers, suffix=".txt")
    names = read_label_file(out / "labels" / "classes.txt").splitlines()
    _write_yaml(out / "data.yaml", names)
    return sum(count for _, count in found)


def _parse(text: str, names: Sequence[str], size: tuple[int, int], where: str) -> Iterator[Region]:
    """Read the lines of a file; a bad one raises DataError with its number."""
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if words:
            yield _object(words, names, size, f"{where} line {number}")


def _object(words: list[str], names: Sequence[str], size: tuple[int, int], where: str) -> Region:
    try:
        values = [float(word) for word in words[1:]]
    except ValueError as error:
        raise DataError(f"{where} is {' '.join(words)!r:.80}: expected a class number and numbers") from error
    if not words[0].isdecimal() or int(words[0]) >= len(names):
        raise DataError(f"{where} has class {words[0]}: known are 0 to {len(names) - 1} ({', '.join(names)})")
    if len(values) == 5:
        raise DataError(f"{where} has five numbers, as predictions with a confidence do: expected labels without it")
    if len(values) < 4 or len(values) % 2:
        raise DataError(f"{where} has {len(values)} numbers: expected 4 (box), 8 (oriented box) or x, y pairs")
    if not all(math.isfinite(value) and abs(value) <= _FURTHEST for value in values):
        raise DataError(f"{where} has numbers far above 1: expected them divided by the image's width and height")
    return Region(_geometry(values, size), names[int(words[0])])


def _geometry(values: list[float], size: tuple[int, int]) -> Geometry:
    """Turn numbers into pixels."""
    width, height = size
    if len(values) == 4:
        cx, cy, w, h = values[0] * width, values[1] * height, abs(values[2]) * width, abs(values[3]) * height
        return HBB(cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)
    return Polygon(tuple((x * width, y * height) for x, y in zip(values[::2], values[1::2], strict=True)))


def _names_of_yaml(path: Path) -> tuple[str, ...]:
    """Read `names`, a list or a mapping of numbers; nothing where the file has none."""
    import yaml

    try:
        content: Any = yaml.safe_load(read_label_file(path))
    except yaml.YAMLError as error:
        raise DataError(f"{path} is not valid YAML ({' '.join(str(error).split())[:120]})") from error
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, dict):
        if sorted(names) != list(range(len(names))):
            raise DataError(f"{path} numbers its names {sorted(names, key=str)!r:.60}: expected 0, 1, 2, ...")
        names = [names[number] for number in range(len(names))]
    return tuple(" ".join(str(name).split()) for name in names) if isinstance(names, list) else ()


def _write_yaml(path: Path, names: Sequence[str]) -> None:
    """Write the class names where Ultralytics looks for them."""
    import yaml

    content = {"path": ".", "train": "images", "val": "images", "names": dict(enumerate(names))}
    write_text(path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


FORMAT: Final = Format(
    name=NAME, layout=LAYOUT, frame="x divided by the image's width, y by its height", load=load, write=write
)
