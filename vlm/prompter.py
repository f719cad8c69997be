"""What comes before and after the language model: read a request's images, word it, and place what the model says.

No weights here, so that a server whose model runs elsewhere asks by the same words and reads answers the same way.
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import resource
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from vlm.codecs import escape_braces, parse_text, render_text
from vlm.config import NadirConfig
from vlm.errors import InstructionError, WindowError
from vlm.geometry import shift, to_hbb
from vlm.geometry.shapes import HBB, OBB, Mask, Polygon, Window
from vlm.grid import Grid
from vlm.pair import open_dates
from vlm.processor import NadirProcessor, TiledImage, partner_of
from vlm.prompts import Message, user_message, with_hint
from vlm.raster import Raster, Rendering, check_seen
from vlm.records import Answer, Cost, Image, Region, Task, TraceStep
from vlm.region_input import parse_region
from vlm.tiling import TokenBudget
from vlm.window import window_from_bbox, window_from_text

_SLOTS: dict[type, str] = {HBB: "box", OBB: "obb", Polygon: "poly", Mask: "seg"}
_MOST_CORNERS = 32


@dataclass(frozen=True, slots=True)
class Request:
    """Hold one question: instruction, the paths of its images (dates of one place), and how to look at them.

    `window` (x, y, w, h) is in pixels of the first image, `bbox` is (west, south, east, north) in degrees. `regions`
    are what the instruction speaks about: in pixels of the original image, or as text that region_input.parse_region
    reads ("box:2.29,48.85,2.30,48.86@EPSG:4326", "field.geojson").
    """

    instruction: str
    images: tuple[str | Path, ...] = ()
    task: Task | None = None
    budget: TokenBudget | int | None = None
    window: Window | tuple[int, int, int, int] | None = None
    bbox: tuple[float, float, float, float] | None = None
    bands: str | None = None
    regions: Sequence[Region | str] = ()
    dialect: str | None = None
    max_new_tokens: int = 256


@dataclass(frozen=True, slots=True)
class View:
    """Hold what was read for one request: tiled images, notes, grids (shared, of the files), trace, window."""

    images: tuple[TiledImage, ...] = ()
    notes: tuple[str, ...] = ()
    grids: tuple[Grid, ...] = ()
    file_grids: tuple[Grid, ...] = ()
    trace: tuple[TraceStep, ...] = ()
    window: Window | None = None

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Give the frame (width, height) in pixels of each date: the image, or the window asked for."""
        return [(image.width, image.height) for image in self.images if image.rendering == 0]


class Prompter:
    """Turn requests into what a checkpoint reads, and its text into answers; of the model only its sizes are known."""

    def __init__(self, config: NadirConfig, processor: NadirProcessor) -> None:
        self.config, self.processor = config, processor

    def look(self, request: Request) -> View:
        """Read a request's images: open, plan, tile. Several images are dates on the first one's grid."""
        if len(request.images) > self.config.max_dates:
            raise InstructionError(
                f"got {len(request.images)} images: this model takes {self.config.max_dates} dates at most; name fewer"
            )
        with_hint(request.instruction, request.task)
        with ExitStack() as stack:
            rasters = [stack.enter_context(raster) for raster in open_dates(*request.images)]
            return self._tile(rasters, request) if rasters else View()

    def message(self, request: Request, view: View) -> Message:
        """Build the user message of a first turn: images, notes, escaped instruction and regions."""
        return user_message(self.words(request, view), view.notes, dates=len(view.sizes))

    def words(self, request: Request, view: View) -> str:
        """Render the instruction, its regions and the task's hint as the text that the model reads."""
        moved = tuple(_in_view(region, view) for given in request.regions for region in _regions(given, view))
        slots = " ".join(f"{{{_slot(region)}:{index}}}" for index, region in enumerate(moved))
        instruction = escape_braces(self.processor.escape(request.instruction))
        dialect = self.dialect_of(request)
        other = dialect if dialect != self.config.dialect else None
        text = with_hint(instruction, request.task, regions=slots, dialect=other)
        return render_text(text, moved, sizes=view.sizes, dialect=dialect)

    def require_room(self, prompt_tokens: int, request: Request, view: View) -> None:
        """Raise InstructionError where prompt and answer are longer than what the language model can read."""
        most = getattr(self.config.text_config, "max_position_embeddings", None)
        if most is None or prompt_tokens + request.max_new_tokens <= most:
            return
        visual = sum(image.plan.visual_tokens for image in view.images)
        raise InstructionError(
            f"the question has {prompt_tokens} tokens ({visual} of them visual) and the answer may have "
            f"{request.max_new_tokens}: this model reads {most} in all; shorten the conversation, lower the budget or "
            "ask for a shorter answer"
        )

    def dialect_of(self, request: Request) -> str:
        """Name the dialect of a request: its own, or the model's."""
        return request.dialect or self.config.dialect

    def place(self, request: Request, view: View, text: str, cost: Cost) -> Answer:
        """Read the text of an answer and place its regions in the original images."""
        parsed = parse_text(text, sizes=view.sizes, dialect=self.dialect_of(request))
        regions = tuple(_moved(region, view.window, 1) for region in parsed.regions)
        return Answer(
            parsed.template,
            regions,
            text,
            parsed.issues,
            cost,
            view.trace,
            view.grids,
            request.instruction,
            request.task,
            tuple(Image(path=str(path)) for path in request.images),
            view.window,
            request.bands,
            view.file_grids,
        )

    def _tile(self, rasters: Sequence[Raster], request: Request) -> View:
        first = rasters[0]
        if request.window and request.bbox:
            raise WindowError(f"got both the window {request.window} and the bbox {request.bbox}: give one of them")
        window = _window(request, first)
        budget = TokenBudget(request.budget) if isinstance(request.budget, int) else request.budget
        plan = self.processor.plan(first.width, first.height, budget=budget, window=window)
        images, notes, trace = [], [], []
        for date, raster in enumerate(rasters):
            renderings = self._renderings(raster, request.bands)
            area = window or raster.window
            check_seen(raster, area, [tile.window for tile in plan.tiles], renderings[0], tile_px=plan.tile_px)
            for index, rendering in enumerate(renderings):
                partner = partner_of(date, dates=len(rasters), rendering=index, renderings=len(renderings))
                tiled = self.processor.tile(
                    raster, plan, window=window, rendering=rendering, date=date, rendering_index=index, partner=partner
                )
                images.append(tiled)
                notes.append(self.processor.escape(_note(rendering, len(renderings), request.bands)))
                trace += [TraceStep(date, tile, rendering.name, tile.reason) for tile in plan.tiles]
        grids, file_grids = tuple(raster.grid for raster in rasters), tuple(raster.file_grid for raster in rasters)
        return View(tuple(images), tuple(notes), grids, file_grids, tuple(trace), window)

    def _renderings(self, raster: Raster, bands: str | None) -> tuple[Rendering, ...]:
        """Choose one rendering, or those that are asked for; InstructionError where the model takes fewer."""
        renderings, most = raster.renderings(bands, limit=1), self.config.max_renderings
        if len(renderings) > most:
            raise InstructionError(
                f"bands {bands!r} name {len(renderings)} renderings: this model takes {most} at most; name fewer"
            )
        return renderings


