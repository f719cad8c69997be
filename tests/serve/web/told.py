"""An engine that says what it is told, so that a test knows every pixel; text becomes geometry as it always does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import ExitStack

from serve.engines.engine import Load, Prompt
from vlm.codecs import parse_text, render_text
from vlm.geometry.shapes import HBB
from vlm.pair import open_dates
from vlm.records import Answer, Cost, Image, Region, TraceStep
from vlm.region_input import parse_region
from vlm.tiling import TokenBudget, plan_tiles

Told = Callable[[Prompt], str]


class ToldEngine:
    """Answer every prompt with the text that `told` gives for it, in pieces of a few letters.

    `{asked}` in a text stands for the boxes of the regions that the question speaks about.
    """

    name = "nadir-told"
    adapters: tuple[str, ...] = ("nadir-told-ships",)

    def __init__(self, told: Told, *, pause_s: float = 0.0) -> None:
        self.told, self.pause_s = told, pause_s
        self.prompts: list[Prompt] = []

    def load(self) -> Load:
        return Load(0, 0)

    async def close(self) -> None:
        return

    async def generate(self, prompt: Prompt) -> AsyncGenerator[str | Answer, None]:
        self.prompts.append(prompt)
        answer = self._answer(prompt)
        for start in range(0, len(answer.text), 6):
            await asyncio.sleep(self.pause_s)
            yield answer.text[start : start + 6]
        yield answer

    def _answer(self, prompt: Prompt) -> Answer:
        request = prompt.request
        with ExitStack() as stack:
            rasters = [stack.enter_context(raster) for raster in open_dates(*request.images)]
            sizes = [(raster.width, raster.height) for raster in rasters]
            grids = tuple(raster.grid for raster in rasters)
        given = [region for text in request.regions for region in parse_region(str(text), grids[0], images=len(grids))]
        asked = render_text(
            " ".join(f"{{box:{number}}}" for number in range(len(given))), tuple(map(boxed, given)), sizes=sizes
        )
        text = self.told(prompt).replace("{asked}", asked)
        parsed = parse_text(text, sizes=sizes)
        width, height = sizes[0]
        plan = plan_tiles(width, height, tile_px=224, tokens_per_tile=36, budget=TokenBudget(5))
        return Answer(
            parsed.template,
            parsed.regions,
            text,
            parsed.issues,
            Cost(len(plan.tiles), plan.visual_tokens, 212, 48, {"read": 38.0, "generate": 412.0}, 1140.0),
            tuple(TraceStep(0, tile, "true", tile.reason) for tile in plan.tiles),
            grids,
            request.instruction,
            request.task,
            tuple(Image(path=str(path)) for path in request.images),
            None,
            request.bands,
            grids,
        )


def boxed(region: Region) -> Region:
    """Give the box of a region."""
    from vlm.geometry.convert import to_hbb

    box = to_hbb(region.geometry)
    return Region(HBB(box.x1, box.y1, box.x2, box.y2), region.phrase, region.image)
