"""DOTA text: one file an image, one object a line, `x1 y1 x2 y2 x3 y3 x4 y4 class difficult`.

Frame: pixels of the image, origin at its top-left corner, four corners in a row; corners may lie outside the image.
Up to two header lines (`imagesource:`, `gsd:`) come first; `difficult` may be missing. Any class is read; `-` in its
name is a blank. A folder is read file by file, each with the image of the same name; Reading.images is the folder of
the images (default: images/ beside the folder of the texts or in it, or that folder itself).
Written (vlm.vector_labels), corners keep two decimals of a pixel, and polygons of more corners and masks become the
smallest oriented box around them. Texts lie in the folders in which their images lie.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Final

from data_engine.formats.format import Format, Reading, Writing, check_regions, read_each
from data_engine.formats.labelled import Labelled, gather, load_samples
from data_engine.formats.picture_files import LabelFolder, list_labels, mirror_folders, read_label_file, scan_classes
from data_engine.sources.source import describe_image
from vlm.errors import DataError
from vlm.geometry.shapes import Polygon
from vlm.records import Region, Sample
from vlm.vector_labels import write_dota

NAME: Final = "dota_txt"
LAYOUT: Final = "a folder of .txt files (labelTxt/), one an image, and the images"
_HEADERS: Final = ("imagesource:", "gsd:")


def load(path: Path, reading: Reading) -> Iterator[Sample]:
    """Yield one sample an image: a detection of all classes (labelled.load_samples)."""
    yield from load_samples(read_labels(path, reading), load_classes(path, reading), reading, name=NAME)


def read_labels(path: Path, reading: Reading) -> Iterator[Labelled]:
    """Yield each image with its objects as four-point polygons, in the order of the file names."""
    folder = _list(path, reading)

    def make(file: Path) -> tuple[Labelled, ...]:
        image = describe_image(folder.picture(file), name=NAME, layout=LAYOUT)
        assert image.width is not None and image.height is not None
        regions = tuple(parse_labels(read_label_file(file), str(file)))
        check_regions(regions, ((image.width, image.height),), where=str(file))
        return (Labelled(folder.key(file), image, regions),)

    yield from read_each(folder.files, make, reading.on_error)


def load_classes(path: Path, reading: Reading) -> tuple[str, ...]:
    """Give the classes of the reading, or all that the label files name."""
    folder = _list(path, reading)
    return reading.names or scan_classes(folder, lambda file: parse_labels(read_label_file(file), str(file)))


def write(samples: Iterable[Sample], out: Path, writing: Writing) -> int:
    """Write a text file an image to the folder `out`; embedded images go to images/ in it."""
    out = Path(out)
    found = list(gather(samples, writing, out=out, name=NAME))
    answers = [answer for answer, _ in found]
    write_dota(answers, out)
    mirror_folders(out, answers, suffix=".txt")
    return sum(count for _, count in found)


def _list(path: Path, reading: Reading) -> LabelFolder:
    return list_labels(Path(path), reading, suffix=".txt", inner=("labelTxt",), pictures=("images",))


def parse_labels(text: str, where: str, *, categories: Collection[str] = ()) -> Iterator[Region]:
    """Read the lines of a file; one that is no header and no object raises DataError with its number.

    Where there are `categories`, an object is of one of them.
    """
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith(_HEADERS):
            continue
        if len(words) not in (9, 10):
            raise DataError(
                f"{where} line {number} is {line!r:.80}: expected eight numbers, a class without blanks and difficult"
            )
        if categories and words[8] not in categories:
            raise DataError(
                f"{where} line {number} is {line!r:.80}: expected eight numbers and a class, {', '.join(categories)}"
            )
        try:
            values = [float(word) for word in words[:8]]
        except ValueError as error:
            raise DataError(f"{where} line {number}: the corners {words[:8]} are not numbers") from error
        if not all(math.isfinite(value) for value in values):
            raise DataError(f"{where} line {number}: the corners {words[:8]} are not finite")
        corners = tuple(zip(values[::2], values[1::2], strict=True))
        yield Region(Polygon(corners), " ".join(words[8].replace("-", " ").split()) or words[8])


FORMAT: Final = Format(
    name=NAME, layout=LAYOUT, frame="pixels of the image, four corners in a row", load=load, write=write
)
