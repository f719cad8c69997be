"""Masks as text: a small grid, row by row, in run lengths.

Nadir writes `x1,y1,x2,y2|N|rows`: the mask's own box on the dialect's grid, then N rows of N cells. A row is its run
lengths, zeros first, `,` between them, the zeros at its end left out (`3,5` is three zeros, five ones, zeros to the
end; an empty row is empty); `;` ends a row, and `*k` says that a row is repeated k times. Whole-image dialects write
`value*count` pairs instead.
"""

from __future__ import annotations

import re
from itertools import groupby

import numpy as np

from vlm.codecs.numbers import SLACK, outward
from vlm.dialects import Dialect, Frame, MaskStyle, mask_grid
from vlm.errors import GeometryError
from vlm.geometry.cells import best_cells, coverage
from vlm.geometry.convert import polygon_area, to_hbb
from vlm.geometry.shapes import HBB, Geometry, Mask, Polygon
from vlm.records import IssueKind

MAX_CELLS = 1024  # a side; larger grids in a text are refused, so that text cannot ask for memory
LARGEST_GRID = 64  # cells a side of a mask that is still written cell by cell
_OWN = re.compile(r"\s*+(-?\d++)[\s,]++(-?\d++)[\s,]++(-?\d++)[\s,]++(-?\d++)\s*+\|\s*+(\d++)\s*+\|(.*)", re.DOTALL)


def encode_mask(geometry: Geometry, dialect: Dialect, frame: Frame, *, cells: int | None = None) -> str:
    """Write a shape as mask text, without the tag; `cells` overrides the number of cells a side."""
    style = _style(dialect)
    if style.frame != "own":
        cols, rows = (cells, cells) if cells and style.frame == "image" else mask_grid(dialect, frame)
        bits = _pool(geometry, HBB(0, 0, frame.width, frame.height), rows, cols, style)
        return write_pairs(bits, last_separator=style.last_separator)
    box = to_hbb(geometry)
    if isinstance(geometry, Mask) and _is_on_grid(geometry, frame) and cells in (None, len(geometry.bits)):
        box, cells = geometry.box, len(geometry.bits)
    cells = cells or style.cells
    x1, x2 = outward(box.x1, box.x2, frame.unit_x, frame.top_x)
    y1, y2 = outward(box.y1, box.y2, frame.unit_y, frame.top_y)
    bits = _pool(geometry, _box((x1, y1, x2, y2), frame), cells, cells, style)
    return f"{x1},{y1},{x2},{y2}|{cells}|{write_runs(bits)}"


def decode_mask(text: str, dialect: Dialect, frame: Frame) -> tuple[Mask, list[IssueKind]]:
    """Read mask text; the notes name what was repaired: "clipped", "reordered", "truncated".

    Raises GeometryError with the reason when the text is no mask.
    """
    style = _style(dialect)
    if style.frame != "own":
        return _decode_whole(text, style, dialect, frame)
    match = _OWN.fullmatch(text)
    if match is None:
        raise GeometryError("a mask reads x1,y1,x2,y2|N|rows")
    *corners, cells = (int(group[:9]) for group in match.groups()[:5])
    if not 0 < cells <= MAX_CELLS:
        raise GeometryError(f"a mask of {cells} x {cells} cells: expected 1 to {MAX_CELLS}")
    x1, y1, x2, y2 = corners
    inside = [min(max(v, 0), top) for v, top in zip(corners, (frame.top_x, frame.top_y) * 2, strict=True)]
    notes: list[IssueKind] = ["clipped"] if inside != corners else []
    notes += ["reordered"] if x2 < x1 or y2 < y1 else []
    ordered = (min(inside[::2]), min(inside[1::2]), max(inside[::2]), max(inside[1::2]))
    bits, row_notes = read_runs(match.group(6), cells)
    return Mask(bits, _box(ordered, frame)), notes + row_notes


def write_runs(bits: np.ndarray) -> str:
    """Write a (n, n) grid as alternating run lengths, equal rows once."""
    rows = [_runs(row) for row in bits]
    return ";".join(f"{row}*{n}" if (n := len(list(same))) > 1 else row for row, same in groupby(rows))


def read_runs(text: str, cells: int) -> tuple[np.ndarray, list[IssueKind]]:
    """Read alternating run lengths into a (cells, cells) grid; missing rows stay empty and are noted."""
    bits = np.zeros((cells, cells), dtype=np.bool_)
    notes: set[IssueKind] = set()
    row = 0
    for part in text.split(";", cells + 1):
        runs, _, times = part.partition("*")
        repeat = max(1, _integer(times, cells + 1)) if times.strip() else 1
        if row + repeat > cells:
            notes.add("clipped")
        line, overrun = _read_row(runs, cells)
        bits[row : row + repeat] = line
        row += repeat
        if overrun:
            notes.add("clipped")
        if row > cells:
            break
    if row < cells:
        notes.add("truncated")
    return bits, sorted(notes)


