"""The app: one engine and one store behind a gate, as an ASGI application that any server can run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import Depends, FastAPI, Response
from starlette.middleware.cors import CORSMiddleware

from serve.app import asking, chat, exports, rasters, tiles
from serve.app import jobs as job_routes
from serve.app.gate import Gate
from serve.app.job_runner import JobRunner
from serve.app.metrics import Counted, Metrics
from serve.app.page import add_page
from serve.app.services import KEY, Services
from serve.app.statuses import add_handlers
from serve.engines.engine import Engine
from serve.settings import Settings
from serve.store.jobs import JobStore
from serve.store.rasters import RasterStore

_SWEEP_S = 60.0
_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"description": words}
    for status, words in {
        400: "What cannot be asked.",
        401: "No key, or an unknown one.",
        404: "No such raster, tile or model.",
        408: "The client stopped before its request was whole.",
        413: "Larger than the server allows.",
        415: "No image format that is served.",
        422: "A request of another shape, or an image that cannot be read so.",
        429: "Too many requests of this key.",
        503: "Too many questions wait, or the disk is full.",
    }.items()
}
_ABOUT = """Ask satellite and aerial imagery; get the answer on the map.

Every refusal is `{"error": {"message", "type", "code"}}`, with one sentence that says what to do."""


def build_app(engine: Engine, settings: Settings) -> FastAPI:
    """Build the app of an engine; its rasters live under `settings.data`."""
    store = RasterStore(settings.data, settings.limits, roots=settings.roots)
    jobs = JobStore(settings.data, settings.limits)
    runner = JobRunner(engine, store, jobs)
    services = Services(engine, store, settings, Metrics(engine, store.bytes_of), jobs, runner)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        sweeping = asyncio.create_task(_sweep(store, jobs))
        runner.start()
        yield
        sweeping.cancel()
        await runner.close()
        await engine.close()

    app = FastAPI(
        title="Nadir",
        version=version("nadir-vlm"),
        description=_ABOUT,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.services = services
    for room in (chat, asking, exports, rasters, job_routes, tiles):
        app.include_router(room.router, dependencies=[Depends(KEY)], responses=_REFUSALS)
    _add_watching(app, services)
    add_page(app)
    add_handlers(app, hidden=store.hidden)
    app.add_middleware(Gate, settings=settings)
    app.add_middleware(Counted, metrics=services.metrics)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=list(settings.origins),
        allow_methods=["*"],
        allow_headers=["*"],
        max_age=3600,
        expose_headers=["Retry-After"],
    )
    return app


def _add_watching(app: FastAPI, services: Services) -> None:
    """Add /health and /metrics, which need no key."""

    async def health() -> dict[str, Any]:
        """Say that the server answers, and how many questions wait."""
        load = services.engine.load()
        return {"status": "ok", "model": services.engine.name, "waiting": load.waiting, "running": load.running}

    async def metrics() -> Response:
        """Give the counters in Prometheus' text format."""
        return Response(services.metrics.render(), media_type="text/plain; version=0.0.4")

    app.get("/health", tags=["Server"])(health)
    app.get("/metrics", tags=["Server"], response_class=Response)(metrics)


async def _sweep(store: RasterStore, jobs: JobStore) -> None:
    """Delete expired rasters and jobs, every minute."""
    while True:
        await asyncio.sleep(_SWEEP_S)
        await asyncio.to_thread(store.sweep)
        await asyncio.to_thread(jobs.sweep)
