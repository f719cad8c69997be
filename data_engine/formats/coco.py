"""COCO: one JSON file with `images`, `categories` and `annotations`.

Frame: pixels of the image, origin at its top-left corner. `bbox` is [x, y, width, height]; `segmentation` is a list of
polygons (an object of several parts has several), or run lengths down the columns: `{"size": [height, width],
"counts": list or string}` (https://cocodataset.org/#format-data). Read, an object is its polygon; several polygons or
run lengths become a mask of one cell a pixel, as pycocotools rasterises them; a segmentation that only repeats the box,
or an empty one, leaves the box. `iscrowd: 1` marks a group: it is no object, and makes its class doubtful.
Written (vlm.vector_labels), polygons and boxes keep two decimals of a pixel, masks with holes become run lengths.
An image whose file has another size than the JSON states is refused, since its numbers are in another frame.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeGuard

import numpy as np

from data_engine.formats.chat_records import find_image
from data_engine.formats.format import Format, Reading, Writing, check_regions, read_each, require_file
from data_engine.formats.labelled import Labelled, gather, load_samples
from data_engine.labels import crop_mask
from data_engine.sources.source import describe_image
from vlm.coco_runs import read_coco_runs
from vlm.errors import DataError
from vlm.geometry.shapes import HBB, Geometry, Polygon
from vlm.output import write_text
from vlm.records import Region, Sample
from vlm.vector_labels import answers_to_coco
from vlm.vector_rows import image_names

NAME: Final = "coco"
LAYOUT: Final = "one JSON file with 'images', 'categories' and 'annotations'"
_BOX_TOLERANCE_PX: Final = 0.02
Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class CocoFile:
    """Hold the lists of a file, and the class name of each category id."""

    path: Path
    images: list[Entry]
    annotations: list[Any]
    names: dict[Any, str]

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.names.values()))


def load(path: Path, reading: Reading) -> Iterator[Sample]:
    """Yield one sample an image: a detection of all classes (labelled.load_samples)."""
    file = load_file(path)
    yield from load_samples(read_labels(file, reading), reading.names or file.classes, reading, name=NAME)


def load_file(path: Path) -> CocoFile:
    """Read a file; DataError when it is no JSON, or its three lists are not there."""
    path = require_file(Path(path), layout=LAYOUT)
    content = _load(path)
    names = {}
    for entry in content["categories"]:
        if not isinstance(entry, dict) or "id" not in entry or not str(entry.get("name", "")).strip():
            raise DataError(f"{path} has the category {entry!r:.60}: expected an id and a name")
        names[entry["id"]] = " ".join(str(entry["name"]).split())
    return CocoFile(path, content["images"], content["annotations"], names)


def read_labels(file: CocoFile, reading: Reading) -> Iterator[Labelled]:
    """Yield each image with its objects, in the order of `images`; a bad annotation leaves its image out."""
    by_image: dict[Any, list[Entry]] = {entry.get("id"): [] for entry in file.images}
    for entry in file.annotations:
        if isinstance(entry, dict) and entry.get("image_id") in by_image:
            by_image[entry["image_id"]].append(entry)
        else:
            reading.on_error(DataError(f"{file.path} has the annotation {entry!r:.60}, whose image is not listed"))

    def make(record: Entry) -> tuple[Labelled, ...]:
        return (_labelled(record, by_image[record.get("id")], file, reading),)

    yield from read_each(file.images, make, reading.on_error)


def write(samples: Iterable[Sample], out: Path, writing: Writing) -> int:
    """Write the objects of samples to the file `out`; embedded images go to images/ beside it."""
    out = Path(out)
    found = list(gather(samples, writing, out=out.parent, name=NAME))
    answers = [answer for answer, _ in found]
    content = answers_to_coco(answers)
    called = {names[0]: answer.images[0].path for names, answer in zip(image_names(answers), answers, strict=True)}
    for image in content["images"]:
        image["file_name"] = called[image["file_name"]]
    write_text(out, json.dumps(content, ensure_ascii=False) + "\n")
    return sum(count for _, count in found)


def _load(path: Path) -> Entry:
    """Read the file and check that its three lists are there."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not valid JSON ({error}): download or unpack it again") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}): name a COCO file, not a folder") from error
    for key in ("images", "categories", "annotations"):
        entries = content.get(key) if isinstance(content, dict) else None
        if not isinstance(entries, list) or (key == "images" and not all(isinstance(one, dict) for one in entries)):
            raise DataError(f"{path} has no list {key!r} of objects: expected {LAYOUT}")
    return dict(content)


