"""Who answers a scan, as plain values that also travel to another process: servers, a model here, or an engine here."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from serve.errors import RequestError
from serve.scan.asking import Asker, EngineAsker, LocalAsker, View
from serve.scan.findings import Finding
from serve.scan.options import ScanOptions
from serve.scan.servers import ServersAsker
from serve.settings import Settings

if TYPE_CHECKING:
    from serve.engines.engine import Engine

LOCAL = "local"
_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Who:
    """Name who answers: `servers` where some are named, else the model of a directory (None: built in) by an engine.

    `at_once` windows are under way at each server, or in the engine; None leaves that to its kind.
    """

    model: Path | None = None
    servers: tuple[str, ...] = ()
    key: str | None = None
    served: str | None = None
    engine: str = LOCAL
    at_once: int | None = None

    def build(self) -> Asker:
        """Connect, or load the model; raises as the kind of asker does, RequestError for an unknown engine."""
        if self.servers:
            at_once = self.at_once or _AT_ONCE
            return ServersAsker(self.servers, key=self.key, model=self.served, at_once=at_once)
        if self.engine == LOCAL:
            return LocalAsker.load(self.model, batch=self.at_once or _AT_ONCE)
        return HostedAsker.load(self.model, self.engine, at_once=self.at_once or 4 * _AT_ONCE)


class HostedAsker:
    """Ask an engine of the server without a server: it runs on an event loop in a thread of this process."""

    batch = 1

    def __init__(
        self,
        inner: EngineAsker,
        engine: Engine,
        loop: asyncio.AbstractEventLoop,
        thread: threading.Thread,
        stop: threading.Event,
    ) -> None:
        self.inner, self._engine, self._loop, self._thread, self._stop = inner, engine, loop, thread, stop
        self.model, self.digest, self.at_once = inner.model, inner.digest, inner.at_once

    @classmethod
    def load(cls, model: Path | None, engine: str, *, at_once: int) -> HostedAsker:
        """Load a model into an engine; RequestError for one that is not known here."""
        from serve.cli import ENGINES

        if engine not in ENGINES:
            raise RequestError(f"engine {engine!r} is unknown: known are {', '.join(ENGINES)}")
        return cls.host(ENGINES[engine](model, Settings(Path())), at_once=at_once)

    @classmethod
    def host(cls, engine: Engine, *, at_once: int) -> HostedAsker:
        """Give an engine a loop of its own."""
        loop, stop = asyncio.new_event_loop(), threading.Event()
        thread = threading.Thread(target=loop.run_forever, name="nadir-engine-loop", daemon=True)
        thread.start()
        inner = EngineAsker(engine, loop, owner="scan", stop=stop)
        inner.at_once = at_once
        return cls(inner, engine, loop, thread, stop)

    def ask(self, instruction: str, views: Sequence[View], options: ScanOptions) -> list[Finding]:
        """Answer windows as EngineAsker does."""
        return self.inner.ask(instruction, views, options)

    def close(self) -> None:
        """Stop what runs, free the model and end the loop."""
        self._stop.set()
        asyncio.run_coroutine_threadsafe(self._engine.close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
