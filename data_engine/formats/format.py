"""What a format is, how it is read and written, and the checks that all formats share.

Geometry is always read into pixels of the original image (vlm.geometry.shapes) and every format states the frame of its
own numbers. A record that cannot be read is handed to `on_error` as a DataError and left out; the next one is read. By
default `on_error` raises. A file that breaks off, so that nothing after the break can be read, raises in any case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from vlm.dialects import Size
from vlm.errors import DataError, NadirError
from vlm.geometry.convert import to_hbb
from vlm.geometry.shapes import Mask
from vlm.records import Region, Sample

OnError = Callable[[DataError], None]
Item = TypeVar("Item")
Made = TypeVar("Made")


def refuse(error: DataError) -> None:
    """Raise the error: one bad record ends the reading."""
    raise error


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """State how a file is read.

    `images` is the folder that relative image paths start from (default: the folder of the file). `dialect` names the
    way in which text writes geometry (spelling.SPELLINGS). `source`, `split` and `licence` go into the samples, `seed`
    picks the wording of instructions that a format does not bring along. `names` are the classes of YOLO files that
    carry none. `one_based` says that VOC boxes count pixels from 1. `original_pixels` says that absolute pixels are
    those of the original image; otherwise `min_pixels` and `max_pixels` bound the resized image (default: the
    dialect's own).
    """

    images: Path | None = None
    dialect: str | None = None
    source: str | None = None
    split: str = "train"
    licence: str = "unknown"
    seed: int = 0
    names: tuple[str, ...] = ()
    one_based: bool = False
    original_pixels: bool = False
    min_pixels: int | None = None
    max_pixels: int | None = None
    on_error: OnError = refuse


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """State how samples are written.

    `images` is the folder that image paths are written relative to (paths outside it stay as they are), `dialect` the
    way in which text writes geometry. A sample that the format cannot hold goes to `on_error` with the reason.
    """

    images: Path | None = None
    dialect: str | None = None
    on_error: OnError = refuse


@dataclass(frozen=True, slots=True)
class Format:
    """Describe a format: its files (`layout`), what its numbers mean (`frame`), how it is read and written.

    `load(path, reading)` yields samples; `write(samples, out, writing)` writes files under or at `out` and gives the
    number of samples that are in them. `dialects` are the spellings that make sense, the default first; none for
    formats that hold no text. `options` are the fields of Reading that count for this format and few others.
    """

    name: str
    layout: str
    frame: str
    load: Callable[[Path, Reading], Iterator[Sample]]
    write: Callable[[Iterable[Sample], Path, Writing], int]
    dialects: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


def read_each(items: Iterable[Item], make: Callable[[Item], Iterable[Made]], on_error: OnError) -> Iterator[Made]:
    """Yield what `make` makes of each item; an item that is refused goes to `on_error` as a whole."""
    for item in items:
        try:
            made = tuple(make(item))
        except NadirError as error:
            on_error(error if isinstance(error, DataError) else DataError(str(error)))
            continue
        yield from made


def require_file(path: Path, *, layout: str) -> Path:
    """Give the path back, or raise DataError that says what the format consists of."""
    if not path.exists():
        raise DataError(f"{path} does not exist: expected {layout}")
    return path


def check_regions(regions: Iterable[Region], sizes: tuple[Size, ...], *, where: str) -> None:
    """Refuse a region of an image that is not there, one without area, and one that lies outside its image."""
    for number, region in enumerate(regions, start=1):
        if not 0 <= region.image < len(sizes):
            raise DataError(f"{where}: region {number} lies in image {region.image + 1} of {len(sizes)}")
        box, (width, height) = to_hbb(region.geometry), sizes[region.image]
        empty = isinstance(region.geometry, Mask) and not region.geometry.bits.any()
        written = ", ".join(f"{value:g}" for value in (box.x1, box.y1, box.x2, box.y2))
        if empty or box.area <= 0:
            raise DataError(f"{where}: region {number} ({written} px) covers no area, so nothing can be found there")
        if box.x2 <= 0 or box.y2 <= 0 or box.x1 >= width or box.y1 >= height:
            raise DataError(
                f"{where}: region {number} ({written} px) lies outside its image of {width} x {height} px: "
                "check which frame the numbers are in"
            )
