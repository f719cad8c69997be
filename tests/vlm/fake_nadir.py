"""A stand-in for the model: it opens the images as the model does and says the same thing about each of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vlm.geometry.shapes import HBB, OBB, Mask, Window
from vlm.pair import open_dates
from vlm.raster import check_valid
from vlm.records import Answer, Cost, Image, Issue, Region, TraceStep
from vlm.tiling import TokenBudget, plan_tiles

COST = Cost(5, 90, 130, 23, {"read": 31.0, "encode": 212.0, "generate": 634.4}, 812.0)
SHIPS = (
    Region(HBB(10, 20, 50, 40), "ship"),
    Region(OBB(60, 30, 20, 10, 30), "ship"),
    Region(Mask(np.eye(8, dtype=bool), HBB(64, 8, 96, 40)), "wake & foam"),
)


def answer_about(images: tuple[str | Path, ...], instruction: str, window: Window | None = None) -> Answer:
    """Build a full answer about real files: two ships and a mask, one issue, cost, trace and grids."""
    rasters = open_dates(*images)
    trace = []
    for index, raster in enumerate(rasters):
        plan = plan_tiles(
            raster.width, raster.height, tile_px=64, tokens_per_tile=18, budget=TokenBudget(5), window=window
        )
        seen = window or plan.tiles[0].window
        check_valid(raster.read(seen, (64, 64), raster.renderings(None, limit=1)[0]), seen, raster.path)
        trace += [TraceStep(index, tile, "true", tile.reason) for tile in plan.tiles]
        raster.close()
    return Answer(
        "There are two {{ships}}: {box:0,1}, and {ref seg:2}.",
        SHIPS,
        "<box>[[1,2,3,4]]</box>",
        (Issue("truncated", "[[1,2", "a list broke off"),),
        COST,
        tuple(trace),
        tuple(raster.grid for raster in rasters),
        instruction,
        "detect",
        tuple(Image(path=str(image)) for image in images),
        window,
    )


class FakeNadir:
    """Answer like vlm.answer.Nadir, without weights; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[tuple[str, ...], str, dict[str, Any]]] = []

    def ask(self, *words: str, **options: Any) -> Answer:
        *images, instruction = words
        self.asked.append((tuple(images), instruction, options))
        answer = answer_about(tuple(images), instruction, options.get("window"))
        return replace(answer, task=options.get("task"))

    def chat(self, *images: str, **options: Any) -> FakeChat:
        return FakeChat(self, images)


class FakeChat:
    """Keep the images of a conversation."""

    def __init__(self, nadir: FakeNadir, images: tuple[str, ...]) -> None:
        self.nadir, self.images = nadir, images

    def ask(self, instruction: str) -> Answer:
        return self.nadir.ask(*self.images, instruction)
