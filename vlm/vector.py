"""Regions as files that a GIS or a training set reads: one table of formats, one function that writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vlm.errors import OutputError
from vlm.measure import Measures, measure
from vlm.records import Answer
from vlm.vector_geojson import answers_to_geojson, write_geojson
from vlm.vector_labels import write_coco, write_dota, write_yolo, write_yolo_obb, write_yolo_seg
from vlm.vector_table import write_geopackage, write_parquet

__all__ = ["FORMATS", "Measures", "answer_to_geojson", "answers_to_geojson", "measure", "write_answers"]

FORMATS: dict[str, Callable[[Sequence[Answer], Path], Path]] = {
    "geojson": write_geojson,
    "gpkg": write_geopackage,
    "parquet": write_parquet,
    "coco": write_coco,
    "dota": write_dota,
    "yolo": write_yolo,
    "yolo-obb": write_yolo_obb,
    "yolo-seg": write_yolo_seg,
}


def answer_to_geojson(answer: Answer) -> dict[str, Any]:
    """Give one answer as an RFC 7946 FeatureCollection (WGS84), or in pixels, saying so, without georeference."""
    return answers_to_geojson((answer,))


def write_answers(answers: Sequence[Answer], path: Path, *, format: str) -> Path:
    """Write the regions of answers in one of FORMATS and give the path; what exists stays until the new file is whole.

    Images are called by their file names (COCO's file_name, the label files' names). Raises OutputError for an unknown
    format and for a path that cannot be written.
    """
    if format not in FORMATS:
        raise OutputError(f"unknown vector format {format!r}: known are {', '.join(FORMATS)}")
    return FORMATS[format](answers, Path(path))
