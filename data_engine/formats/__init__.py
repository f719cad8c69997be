"""The formats people have -> samples, and back: one file per format, and the dict of them."""

from __future__ import annotations

from typing import Final

from data_engine.formats import coco, dota_txt, llava_json, qwen_json, refgeo_jsonl, voc, yolo
from data_engine.formats.format import Format, OnError, Reading, Writing
from vlm.errors import DataError

__all__ = ["FORMATS", "Format", "OnError", "Reading", "Writing", "find_format"]

FORMATS: Final[dict[str, Format]] = {
    found.name: found
    for found in (
        llava_json.FORMAT,
        qwen_json.FORMAT,
        refgeo_jsonl.FORMAT,
        coco.FORMAT,
        dota_txt.FORMAT,
        yolo.FORMAT,
        voc.FORMAT,
    )
}


def find_format(name: str) -> Format:
    """Give the format of that name; an unknown name raises DataError that lists the known ones."""
    if name not in FORMATS:
        raise DataError(f"no format {name!r}: known are {', '.join(FORMATS)}")
    return FORMATS[name]
