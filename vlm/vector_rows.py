"""One row per region: what every vector format writes beside the geometry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, cast

from vlm.errors import OutputError
from vlm.geometry.convert import to_hbb
from vlm.geometry.shapes import HBB, OBB, Mask, Polygon
from vlm.measure import measure
from vlm.records import Answer, Region
from vlm.regrid import move_to_grid

if TYPE_CHECKING:
    from vlm.grid import Grid

KINDS: dict[type, str] = {HBB: "box", OBB: "obb", Polygon: "polygon", Mask: "mask"}


@dataclass(frozen=True, slots=True)
class Row:
    """Hold one region of one answer, the name of its image and its grid (None when the answer carries none).

    `file_grid` is the grid of the image's own file, where that is another one (a date laid on the first one's grid).
    """

    answer: Answer
    region: Region
    image_name: str
    grid: Grid | None
    file_grid: Grid | None = None

    @property
    def map_grid(self) -> Grid | None:
        """Give the grid if it places pixels on the map."""
        return self.grid if self.grid is not None and self.grid.georeferenced else None


def rows_of(answers: Sequence[Answer]) -> Iterator[Row]:
    """Yield every region of every answer."""
    for answer, names in zip(answers, image_names(answers), strict=True):
        for region in answer.regions:
            grid = answer.grids[region.image] if region.image < len(answer.grids) else None
            own = answer.file_grids[region.image] if region.image < len(answer.file_grids) else grid
            yield Row(answer, region, names[region.image], grid, None if own == grid else own)


def in_file(row: Row) -> Row:
    """Give a row in the pixels of its own file; OutputError where the region has no place in it."""
    if row.grid is None or row.file_grid is None:
        return row
    moved = move_to_grid(row.region.geometry, row.grid, row.file_grid)
    if moved is None:
        raise OutputError(
            f"a region ({row.region.phrase or 'without a phrase'}) has no place in the pixels of {row.image_name}, "
            "which was laid on the grid of the first date: expected ground that both show; write GeoJSON instead"
        )
    return replace(row, region=replace(row.region, geometry=moved), grid=row.file_grid, file_grid=None)


def file_grids(answer: Answer) -> tuple[Grid, ...]:
    """Give the grid of each image's own file."""
    return answer.file_grids or answer.grids


def image_names(answers: Sequence[Answer]) -> list[list[str]]:
    """Name the images of each answer by their files, with the folders where two files of other folders share a name.

    Images without a path are called answer<i>-image<j>, counted from 1.
    """
    paths = {PurePosixPath(image.path) for answer in answers for image in answer.images if image.path is not None}
    shared = Counter(path.stem for path in paths)
    names = []
    for number, answer in enumerate(answers, start=1):
        count = max(len(answer.images), len(answer.grids), *(region.image + 1 for region in answer.regions), 0)
        own = [f"answer{number}-image{index + 1}" for index in range(count)]
        for index, image in enumerate(answer.images):
            if image.path is not None:
                path = PurePosixPath(image.path)
                own[index] = path.name if shared[path.stem] == 1 else str(path).lstrip("/")
        names.append(own)
    return names


def properties(row: Row) -> dict[str, Any]:
    """Give a region's attributes: phrase, kind, image, boxes in that file's pixels, measures (on a map), words."""
    own = in_file(row).region.geometry
    box = to_hbb(own)
    values: dict[str, Any] = {
        "phrase": row.region.phrase,
        "kind": KINDS[type(row.region.geometry)],
        "image": row.region.image,
        "image_name": row.image_name,
        "box_px": _rounded(box.x1, box.y1, box.x2, box.y2),
    }
    if isinstance(own, OBB):
        values["obb_px"] = _rounded(own.cx, own.cy, own.w, own.h, own.angle_deg)
    if row.map_grid is not None:
        values |= {name: round(value, 3) for name, value in measured(row).items()}
        if "area_ha" in values:
            values["area_ha"] = round(values["area_m2"] / 1e4, 7)
    return values | {"instruction": row.answer.instruction, "text": row.answer.text or row.answer.template}


def measured(row: Row) -> dict[str, float]:
    """Measure a region on the ground; nothing where it has no place on the map."""
    return {} if row.map_grid is None else cast("dict[str, float]", measure(row.region.geometry, row.map_grid))


def size_of(row: Row, format: str) -> tuple[int, int]:
    """Give the width and height of a row's image in pixels; OutputError when the answer does not know them."""
    if row.grid is None:
        raise OutputError(
            f"{format} needs the size of {row.image_name}, and the answer carries no grid of it: "
            "expected one Grid(width, height) per image in Answer.grids"
        )
    return row.grid.width, row.grid.height


def _rounded(*values: float) -> list[float]:
    return [round(value, 3) for value in values]