def _labelled(record: Entry, annotations: list[Entry], file: CocoFile, reading: Reading) -> Labelled:
    """Read one image with its annotations."""
    where, names = f"{file.path} image {record.get('id')!r}", file.names
    name = record.get("file_name")
    if not isinstance(name, str) or not name:
        raise DataError(f"{where} has no file_name")
    picture = find_image(name, None, reading=reading, folder=file.path.parent, where=where)
    image = describe_image(picture, name=NAME, layout=LAYOUT)
    assert image.width is not None and image.height is not None
    size = (image.width, image.height)
    stated = (record.get("width", size[0]), record.get("height", size[1]))
    if stated != size:
        raise DataError(f"{where} is stated as {stated[0]} x {stated[1]} px, and {name} has {size[0]} x {size[1]} px")
    regions, groups = [], []
    for entry in annotations:
        at = f"{where} annotation {entry.get('id')!r}"
        if entry.get("category_id") not in names:
            raise DataError(
                f"{at} has category_id {entry.get('category_id')!r}: known are {', '.join(map(str, names))}"
            )
        phrase = names[entry["category_id"]]
        if entry.get("iscrowd"):
            groups.append(phrase)
            continue
        region = Region(read_geometry(entry, size, where=at), phrase)
        check_regions((region,), (size,), where=at)
        regions.append(region)
    return Labelled(Path(name).with_suffix("").as_posix(), image, tuple(regions), tuple(dict.fromkeys(groups)))


def read_geometry(entry: Entry, size: tuple[int, int], *, where: str) -> Geometry:
    """Read the geometry of an annotation in an image of (width, height) pixels."""
    segmentation = entry.get("segmentation")
    if isinstance(segmentation, dict):
        return _from_runs(segmentation, size, where)
    parts = segmentation if isinstance(segmentation, list) else []
    polygons = [_polygon(part, where) for part in parts if part]
    if len(polygons) > 1:
        return _from_polygons(parts, size, where)
    box = _box(entry.get("bbox"), where) if entry.get("bbox") is not None or not polygons else None
    if polygons and (box is None or not _is_box(polygons[0], box)):
        return polygons[0]
    assert box is not None
    return box


def _box(values: Any, where: str) -> HBB:
    """Read [x, y, width, height]."""
    if not _is_numbers(values) or len(values) != 4 or min(values[2:]) <= 0:
        raise DataError(f"{where} has bbox {values!r:.60}: expected [x, y, width, height] with both sides > 0")
    x, y, w, h = (float(value) for value in values)
    return HBB(x, y, x + w, y + h)


def _polygon(values: Any, where: str) -> Polygon:
    """Read [x1, y1, x2, y2, ...]."""
    if not _is_numbers(values) or len(values) < 6 or len(values) % 2:
        raise DataError(f"{where} has the polygon {values!r:.60}: expected x, y of at least three points")
    points = [(float(x), float(y)) for x, y in zip(values[::2], values[1::2], strict=True)]
    if len(points) > 3 and points[0] == points[-1]:
        points.pop()
    return Polygon(tuple(points))


def _is_numbers(values: Any) -> TypeGuard[list[float]]:
    return isinstance(values, list) and all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in values
    )


def _is_box(polygon: Polygon, box: HBB) -> bool:
    """Say whether a polygon only repeats the box, corner by corner."""
    corners = ((box.x1, box.y1), (box.x2, box.y1), (box.x2, box.y2), (box.x1, box.y2))
    return len(polygon.exterior) == 4 and all(
        any(max(abs(x - a), abs(y - b)) <= _BOX_TOLERANCE_PX for a, b in polygon.exterior) for x, y in corners
    )


def _from_polygons(parts: list[Any], size: tuple[int, int], where: str) -> Geometry:
    """Rasterise an object of several polygons."""
    from pycocotools import mask as coco_mask

    width, height = size
    runs = coco_mask.merge(coco_mask.frPyObjects([part for part in parts if part], height, width))
    return _crop(coco_mask.decode(runs), where)


def _from_runs(runs: Entry, size: tuple[int, int], where: str) -> Geometry:
    """Read run lengths down the columns, zeros first, as a list or packed into a string."""
    width, height = size
    if runs.get("size") != [height, width]:
        raise DataError(f"{where} has run lengths of size {runs.get('size')}: expected [{height}, {width}]")
    return _crop(read_coco_runs(runs, where=where), where)


def _crop(bits: np.ndarray, where: str) -> Geometry:
    mask = crop_mask(bits.astype(bool))
    if mask is None:
        raise DataError(f"{where} has a segmentation without a single pixel")
    return mask


FORMAT: Final = Format(
    name=NAME,
    layout=LAYOUT,
    frame="pixels of the image, origin at the top-left corner; bbox is x, y, width, height",
    load=load,
    write=write,
)
