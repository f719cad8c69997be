"""One sample as one row of a Parquet table, and back, exactly.

The columns, as any Parquet reader sees them:

    id, task, source, split, licence    strings
    images          list<{bytes, path}>: one of the two; the layout of datasets.Image, so that
                    `dataset.cast_column("images", List(Image()))` decodes them
    image_facts     list<{width, height, date, sensor, bands, gsd_m, crs}>: null where unknown
    turns           list<{instruction, regions, template, answer_regions, task}>
    a region        {kind, values, shape, runs, phrase, image}, in pixels of the original image:
                    box [x1, y1, x2, y2]; obb [cx, cy, w, h, angle_deg]; polygon [x, y, x, y, ...] with `shape` the
                    points of each ring, the outer one first; mask [x1, y1, x2, y2] with `shape` (rows, cols) and
                    `runs` its run lengths row by row, zeros first

A row holds what a corpus is made of. What only a model's own answer carries (its text, trace, cost, grids) is not kept.
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vlm.errors import DataError, GeometryError
from vlm.geometry.cells import run_lengths
from vlm.geometry.shapes import HBB, OBB, Geometry, Mask, Polygon
from vlm.records import TASKS, Answer, Image, Region, Sample, Turn

if TYPE_CHECKING:
    import pyarrow

Row = dict[str, Any]
SCHEMA_VERSION: Final = 1
"""Rises when a column changes its meaning; stores of another version are refused."""
_MOST_CELLS: Final = 2**31
"""The most cells of a mask, so that a damaged row cannot ask for all memory."""


def arrow_schema() -> pyarrow.Schema:
    """Build the Arrow schema of a shard, with SCHEMA_VERSION in its metadata."""
    import pyarrow as pa

    region = pa.struct(
        {
            "kind": pa.string(),
            "values": pa.list_(pa.float64()),
            "shape": pa.list_(pa.int32()),
            "runs": pa.list_(pa.int32()),
            "phrase": pa.string(),
            "image": pa.int32(),
        }
    )
    facts = pa.struct(
        {
            "width": pa.int32(),
            "height": pa.int32(),
            "date": pa.string(),
            "sensor": pa.string(),
            "bands": pa.list_(pa.string()),
            "gsd_m": pa.float64(),
            "crs": pa.string(),
        }
    )
    turn = pa.struct(
        {
            "instruction": pa.string(),
            "regions": pa.list_(region),
            "template": pa.string(),
            "answer_regions": pa.list_(region),
            "task": pa.string(),
        }
    )
    columns = {name: pa.string() for name in ("id", "task", "source", "split", "licence")} | {
        "images": pa.list_(pa.struct({"bytes": pa.binary(), "path": pa.string()})),
        "image_facts": pa.list_(facts),
        "turns": pa.list_(turn),
    }
    return pa.schema(list(columns.items()), metadata={"nadir.schema": str(SCHEMA_VERSION)})


def sample_to_row(sample: Sample) -> Row:
    """Write a sample as a row of plain values in the layout of `arrow_schema`."""
    return {
        "id": sample.id,
        "task": sample.task,
        "source": sample.source,
        "split": sample.split,
        "licence": sample.licence,
        "images": [{"bytes": image.data, "path": image.path} for image in sample.images],
        "image_facts": [_facts_to_row(image) for image in sample.images],
        "turns": [_turn_to_row(turn) for turn in sample.turns],
    }


def require_text(sample: Sample) -> None:
    """Raise DataError when a text of the sample is no Unicode that a file can hold (a lone surrogate)."""
    turns = [part for turn in sample.turns for part in (turn.instruction, turn.answer.template)]
    phrases = [region.phrase for turn in sample.turns for region in (*turn.regions, *turn.answer.regions)]
    try:
        "".join((sample.id, sample.source, sample.split, sample.licence, *turns, *phrases)).encode()
    except UnicodeEncodeError as error:
        raise DataError(f"sample {sample.id!r} holds text that is no Unicode: {error}") from error


def row_to_sample(row: Row) -> Sample:
    """Read a row back; raises DataError that names the sample when the row is no sample."""
    try:
        images = zip(row["images"], row["image_facts"], strict=True)
        return Sample(
            row["id"],
            tuple(_row_to_image(place, facts) for place, facts in images),
            tuple(_row_to_turn(turn) for turn in row["turns"]),
            row["task"],
            row["source"],
            row["split"],
            row["licence"],
        )
    except (KeyError, TypeError, ValueError, GeometryError) as error:
        raise DataError(
            f"row {row.get('id')!r} is no sample ({type(error).__name__}: {error}): expected the columns of schema "
            f"{SCHEMA_VERSION}"
        ) from error


def geometry_to_row(geometry: Geometry) -> Row:
    """Write a geometry as kind, values, shape and runs (see the module)."""
    if isinstance(geometry, HBB):
        return _geometry_row("box", _corners(geometry))
    if isinstance(geometry, OBB):
        return _geometry_row("obb", [geometry.cx, geometry.cy, geometry.w, geometry.h, geometry.angle_deg])
    if isinstance(geometry, Mask):
        return _geometry_row("mask", _corners(geometry.box), list(geometry.bits.shape), run_lengths(geometry.bits))
    rings = (geometry.exterior, *geometry.holes)
    return _geometry_row("polygon", [v for ring in rings for point in ring for v in point], [len(r) for r in rings])


def row_to_geometry(row: Row) -> Geometry:
    """Read a geometry back; raises GeometryError or ValueError when the row holds none."""
    kind, values, shape = row["kind"], row["values"], row["shape"]
    if kind == "box":
        return HBB(*values)
    if kind == "obb":
        return OBB(*values)
    if kind == "mask":
        return Mask(_fill_runs(row["runs"], *shape), HBB(*values))
    if kind == "polygon":
        points = list(zip(values[0::2], values[1::2], strict=True))
        if sum(shape) != len(points):
            raise GeometryError(f"polygon has {len(points)} points and rings of {shape}: the numbers must add up")
        exterior, *holes = (tuple(points[start:end]) for start, end in pairwise(accumulate(shape, initial=0)))
        return Polygon(exterior, tuple(holes))
    raise GeometryError(f"a region of kind {kind!r}: known are box, obb, polygon, mask")


def _geometry_row(kind: str, values: list[float], shape: list[int] | None = None, runs: list[int] | None = None) -> Row:
    return {"kind": kind, "values": [float(value) for value in values], "shape": shape or [], "runs": runs or []}


def _corners(box: HBB) -> list[float]:
    return [box.x1, box.y1, box.x2, box.y2]


def _fill_runs(runs: list[int], rows: int, cols: int) -> np.ndarray:
    lengths = np.asarray(runs, dtype=np.int64)
    if rows < 1 or cols < 1 or rows * cols > _MOST_CELLS or lengths.min(initial=0) < 0 or lengths.sum() != rows * cols:
        raise GeometryError(f"mask of {rows} x {cols} cells has runs of {lengths.sum()} cells in all: expected as many")
    return np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(rows, cols)


def _facts_to_row(image: Image) -> Row:
    return {
        "width": image.width,
        "height": image.height,
        "date": image.date,
        "sensor": image.sensor,
        "bands": list(image.bands),
        "gsd_m": image.gsd_m,
        "crs": image.crs,
    }


def _row_to_image(place: Row, facts: Row) -> Image:
    return Image(
        path=place["path"],
        data=place["bytes"],
        width=facts["width"],
        height=facts["height"],
        date=facts["date"],
        sensor=facts["sensor"],
        bands=tuple(facts["bands"] or ()),
        gsd_m=facts["gsd_m"],
        crs=facts["crs"],
    )


def _turn_to_row(turn: Turn) -> Row:
    return {
        "instruction": turn.instruction,
        "regions": [_region_to_row(region) for region in turn.regions],
        "template": turn.answer.template,
        "answer_regions": [_region_to_row(region) for region in turn.answer.regions],
        "task": turn.answer.task,
    }


def _row_to_turn(row: Row) -> Turn:
    if row["task"] is not None and row["task"] not in TASKS:
        raise DataError(f"a turn has task {row['task']!r}: known are {', '.join(TASKS)}")
    answer = Answer(row["template"], tuple(map(_row_to_region, row["answer_regions"])), task=row["task"])
    return Turn(row["instruction"], answer, tuple(map(_row_to_region, row["regions"])))


def _region_to_row(region: Region) -> Row:
    return {**geometry_to_row(region.geometry), "phrase": region.phrase, "image": region.image}


def _row_to_region(row: Row) -> Region:
    return Region(row_to_geometry(row), row["phrase"], row["image"])