def _window(request: Request, raster: Raster) -> Window | None:
    """Give the window that a request names in pixels or in degrees; WindowError where it is none."""
    if request.window is None:
        return window_from_bbox(raster, request.bbox) if request.bbox else None
    if isinstance(request.window, Window):
        return request.window
    return window_from_text(",".join(map(str, request.window)))


def _regions(given: Region | str, view: View) -> Sequence[Region]:
    """Give a region, or those that a text names on the grid of the images."""
    if isinstance(given, Region):
        return (given,)
    if not view.grids:
        raise InstructionError(f"region {given!r} lies in no image: give an image too")
    return parse_region(given, view.grids[0], images=len(view.sizes))


def _note(rendering: Rendering, renderings: int, asked: str | None) -> str:
    """Say what a rendering shows, unless it is the plain picture that nobody asked to be rendered otherwise."""
    return rendering.sentence.rstrip(".") if renderings > 1 or asked else ""


def _slot(region: Region) -> str:
    """Name the slot that says a region; outlines of very many corners are said as masks, whose text is bounded."""
    geometry = region.geometry
    if isinstance(geometry, Polygon) and sum(map(len, (geometry.exterior, *geometry.holes))) > _MOST_CORNERS:
        return "seg"
    return _SLOTS[type(geometry)]


def _in_view(region: Region, view: View) -> Region:
    """Move a region that a user points at into the frame that the model sees.

    Raises InstructionError where its image is not given, WindowError where the model would not see any of it.
    """
    if not 0 <= region.image < len(view.sizes):
        raise InstructionError(
            f"a region lies in image {region.image + 1}, but the question has {len(view.sizes)}: name another image"
        )
    moved = _moved(region, view.window, -1)
    box, (width, height) = to_hbb(moved.geometry), view.sizes[region.image]
    if box.x2 <= 0 or box.y2 <= 0 or box.x1 >= width or box.y1 >= height:
        frame = view.window or Window(0, 0, width, height)
        raise WindowError(
            f"the region {to_hbb(region.geometry)} lies outside the part that is looked at ({frame}): "
            "give a region inside it, or another window"
        )
    return moved


def _moved(region: Region, window: Window | None, sign: int) -> Region:
    """Move a region into a window's frame (sign -1) or back into the image's (sign 1)."""
    if window is None:
        return region
    return replace(region, geometry=shift(region.geometry, sign * window.x, sign * window.y))


def cost_of(view: View, prompt_tokens: int, new_tokens: int, stages: dict[str, float]) -> Cost:
    """Count what an answer cost, with the most memory that this process has held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)
    return Cost(
        tiles=sum(len(image.plan.tiles) for image in view.images),
        visual_tokens=sum(image.plan.visual_tokens for image in view.images),
        prompt_tokens=prompt_tokens,
        new_tokens=new_tokens,
        stage_ms={name: round(value, 1) for name, value in stages.items()},
        peak_rss_mb=round(peak, 1),
    )
