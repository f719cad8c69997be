"""The one path from image and instruction to answer: open, plan, tile, ask, parse, place. Everything else calls this.

    nadir = Nadir.from_pretrained()
    answer = nadir.ask("a.tif", "Where are the ships?")
    answer.to_geojson("ships.geojson")

An answer's regions are in pixels of the original image, whatever window, tile or rendering the model saw.
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import resource
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from vlm.checkpoint import load_checkpoint
from vlm.codecs import escape_braces, parse_text, render_text
from vlm.errors import InstructionError, WindowError
from vlm.geometry import shift, to_hbb
from vlm.geometry.shapes import HBB, OBB, Mask, Polygon, Window
from vlm.grid import Grid
from vlm.model import NadirForConditionalGeneration
from vlm.pair import open_dates
from vlm.processor import NadirProcessor, TiledImage
from vlm.prompts import Message, user_message, with_hint
from vlm.raster import Raster, Rendering, check_seen
from vlm.records import Answer, Cost, Image, Region, Task, TraceStep
from vlm.region_input import parse_region
from vlm.tiling import TokenBudget
from vlm.window import window_from_bbox, window_from_text

_SLOTS: dict[type, str] = {HBB: "box", OBB: "obb", Polygon: "poly", Mask: "seg"}
_MOST_CORNERS = 32
_TURN_OPTIONS = ("task", "regions", "dialect", "max_new_tokens")


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


class Nadir:
    """Answer instructions about imagery with one checkpoint."""

    def __init__(self, model: NadirForConditionalGeneration, processor: NadirProcessor) -> None:
        self.model, self.processor = model.eval(), processor

    @classmethod
    def from_pretrained(
        cls, path: str | Path | None = None, *, dtype: str = "float32", device: str = "cpu", **options: Any
    ) -> Nadir:
        """Load a checkpoint directory; without a path, the built-in nadir-nano.

        `options` go to transformers' from_pretrained, such as attn_implementation="flash_attention_2". Raises
        CheckpointError when the directory has no weights or is not a Nadir checkpoint.
        """
        model, processor = load_checkpoint(path, dtype=dtype, **options)
        nn.Module.to(model, device)
        return cls(model, processor)

    def ask(self, *images_and_instruction: str | Path, **options: Any) -> Answer:
        """Answer an instruction about one image or several dates: `ask("a.tif", "b.tif", "What has changed?")`.

        `options` are the fields of Request. Raises an InputError of vlm.errors for what cannot be asked.
        """
        if len(images_and_instruction) < 2:
            raise InstructionError(
                f"ask got {images_and_instruction}: expected one image or more and then the instruction, such as "
                'ask("a.tif", "Where are the ships?"); ask_text asks without an image'
            )
        *images, instruction = images_and_instruction
        return self.ask_batch([Request(str(instruction), tuple(images), **options)])[0]

    def ask_text(self, instruction: str, **options: Any) -> Answer:
        """Answer an instruction without any image: the blind baseline."""
        return self.ask_batch([Request(instruction, **options)])[0]

    def ask_batch(self, requests: Sequence[Request]) -> list[Answer]:
        """Answer several requests in one batch; a request's answer does not depend on the others."""
        if not requests:
            return []
        started = time.perf_counter()
        views = [self.look(request) for request in requests]
        messages = [[self.message(request, view)] for request, view in zip(requests, views, strict=True)]
        read_ms = (time.perf_counter() - started) * 1000 / len(requests)
        return self.answer(requests, views, messages, read_ms=read_ms)

    def look(self, request: Request) -> View:
        """Read a request's images: open, plan, tile. Several images are dates on the first one's grid."""
        if len(request.images) > self.model.config.max_dates:
            raise InstructionError(
                f"got {len(request.images)} images: this model takes {self.model.config.max_dates} dates at most; "
                "name fewer"
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
        text = with_hint(instruction, request.task, regions=slots)
        return render_text(text, moved, sizes=view.sizes, dialect=self._dialect(request))

    def answer(
        self,
        requests: Sequence[Request],
        views: Sequence[View],
        messages: Sequence[list[Message]],
        *,
        read_ms: float,
        **generation: Any,
    ) -> list[Answer]:
        """Generate, parse and place the answers to conversations whose images are already read.

        `generation` goes to transformers' generate: a streamer, or how to sample; by default nothing is sampled.
        """
        encoded = [self.processor.encode(turns, view.images) for turns, view in zip(messages, views, strict=True)]
        for request, view, prompt in zip(requests, views, encoded, strict=True):
            self._require_room(len(prompt["input_ids"]), request, view)
        batch = self.processor.collate(encoded).to(self.model.device)
        started = time.perf_counter()
        limit = max(request.max_new_tokens for request in requests)
        output = self.model.generate(**batch, **{"max_new_tokens": limit, "do_sample": False} | generation)
        stages = {"read": read_ms, "generate": (time.perf_counter() - started) * 1000 / len(requests)}
        new_ids = output[:, batch["input_ids"].shape[1] :]
        answers = []
        for request, view, prompt, ids in zip(requests, views, encoded, new_ids, strict=True):
            ids = ids[: request.max_new_tokens]
            text = self.processor.tokenizer.decode(ids, skip_special_tokens=True)
            new_tokens = int((ids != self.processor.tokenizer.pad_token_id).sum())
            cost = _cost(view, len(prompt["input_ids"]), new_tokens, stages)
            answers.append(self._placed(request, view, text, cost))
        return answers

    def chat(self, *images: str | Path, **options: Any) -> Chat:
        """Open a conversation about one image or several dates; the images are read once."""
        return Chat(self, Request("-", tuple(images), **options))

    def _require_room(self, prompt_tokens: int, request: Request, view: View) -> None:
        """Raise InstructionError where prompt and answer are longer than what the language model can read."""
        most = getattr(self.model.config.text_config, "max_position_embeddings", None)
        if most is None or prompt_tokens + request.max_new_tokens <= most:
            return
        visual = sum(image.plan.visual_tokens for image in view.images)
        raise InstructionError(
            f"the question has {prompt_tokens} tokens ({visual} of them visual) and the answer may have "
            f"{request.max_new_tokens}: this model reads {most} in all; shorten the conversation, lower the budget or "
            "ask for a shorter answer"
        )

    def _dialect(self, request: Request) -> str:
        return request.dialect or self.model.config.dialect

    def _placed(self, request: Request, view: View, text: str, cost: Cost) -> Answer:
        parsed = parse_text(text, sizes=view.sizes, dialect=self._dialect(request))
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
                partner = _partner(date, index, len(rasters), len(renderings))
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
        renderings, most = raster.renderings(bands, limit=1), self.model.config.max_renderings
        if len(renderings) > most:
            raise InstructionError(
                f"bands {bands!r} name {len(renderings)} renderings: this model takes {most} at most; name fewer"
            )
        return renderings


class Chat:
    """Keep images and turns: each question sees the ones before it, and the images are read once."""

    def __init__(self, nadir: Nadir, request: Request) -> None:
        self._nadir, self._request = nadir, request
        self._view = nadir.look(request)
        self._messages: list[Message] = []
        self.answers: list[Answer] = []

    def ask(self, instruction: str, **options: Any) -> Answer:
        """Ask the next question of the conversation; `options` are task, regions, dialect and max_new_tokens.

        Raises InstructionError for other options: the images are read once, when the conversation begins.
        """
        fixed = [name for name in options if name not in _TURN_OPTIONS]
        if fixed:
            raise InstructionError(
                f"a question of a chat got {', '.join(fixed)}: expected {', '.join(_TURN_OPTIONS)}; how the images are "
                "read is said once, to Nadir.chat"
            )
        request = replace(self._request, instruction=instruction, **options)
        words = self._nadir.words(request, self._view)
        message = {"role": "user", "content": words} if self._messages else self._nadir.message(request, self._view)
        answer = self._nadir.answer([request], [self._view], [[*self._messages, message]], read_ms=0.0)[0]
        self._messages += [message, {"role": "assistant", "content": self._nadir.processor.escape(answer.text)}]
        self.answers.append(answer)
        return answer


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


def _partner(date: int, rendering: int, dates: int, renderings: int) -> int | None:
    """Give the prompt index of the image that a date is compared with: the one before it; for the first, the second."""
    if dates == 1:
        return None
    return (date - 1 if date else 1) * renderings + rendering


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


def _cost(view: View, prompt_tokens: int, new_tokens: int, stages: dict[str, float]) -> Cost:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)
    return Cost(
        tiles=sum(len(image.plan.tiles) for image in view.images),
        visual_tokens=sum(image.plan.visual_tokens for image in view.images),
        prompt_tokens=prompt_tokens,
        new_tokens=new_tokens,
        stage_ms={name: round(value, 1) for name, value in stages.items()},
        peak_rss_mb=round(peak, 1),
    )
