"""How a scan looks: the size, overlap and resolution of its windows, and what is asked of each."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass
from typing import Any

from vlm.dialects import get_dialect
from vlm.errors import InstructionError, WindowError
from vlm.prompts import with_hint
from vlm.records import Task

_LEAST_WINDOW_PX, _MOST_WINDOW_PX = 16, 4096
_MOST_OVERLAP = 0.9


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """Say how the windows of a scan are cut and asked.

    `window_px` is a window's side as the model sees it, `overlap` what neighbours share: a share of the side below 1,
    pixels from 1 on. `gsd_m` is metres a pixel at which to look (None: the raster's own), never finer than the raster.
    `budget` is the most tiles of a window (None: as many as its resolution needs). `crs` is that of the output (None:
    that of the first raster), `asset` the key of the STAC asset to read.
    """

    task: Task | None = None
    window_px: int = 512
    overlap: float = 0.2
    gsd_m: float | None = None
    bands: str | None = None
    budget: int | None = None
    dialect: str | None = None
    max_new_tokens: int = 256
    crs: str | None = None
    asset: str | None = None

    def __post_init__(self) -> None:
        if not _LEAST_WINDOW_PX <= self.window_px <= _MOST_WINDOW_PX:
            raise WindowError(
                f"the window is {self.window_px} px wide: expected {_LEAST_WINDOW_PX} to {_MOST_WINDOW_PX}; to look "
                "at more ground, give a coarser --gsd"
            )
        if not (math.isfinite(self.overlap) and 0 <= self.overlap_px <= _MOST_OVERLAP * self.window_px):
            raise WindowError(
                f"the overlap is {self.overlap:g} for windows of {self.window_px} px: expected a share from 0 to "
                f"{_MOST_OVERLAP:g}, or as many pixels"
            )
        if self.gsd_m is not None and not (math.isfinite(self.gsd_m) and self.gsd_m > 0):
            raise WindowError(f"the ground sample distance is {self.gsd_m} m: expected a positive number of metres")
        if self.dialect is not None:
            get_dialect(self.dialect)

    @property
    def overlap_px(self) -> int:
        """Give what neighbouring windows share, in pixels as the model sees them."""
        return round(self.overlap * self.window_px if self.overlap < 1 else self.overlap)

    def to_dict(self) -> dict[str, Any]:
        """Give the options as JSON values: they are part of what a scan is."""
        return asdict(self)


def require_askable(instruction: str, options: ScanOptions) -> None:
    """Raise InstructionError for an empty instruction, an unknown task and a scan that would need two dates."""
    with_hint(instruction, options.task)
    if options.task == "change":
        raise InstructionError("a scan looks at one date, and the task change needs two: ask nadir ask with both dates")


def parse_overlap(text: str) -> float:
    """Read an overlap as typed: "64" (pixels), "0.2" or "20%" (a share of the window); WindowError for others."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*(%|px)?\s*", text)
    if found is None:
        raise WindowError(f"overlap {text!r} cannot be read: expected pixels such as 64, or a share such as 0.2 or 20%")
    value, unit = float(found[1]), found[2]
    if unit == "%":
        return value / 100
    if unit == "px" and 0 < value < 1:
        raise WindowError(f"overlap {text!r} is less than a pixel: expected whole pixels, or a share without a unit")
    return value
