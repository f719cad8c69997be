"""refGeo's JSON lines (GeoGround): one referring expression a record, with box, corners and sometimes a mask.

Records: `{"question_id", "image_id", "question", "bbox": [x1, y1, x2, y2], "poly": [[x, y] * 4], "dataset"}`. Images
are <images>/<dataset>/<image_id> or <images>/<image_id>; masks, where there are any, masks/ in the place of images/
with <stem>_<question_id>.png. Some files wrap records over lines, and some images are .png where a record says .jpg:
both are read. `poly` repeats the box for data sets without oriented boxes (only geochat, vrsbench and avvg have real
ones), and is then left aside.
Frame: pixels of the original image. A record becomes one sample for each geometry that it holds: box, oriented box,
mask. The layout of metainfo/ is known from its users (RSCoVLM's loader), since GeoGround published no code.
Written: two decimals of a pixel; only samples that ask for one region, each a record, with width and height added.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from data_engine import generate
from data_engine.formats.chat_records import find_image, sizes_of
from data_engine.formats.format import Format, Reading, Writing, check_regions, read_each, require_file
from data_engine.formats.json_records import Record, read_records
from data_engine.formats.pictures import name_images
from data_engine.formats.record_files import write_records
from data_engine.labels import crop_mask, load_mask
from data_engine.objects import seeded
from data_engine.sources.source import describe_image
from vlm.errors import DataError
from vlm.geometry.convert import to_hbb, to_quad
from vlm.geometry.shapes import HBB, Geometry, Mask, Polygon
from vlm.records import Image, Region, Sample, Turn

NAME: Final = "refgeo_jsonl"
LAYOUT: Final = "JSON lines of records with 'image_id', 'question', 'bbox' and 'poly' (metainfo/*.jsonl)"
_SAME_PX: Final = 1.0  # a poly that stays this close to the box repeats it


def load(path: Path, reading: Reading) -> Iterator[Sample]:
    """Yield the grounding samples of each record, in the order of the file."""
    path = require_file(Path(path), layout=LAYOUT)
    reading = replace(reading, source=reading.source or NAME)

    def make(item: tuple[int, tuple[str, Record]]) -> Iterable[Sample]:
        number, (where, record) = item
        return _samples(record, reading, path, f"{reading.source}/{reading.split}/{path.stem}/{number:08d}", where)

    with closing(read_records(path, reading.on_error)) as records:
        yield from read_each(enumerate(records), make, reading.on_error)


def write(samples: Iterable[Sample], out: Path, writing: Writing) -> int:
    """Write samples to the JSON-lines file `out`; embedded images go to images/ beside it."""
    out = Path(out)

    def make(sample: Sample) -> tuple[Record, ...]:
        return (_record(sample, out, writing),)

    return write_records(read_each(samples, make, writing.on_error), out, lines=True)


def _samples(record: Record, reading: Reading, path: Path, key: str, where: str) -> Iterator[Sample]:
    phrase = record.get("question")
    if not isinstance(phrase, str) or not phrase.strip():
        raise DataError(f"{where} has no question: expected the phrase that names one object")
    phrase = " ".join(re.sub(r"</?(?:ref|p)>", "", phrase).split())
    image, masks = _image(record, reading, path, where)
    assert image.width is not None and image.height is not None
    size = (image.width, image.height)
    stated = (record.get("image_width", size[0]), record.get("image_height", size[1]))
    if stated != size:
        raise DataError(
            f"{where} states an image of {stated[0]} x {stated[1]} px, and the file has {size[0]} x {size[1]}"
        )
    for kind, geometry in _geometries(record, masks, size, where):
        region = Region(geometry, phrase)
        check_regions((region,), (size,), where=where)
        yield _wrap(_ask(kind, phrase, region, f"{key}/{kind}", reading.seed), image, f"{key}/{kind}", reading)


def _ask(kind: str, phrase: str, region: Region, key: str, seed: int) -> Turn:
    """Ask for the region in its kind."""
    rng = seeded(seed, key)
    if kind == "mask":
        return generate.segment(phrase, region, rng)
    return generate.ground(phrase, region, rng, kind="obb" if kind == "obb" else "box")


def _wrap(turn: Turn, image: Image, key: str, reading: Reading) -> Sample:
    return generate.wrap_turn(
        turn,
        sample_id=key,
        images=(image,),
        source=reading.source or NAME,
        split=reading.split,
        licence=reading.licence,
    )


def _image(record: Record, reading: Reading, path: Path, where: str) -> tuple[Image, Path]:
    """Find the image of a record and the place where its mask would lie."""
    name = record.get("image_id")
    if not isinstance(name, str) or not name:
        raise DataError(f"{where} has no image_id: expected a file name")
    data_set = record.get("dataset")
    root = reading.images or next(
        (folder / "images" for folder in (path.parent, path.parent.parent) if (folder / "images").is_dir()), path.parent
    )
    names = (name, f"{Path(name).with_suffix('.png')}") if name.endswith(".jpg") else (name,)
    inner = data_set if isinstance(data_set, str) else None
    for last, candidate in enumerate(names, start=1):
        try:
            found = find_image(candidate, inner, reading=replace(reading, images=root), folder=root, where=where)
            break
        except DataError:
            if last == len(names):
                raise
    stem = f"{Path(name).stem}_{record.get('question_id')}.png"
    masks = root.parent / "masks" / (inner or "") / stem
    return describe_image(found, name=NAME, layout=LAYOUT), masks


def _geometries(record: Record, masks: Path, size: tuple[int, int], where: str) -> Iterator[tuple[str, Geometry]]:
    """Yield the geometries of a record: the box, real oriented corners, the mask file."""
    box = _box(record.get("bbox"), where)
    yield "box", box
    if record.get("poly") is not None:
        quad = _quad(record["poly"], where)
        corners = ((box.x1, box.y1), (box.x2, box.y1), (box.x2, box.y2), (box.x1, box.y2))
        if not all(any(abs(x - a) + abs(y - b) <= _SAME_PX for a, b in quad.exterior) for x, y in corners):
            yield "obb", quad
    if masks.is_file():
        bits = load_mask(masks, threshold=1)
        if bits.shape != (size[1], size[0]):
            raise DataError(
                f"{where}: the mask {masks} has {bits.shape[1]} x {bits.shape[0]} px, not those of the image"
            )
        mask = crop_mask(bits)
        if mask is None:
            raise DataError(f"{where}: the mask {masks} holds nothing")
        yield "mask", mask


def _box(values: Any, where: str) -> HBB:
    if not _is_row(values, 4):
        raise DataError(f"{where} has bbox {values!r:.60}: expected [x1, y1, x2, y2] in pixels")
    x1, y1, x2, y2 = (float(value) for value in values)
    if x2 <= x1 or y2 <= y1:
        raise DataError(f"{where} has bbox {values!r:.60}: expected x1 < x2 and y1 < y2")
    return HBB(x1, y1, x2, y2)


def _quad(values: Any, where: str) -> Polygon:
    if not isinstance(values, list) or len(values) != 4 or not all(_is_row(point, 2) for point in values):
        raise DataError(f"{where} has poly {values!r:.60}: expected four [x, y] in pixels")
    return Polygon(tuple((float(x), float(y)) for x, y in values))


def _is_row(values: Any, count: int) -> bool:
    return isinstance(values, list) and len(values) == count and all(type(value) in (int, float) for value in values)


def _record(sample: Sample, out: Path, writing: Writing) -> Record:
    """Write one sample as a record; DataError when it is no question about one region of one image."""
    regions = [region for turn in sample.turns for region in turn.answer.regions]
    if len(regions) != 1 or len(sample.images) != 1 or not regions[0].phrase.strip():
        raise DataError(
            f"sample {sample.id} has {len(regions)} regions in {len(sample.images)} images: "
            "refGeo files hold one named region of one image a record"
        )
    geometry = regions[0].geometry
    if isinstance(geometry, Mask):
        raise DataError(f"sample {sample.id} answers with a mask, which refGeo files hold as images, not in JSON")
    ((width, height),) = sizes_of(sample.images, where=f"sample {sample.id}")
    box = to_hbb(geometry)
    return {
        "question_id": sample.id,
        "image_id": name_images(sample, out.parent, images=writing.images)[0],
        "question": regions[0].phrase,
        "bbox": [round(value, 2) for value in (box.x1, box.y1, box.x2, box.y2)],
        "poly": [[round(x, 2), round(y, 2)] for x, y in to_quad(geometry)],
        "image_width": width,
        "image_height": height,
    }


FORMAT: Final = Format(name=NAME, layout=LAYOUT, frame="pixels of the original image", load=load, write=write)
