"""The layout of the refer API (RefCOCO's): expressions in a pickle, boxes and masks in a COCO file; rsvg and rrsis_d.

The pickle is a list of references: ref_id, ann_id, image_id, file_name, split and sentences (sent_id, raw, sent). The
COCO file has the annotations: bbox is x, y, width, height in pixels, segmentation run lengths (also as a list of them)
or polygons. A pickle can run any code while it is read: here it may hold plain values only, and is refused otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_engine.sources.source import load_json, require_path
from vlm.errors import DataError
from vlm.geometry.shapes import HBB, Mask, Polygon
from vlm.plain_pickle import load_plain_pickle
from vlm.records import Image


@dataclass(frozen=True, slots=True)
class Reference:
    """Hold one expression: its id, the image file, the words, and the COCO annotation that it names."""

    id: int
    file: str
    text: str
    annotation: dict[str, Any]
    where: str


def list_references(refs: Path, instances: Path, *, split: str, name: str, layout: str) -> Iterator[Reference]:
    """Yield each sentence of the split with its annotation, in the order of the pickle."""
    annotations = _load_annotations(instances, name=name, layout=layout)
    for number, entry in enumerate(_load_pickle(refs, name=name, layout=layout)):
        where = f"{refs} reference {number}"
        if not isinstance(entry, dict) or not {"ann_id", "split", "sentences"} <= entry.keys():
            raise DataError(f"{name}: {where} lacks ann_id, split or sentences: download it again")
        if entry["split"] != split:
            continue
        annotation, file = annotations.get(int(entry["ann_id"]), ({}, None))
        if not annotation:
            raise DataError(f"{name}: {where} has ann_id {entry['ann_id']}, which {instances} does not have")
        for sentence in entry["sentences"]:
            text = str(sentence.get("raw") or sentence.get("sent") or "")
            yield Reference(int(sentence.get("sent_id", number)), str(file), text, annotation, where)


def read_box(reference: Reference) -> HBB:
    """Read the box of a reference in pixels; one without an area raises DataError."""
    values = reference.annotation.get("bbox")
    numbers = isinstance(values, list) and len(values) == 4 and all(isinstance(v, int | float) for v in values)
    if values is None or not numbers or min(values[2:]) <= 0:
        raise DataError(f"{reference.where} has bbox {values!r:.60}: expected x, y, width and height above 0")
    x, y, w, h = (float(value) for value in values)
    return HBB(x, y, x + w, y + h)


def read_outline(reference: Reference, image: Image) -> Mask | Polygon:
    """Read the outline of a reference: a mask of one cell a pixel, or its polygon; DataError where it has none."""
    from data_engine.formats.coco import read_geometry

    if image.width is None or image.height is None:
        raise DataError(f"{reference.where}: the size of its image is not known")
    stated = reference.annotation.get("segmentation")
    alone = isinstance(stated, list) and len(stated) == 1 and isinstance(stated[0], dict)
    entry = {"segmentation": stated[0] if alone and isinstance(stated, list) else stated}
    geometry = read_geometry(entry, (image.width, image.height), where=reference.where)
    assert isinstance(geometry, Mask | Polygon), "without a box in the entry there is nothing else to be"
    return geometry


def _load_annotations(path: Path, *, name: str, layout: str) -> dict[int, tuple[dict[str, Any], str]]:
    """Give (annotation, file name of its image) by annotation id."""
    content = load_json(path, name=name, layout=layout)
    if not isinstance(content, dict) or not all(isinstance(content.get(k), list) for k in ("images", "annotations")):
        raise DataError(f"{name}: {path} has no lists 'images' and 'annotations': expected {layout}")
    try:
        files = {int(image["id"]): str(image["file_name"]) for image in content["images"]}
        return {int(entry["id"]): (entry, files[int(entry["image_id"])]) for entry in content["annotations"]}
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{name}: {path} has an entry without {error}: download it again") from error


def _load_pickle(path: Path, *, name: str, layout: str) -> list[Any]:
    require_path(path, name=name, layout=layout)
    try:
        content = load_plain_pickle(path)
    except DataError as error:
        raise DataError(f"{name}: {error}") from error
    if not isinstance(content, list):
        raise DataError(f"{name}: {path} holds {type(content).__name__}: expected a list of references")
    return content
