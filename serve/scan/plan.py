"""Which windows a scan looks at: decided from sizes alone, kept on disk as a line per raster, numbered from 0.

The windows of a raster are spread evenly with at least the overlap that was asked for, and never stick out. They go in
strips across the shorter side, so that what a strip holds stays small however long the raster is.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from serve.scan.faults import faults
from serve.scan.options import ScanOptions
from serve.scan.sources import find_sources
from vlm.dataset import is_remote
from vlm.errors import NadirError, RasterError, WindowError
from vlm.geometry.shapes import Window
from vlm.grid import Grid
from vlm.raster import Raster

_SQUARE_KM_M2 = 1e6


@dataclass(frozen=True, slots=True)
class Target:
    """Hold one raster of a scan and how it is cut: `first` is the number of its first window.

    `scale` is raster pixels per pixel that the model sees; `side` and `overlap` of windows are in raster pixels;
    `stamp` is size and time of a file, so that one that changed is noticed; `left_out` says why it is not scanned.
    """

    path: str
    grid: Grid
    first: int = 0
    scale: float = 1.0
    side: int = 0
    overlap: int = 0
    stamp: tuple[int, int] | None = None
    left_out: str = ""

    @property
    def columns(self) -> int:
        return count_windows(self.grid.width, self.side, self.overlap)

    @property
    def rows(self) -> int:
        return count_windows(self.grid.height, self.side, self.overlap)

    @property
    def windows(self) -> int:
        return 0 if self.left_out else self.columns * self.rows

    @property
    def upright(self) -> bool:
        """Say whether strips go across the width (rows of windows), which is then the shorter side."""
        return self.grid.width <= self.grid.height

    @property
    def per_strip(self) -> int:
        return self.columns if self.upright else self.rows

    @property
    def km2(self) -> float:
        """Give the area of the raster in square kilometres; 0 where it has no place on the map."""
        gsd_m = None if self.left_out else self.grid.gsd_m
        return 0.0 if gsd_m is None else self.grid.width * self.grid.height * gsd_m**2 / _SQUARE_KM_M2

    def window(self, number: int) -> Window:
        """Give a window of the raster by its number in the whole scan."""
        strip, place = divmod(number - self.first, self.per_strip)
        row, column = (strip, place) if self.upright else (place, strip)
        x = offset(column, self.grid.width, self.side, self.columns)
        y = offset(row, self.grid.height, self.side, self.rows)
        return Window(x, y, min(self.side, self.grid.width), min(self.side, self.grid.height))

    def strip_start(self, strip: int) -> int:
        """Give where a strip of windows begins, in pixels along the longer side."""
        length = self.grid.height if self.upright else self.grid.width
        return offset(strip, length, self.side, self.rows if self.upright else self.columns)


@dataclass(frozen=True, slots=True)
class Plan:
    """Sum up a scan: how many rasters and windows, the area, and the CRS of the output (None: pixels)."""

    rasters: int
    left_out: int
    windows: int
    km2: float
    crs: str | None
    notes: tuple[str, ...] = ()


def count_windows(length: int, side: int, overlap: int) -> int:
    """Count the windows that a length needs."""
    return 1 if length <= side else math.ceil((length - overlap) / (side - overlap))


def offset(index: int, length: int, side: int, count: int) -> int:
    """Give where a window begins: the first at 0, the last flush with the end, the others spread evenly."""
    return 0 if count == 1 else round(index * (length - side) / (count - 1))


def write_plan(source: str, options: ScanOptions, file: Path, *, tick: Callable[[int], None] = lambda _: None) -> Plan:
    """Open every raster of a source, write a line for each, and sum up; `tick` hears how many are open so far.

    Raises what find_sources raises, and RasterError where no raster can be scanned, with the reason of the first.
    """
    summary = Plan(0, 0, 0, 0.0, options.crs)
    placed = unplaced = 0
    others: dict[str, int] = {}
    reason = ""
    with file.open("w", encoding="utf-8") as lines:
        for path in find_sources(source, asset=options.asset):
            target = _target(path, options, summary.windows)
            reason = reason or target.left_out
            on_map = target.grid.georeferenced and not target.left_out
            if on_map and summary.crs is None:
                summary = replace(summary, crs=target.grid.crs)
            if on_map and target.grid.crs != summary.crs:
                others[str(target.grid.crs)] = others.get(str(target.grid.crs), 0) + 1
            placed, unplaced = placed + on_map, unplaced + (not on_map and not target.left_out)
            summary = _added(summary, target)
            lines.write(json.dumps(_to_line(target), ensure_ascii=False) + "\n")
            tick(summary.rasters + summary.left_out)
        lines.flush()
        os.fsync(lines.fileno())
    if not summary.windows:
        raise RasterError(f"nothing of {source} can be scanned: {reason}")
    return replace(summary, notes=tuple(_notes(summary, others, placed, unplaced, options)))


def read_targets(file: Path) -> Iterator[Target]:
    """Read the rasters of a plan one by one, those that are left out too."""
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            fields = json.loads(line)
            grid = fields["grid"]
            grid["transform"] = None if grid["transform"] is None else tuple(grid["transform"])
            grid["gcps"] = tuple(tuple(point) for point in grid["gcps"])
            stamp = None if fields["stamp"] is None else tuple(fields["stamp"])
            yield Target(**{**fields, "grid": Grid(**grid), "stamp": stamp})


def require_unchanged(target: Target) -> None:
    """Raise RasterError where a file is another than the one that was planned."""
    if target.stamp != stamp_of(target.path):
        raise RasterError(
            f"{target.path} has changed since the scan began: start again with --fresh, or put the old file back"
        )


def stamp_of(path: str) -> tuple[int, int] | None:
    """Give size and time (nanoseconds) of a file; None for what is no local file."""
    if is_remote(path) or not os.path.isfile(path):
        return None
    facts = os.stat(path)
    return facts.st_size, facts.st_mtime_ns


def _target(path: str, options: ScanOptions, first: int) -> Target:
    """Plan one raster; one that cannot be opened or cut is left out, with the reason."""
    try:
        with Raster.open(path) as raster:
            grid = raster.grid
            raster.renderings(options.bands, limit=1)
        scale = _scale(grid, options, path)
    except faults() as error:
        said = " ".join(str(error).split())
        reason = said if isinstance(error, NadirError) else f"{path} cannot be read as an image ({said})"
        return Target(path, Grid(0, 0), first, left_out=reason)
    side, overlap = round(options.window_px * scale), round(options.overlap_px * scale)
    return Target(path, grid, first, scale, max(1, side), min(overlap, max(0, side - 1)), stamp_of(path))


def _scale(grid: Grid, options: ScanOptions, path: str) -> float:
    if options.gsd_m is None:
        return 1.0
    if grid.gsd_m is None:
        raise WindowError(f"{path} has no georeference, so that --gsd says nothing about it: leave --gsd out")
    return max(1.0, options.gsd_m / grid.gsd_m)


def _added(plan: Plan, target: Target) -> Plan:
    left_out = bool(target.left_out)
    return replace(
        plan,
        rasters=plan.rasters + (not left_out),
        left_out=plan.left_out + left_out,
        windows=plan.windows + target.windows,
        km2=plan.km2 + target.km2,
    )


def _notes(plan: Plan, others: dict[str, int], placed: int, unplaced: int, options: ScanOptions) -> Iterator[str]:
    """Say in sentences what a user should know before the scan runs."""
    if others and options.crs is None:
        yield (
            f"{sum(others.values())} of {plan.rasters} rasters lie in other coordinate systems "
            f"({', '.join(list(others)[:3])}): their features are reprojected to that of the first, {plan.crs}; --crs "
            "names another"
        )
    if unplaced and placed:
        yield (
            f"{unplaced} of {plan.rasters} rasters have no georeference: their features carry pixels (box_px) and no "
            "geometry"
        )
    if plan.left_out:
        yield f"{plan.left_out} files cannot be scanned and are left out: the ledger says why"


def _to_line(target: Target) -> dict[str, Any]:
    return {**asdict(target), "grid": asdict(target.grid)}