def write_pairs(bits: np.ndarray, *, last_separator: bool = False) -> str:
    """Write a grid as value*count pairs, `;` between the rows."""
    rows = (",".join(f"{int(value)}*{len(list(run))}" for value, run in groupby(row)) for row in bits.tolist())
    return ";".join(rows) + (";" if last_separator else "")


def read_pairs(text: str) -> np.ndarray:
    """Read rows of value*count pairs (or of plain 0 and 1) into a grid as wide as its widest row."""
    rows = [_read_pairs_row(row) for row in text.strip().removesuffix(";").split(";", MAX_CELLS)[:MAX_CELLS]]
    width = max(map(len, rows))
    if not 0 < width <= MAX_CELLS:
        raise GeometryError(f"a mask row of {width} cells: expected 1 to {MAX_CELLS}")
    bits = np.zeros((len(rows), width), dtype=np.bool_)
    for line, row in zip(bits, rows, strict=True):
        line[: len(row)] = row
    return bits


def _decode_whole(text: str, style: MaskStyle, dialect: Dialect, frame: Frame) -> tuple[Mask, list[IssueKind]]:
    """Read a mask that lies over the whole image; rows missing against the expected grid are added and noted."""
    bits = read_pairs(text)
    cols, rows = mask_grid(dialect, frame)
    if style.frame == "image":
        rows = cols = next((n for n in (16, 32, 64) if n >= bits.shape[1]), bits.shape[1])
    notes: list[IssueKind] = []
    if bits.shape != (rows, cols):
        notes = ["truncated" if bits.shape[0] < rows else "clipped"]
        fitted = np.zeros((rows, cols), dtype=np.bool_)
        common = bits[:rows, :cols]
        fitted[: common.shape[0], : common.shape[1]] = common
        bits = fitted
    return Mask(bits, HBB(0, 0, frame.width, frame.height)), notes


def _is_on_grid(mask: Mask, frame: Frame) -> bool:
    """Say whether a mask is what a text of this dialect holds, so that it is written again as it was."""
    corners = zip((mask.box.x1, mask.box.y1, mask.box.x2, mask.box.y2), (frame.unit_x, frame.unit_y) * 2, strict=True)
    rows, cols = mask.bits.shape
    return rows == cols <= LARGEST_GRID and all(
        abs(value / unit - round(value / unit)) < SLACK for value, unit in corners
    )


def _pool(geometry: Geometry, box: HBB, rows: int, cols: int, style: MaskStyle) -> np.ndarray:
    """Decide each cell of a grid over `box`."""
    cover = coverage(geometry, box=box, rows=rows, cols=cols)
    if style.pooling == "any":
        return cover > 1e-9
    area = polygon_area(geometry) if isinstance(geometry, Polygon) else geometry.area
    return best_cells(cover, area / (box.area / (rows * cols)))


def _runs(row: np.ndarray) -> str:
    """Write one row: run lengths, zeros first, the zeros at the end left out."""
    padded = np.concatenate([[False], row, [False]])
    edges = np.flatnonzero(padded[1:] != padded[:-1])
    return ",".join(map(str, np.diff(edges, prepend=0).tolist()))


def _read_row(text: str, cells: int) -> tuple[np.ndarray, bool]:
    """Read one row of run lengths; true when the runs are longer than the row."""
    line = np.zeros(cells, dtype=np.bool_)
    position, value = 0, False
    for run in re.findall(r"\d++", text)[: cells + 2]:
        length = _integer(run, cells + 1)
        line[position : position + length] = value
        position, value = position + length, not value
    return line, position > cells


def _read_pairs_row(text: str) -> list[bool]:
    """Read one row of value*count pairs."""
    row: list[bool] = []
    for part in text.split(","):
        value, _, count = part.partition("*")
        value = value.strip()
        if value.strip("01 "):
            raise GeometryError(f"a mask row holds 0s and 1s, got {part.strip()[:20]!r}")
        row += [value == "1"] * _integer(count, MAX_CELLS + 1) if count else [c == "1" for c in value if c != " "]
        if len(row) > MAX_CELLS:
            break
    return row


def _integer(text: str, most: int) -> int:
    """Read digits as an integer no larger than `most`."""
    digits = text.strip()[:9]
    if not digits.isdecimal():
        raise GeometryError(f"a mask is written in whole numbers, got {text.strip()[:20]!r}")
    return min(int(digits), most)


def _box(corners: tuple[int, int, int, int], frame: Frame) -> HBB:
    """Place a box in pixels."""
    x1, y1, x2, y2 = corners
    return HBB(x1 * frame.unit_x, y1 * frame.unit_y, x2 * frame.unit_x, y2 * frame.unit_y)


def _style(dialect: Dialect) -> MaskStyle:
    """Give the dialect's mask style or refuse."""
    if dialect.mask is None:
        raise GeometryError(f"the dialect {dialect.name} has no masks")
    return dialect.mask
