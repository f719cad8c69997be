"""Who answers the windows of a scan: a model in this process, or any engine of the server."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from serve.errors import RequestError, StoppedError
from serve.scan.findings import Finding, finding_of
from serve.scan.options import ScanOptions
from vlm.errors import NadirError
from vlm.geometry.shapes import Window

if TYPE_CHECKING:
    from serve.engines.engine import Engine
    from vlm.answer import Nadir, Request
    from vlm.raster import Pixels
    from vlm.records import Answer

_POLL_S = 0.2


class GoneError(RequestError):
    """Say that nobody answers any more: the scan stops, and goes on where it was when it is started again."""


class AnswerError(RequestError):
    """Say that an answer broke off or was none: the window is asked again, a few times."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """Hold one window to be asked about: its number, raster, place, what is seen there, and raster pixels per pixel."""

    number: int
    path: str
    window: Window
    pixels: Pixels
    scale: float


class Asker(Protocol):
    """Answer windows; `model` is written beside each feature, `digest` is another for another model.

    `at_once` threads ask at the same time, each with up to `batch` windows of one raster.
    """

    model: str
    digest: str
    at_once: int
    batch: int

    def ask(self, instruction: str, views: Sequence[View], options: ScanOptions) -> list[Finding]:
        """Give the findings of views in their order, regions in pixels of the raster.

        Raises NadirError where it cannot: the views are then asked one by one; AnswerError and RasterError a few times,
        BusyError and RateError until there is room. GoneError ends the scan.
        """
        ...

    def close(self) -> None: ...


class LocalAsker:
    """Ask a Nadir in this process, through the same path as `nadir ask --window`."""

    at_once = 1

    def __init__(self, nadir: Nadir, *, model: str, digest: str, batch: int = 4) -> None:
        self._nadir, self.model, self.digest, self.batch = nadir, model, digest, batch
        self._lock = threading.Lock()

    @classmethod
    def load(cls, folder: Path | None, *, batch: int = 4) -> LocalAsker:
        """Load the model of a directory, the built-in one for None; CheckpointError as Nadir.from_pretrained."""
        from vlm.cli_ask import load_nadir
        from vlm.model_dir import model_dir

        nadir = load_nadir(folder)
        name = "nadir-nano" if folder is None else folder.resolve().name
        return cls(nadir, model=name, digest=digest_of(model_dir(folder)), batch=batch)

    def ask(self, instruction: str, views: Sequence[View], options: ScanOptions) -> list[Finding]:
        """Answer windows of one raster in one batch."""
        processor = self._nadir.processor
        budget = tiles_for(options, processor.tile_px, processor.fit_factor)
        requests = [request_for(instruction, view, options, budget) for view in views]
        with self._lock:
            started = time.perf_counter()
            answers = self._nadir.ask_batch(requests)
            ms = (time.perf_counter() - started) * 1000 / len(views)
        return [finding_of(view.number, answer, ms=ms) for view, answer in zip(views, answers, strict=True)]

    def close(self) -> None:
        """Do nothing: the model goes with the process."""


class EngineAsker:
    """Ask an engine of the server on its own event loop, in the name of an owner whose turn it is among others."""

    batch = 1

    def __init__(self, engine: Engine, loop: asyncio.AbstractEventLoop, *, owner: str, stop: threading.Event) -> None:
        self.model = self.digest = engine.name
        self.at_once = 1
        self._engine, self._loop, self._owner, self._stop = engine, loop, owner, stop

    def ask(self, instruction: str, views: Sequence[View], options: ScanOptions) -> list[Finding]:
        """Answer windows one after the other; StoppedError once the scan is to stop."""
        return [self._ask(request_for(instruction, view, options, options.budget), view) for view in views]

    def close(self) -> None:
        """Do nothing: the engine is the server's."""

    def _ask(self, request: Request, view: View) -> Finding:
        started = time.perf_counter()
        future = asyncio.run_coroutine_threadsafe(self._answer(request), self._loop)
        while True:
            try:
                answer = future.result(timeout=_POLL_S)
            except TimeoutError:
                if not self._stop.is_set():
                    continue
                future.cancel()
                raise StoppedError("the job was stopped") from None
            return finding_of(view.number, answer, ms=(time.perf_counter() - started) * 1000)

    async def _answer(self, request: Request) -> Answer:
        from serve.engines.engine import Prompt
        from vlm.records import Answer

        async with aclosing(self._engine.generate(Prompt(self._owner, request))) as pieces:
            async for piece in pieces:
                if isinstance(piece, Answer):
                    return piece
        raise StoppedError("the answer was stopped before it was whole")


def request_for(instruction: str, view: View, options: ScanOptions, budget: int | None) -> Request:
    """Build the question about one window of a raster."""
    from vlm.answer import Request

    return Request(
        instruction,
        (view.path,),
        task=options.task,
        budget=budget,
        window=view.window,
        bands=options.bands,
        dialect=options.dialect,
        max_new_tokens=options.max_new_tokens,
    )


def tiles_for(options: ScanOptions, tile_px: int, fit_factor: float) -> int:
    """Give the tiles that show a window at its own resolution: the budget, else a thumbnail and a grid of tiles."""
    if options.budget is not None:
        return options.budget
    if options.window_px <= fit_factor * tile_px:
        return 1
    return 1 + (-(-options.window_px // tile_px)) ** 2


def digest_of(folder: Path) -> str:
    """Tell one checkpoint from another by its configuration and the sizes of its weights, without reading these."""
    parts = [(folder / "config.json").read_bytes()]
    parts += [f"{file.name} {file.stat().st_size}".encode() for file in sorted(folder.glob("*.safetensors"))]
    return hashlib.sha256(b"\n".join(parts)).hexdigest()[:16]


def reason_of(error: BaseException) -> str:
    """Give the class of an error and its sentence, as the ledger counts and the journal keeps it."""
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {text}" if not isinstance(error, NadirError) or text else type(error).__name__
