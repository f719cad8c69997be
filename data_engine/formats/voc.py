"""Pascal VOC XML: one file an image, with its size and an <object> for each object.

Frame: pixels of the image; <bndbox> is xmin, ymin, xmax, ymax. Corners are read as they are written, as points of the
plane with the origin at the image's top-left corner, and may run out of the image a little. The devkit of Pascal VOC
itself counts pixels from 1 and includes the last one: Reading.one_based takes one off xmin and ymin. An oriented
<robndbox> is read as DIOR-R writes it (x_left_top, y_left_top, ... four corners) and as roLabelImg does (cx, cy, w, h,
angle in radians, clockwise on the screen).
Layout: Annotations/*.xml with JPEGImages/ beside it, or both in one folder; <filename> or the XML's own name says
which image it is. An XML whose <size> is not that of the image is refused (a size of 0 states nothing).
Written: two decimals of a pixel; shapes that are no horizontal box get a <robndbox> of four corners beside the box.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from data_engine.formats.format import Format, Reading, Writing, check_regions, read_each
from data_engine.formats.labelled import Labelled, gather, load_samples
from data_engine.formats.picture_files import LabelFolder, label_path, list_labels, scan_classes
from data_engine.sources.source import describe_image
from data_engine.sources.xml_objects import BOX, load_xml, read_box, read_numbers, read_quad
from vlm.errors import DataError
from vlm.geometry.angles import from_convention
from vlm.geometry.convert import to_hbb, to_quad
from vlm.geometry.shapes import HBB, Geometry
from vlm.output import write_text
from vlm.records import Answer, Region, Sample

NAME: Final = "voc"
LAYOUT: Final = "Annotations/*.xml with JPEGImages/* of the same names"
_SIDES: Final = tuple(tag.removeprefix("bndbox/") for tag in BOX)
_CORNERS: Final = tuple(
    f"{axis}_{corner}" for corner in ("left_top", "right_top", "right_bottom", "left_bottom") for axis in "xy"
)
_TURNED: Final = ("cx", "cy", "w", "h", "angle")
_OBJECT: Final = "object"


def load(path: Path, reading: Reading) -> Iterator[Sample]:
    """Yield one sample an image: a detection of all classes (labelled.load_samples)."""
    yield from load_samples(read_labels(path, reading), load_classes(path, reading), reading, name=NAME)


def read_labels(path: Path, reading: Reading, *, keys: Sequence[str] | None = None) -> Iterator[Labelled]:
    """Yield each image with its objects, in the order of the file names, or those of `keys` in their order."""
    folder = _list(path, reading)
    files = folder.files if keys is None else [folder.labels / f"{key}.xml" for key in keys]

    def make(file: Path) -> tuple[Labelled, ...]:
        root = load_xml(file, name=NAME, layout=LAYOUT)
        stated = Path(root.findtext("filename", "").strip().replace("\\", "/")).name
        image = describe_image(folder.picture(file, name=stated or None), name=NAME, layout=LAYOUT)
        assert image.width is not None and image.height is not None
        size = (image.width, image.height)
        _check_size(root, size, str(file))
        regions = tuple(read_objects(root, one_based=reading.one_based, where=str(file)))
        check_regions(regions, (size,), where=str(file))
        return (Labelled(folder.key(file), image, regions),)

    yield from read_each(files, make, reading.on_error)


def load_classes(path: Path, reading: Reading) -> tuple[str, ...]:
    """Give the classes of the reading, or all that the XML files name."""

    def read(file: Path) -> Iterator[Region]:
        return read_objects(load_xml(file, name=NAME, layout=LAYOUT), where=str(file))

    return reading.names or scan_classes(_list(path, reading), read)


def _list(path: Path, reading: Reading) -> LabelFolder:
    return list_labels(Path(path), reading, suffix=".xml", inner=("Annotations",), pictures=("JPEGImages", "images"))


def read_objects(root: Element, *, one_based: bool = False, where: str) -> Iterator[Region]:
    """Read the objects of an annotation; a broken one raises DataError with the object's number."""
    for number, entry in enumerate(root.findall("object"), start=1):
        at = f"{where} object {number}"
        name = " ".join(entry.findtext("name", "").split())
        if not name:
            raise DataError(f"{at} has no name")
        turned = entry.find("robndbox")
        yield Region(_box(entry, one_based, at) if turned is None else _turned(turned, at), name)


def write(samples: Iterable[Sample], out: Path, writing: Writing) -> int:
    """Write Annotations/ with a file an image to the folder `out`; embedded images go to images/ in it."""
    out = Path(out)
    found = list(gather(samples, writing, out=out, name=NAME))
    written: dict[Path, str] = {}
    for answer, _ in found:
        name = str(answer.images[0].path)
        file = label_path(name, ".xml")
        if file in written:
            raise DataError(f"{name} and {written[file]} would share Annotations/{file}: rename one of the images")
        written[file] = name
        write_text(out / "Annotations" / file, _annotation(answer))
    return sum(count for _, count in found)


def _check_size(root: Element, size: tuple[int, int], where: str) -> None:
    """Refuse an annotation of an image of another size."""
    stated = tuple(root.findtext(f"size/{side}", "").strip() for side in ("width", "height"))
    if all(value.isdecimal() and int(value) > 0 for value in stated) and stated != tuple(map(str, size)):
        raise DataError(
            f"{where} states an image of {stated[0]} x {stated[1]} px, and the file has {size[0]} x {size[1]} px: "
            "its boxes are in a frame that is not there"
        )


def _box(entry: Element, one_based: bool, where: str) -> HBB:
    """Read <bndbox>."""
    box = read_box(entry, where)
    return HBB(box.x1 - 1, box.y1 - 1, box.x2, box.y2) if one_based else box


def _turned(entry: Element, where: str) -> Geometry:
    """Read <robndbox>, four corners or centre, sides and angle."""
    if entry.find(_CORNERS[0]) is not None:
        return read_quad(entry, _CORNERS, where)
    values = read_numbers(entry, _TURNED, where)
    if min(values[2:4]) <= 0:
        raise DataError(f"{where} has an oriented box of {values[2]:g} x {values[3]:g} px: expected sides > 0")
    return from_convention(values, "hit_uav")


def _annotation(answer: Answer) -> str:
    """Write the XML of one image."""
    image = answer.images[0]
    root = Element("annotation")
    SubElement(root, "filename").text = Path(str(image.path)).name
    size = SubElement(root, "size")
    for side, value in (("width", image.width), ("height", image.height), ("depth", 3)):
        SubElement(size, side).text = str(value)
    for region in answer.regions:
        entry = SubElement(root, "object")
        SubElement(entry, "name").text = " ".join(region.phrase.split()) or _OBJECT
        SubElement(entry, "difficult").text = "0"
        box = to_hbb(region.geometry)
        _write_numbers(entry, "bndbox", _SIDES, (box.x1, box.y1, box.x2, box.y2))
        if not isinstance(region.geometry, HBB):
            corners = [value for corner in to_quad(region.geometry) for value in corner]
            _write_numbers(entry, "robndbox", _CORNERS, corners)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _write_numbers(parent: Element, name: str, names: Iterable[str], values: Iterable[float]) -> None:
    entry = SubElement(parent, name)
    for key, value in zip(names, values, strict=True):
        SubElement(entry, key).text = f"{value:.2f}".rstrip("0").rstrip(".")


FORMAT: Final = Format(
    name=NAME,
    layout=LAYOUT,
    frame="pixels of the image, xmin, ymin, xmax, ymax as written",
    load=load,
    write=write,
    options=("one_based",),
)
