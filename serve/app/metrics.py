"""Counters for Prometheus, of one app: requests, seconds, tokens, the queue and the rasters."""

from __future__ import annotations

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.engines.engine import Engine
from vlm.records import Cost

_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    """Count what one app does; `render` gives Prometheus' text."""

    def __init__(self, engine: Engine, raster_bytes: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter("nadir_requests", "Requests", ("route", "status"), registry=self._registry)
        self._seconds = Histogram(
            "nadir_request_seconds", "Seconds a request", ("route",), buckets=_SECONDS, registry=self._registry
        )
        self._tokens = Counter("nadir_tokens", "Tokens of answers", ("kind",), registry=self._registry)
        gauges = {
            "nadir_waiting": ("Questions that wait", lambda: engine.load().waiting),
            "nadir_running": ("Questions that are being answered", lambda: engine.load().running),
            "nadir_raster_bytes": ("Bytes of all rasters", raster_bytes),
        }
        for name, (words, read) in gauges.items():
            Gauge(name, words, registry=self._registry).set_function(read)

    def count_answer(self, cost: Cost) -> None:
        """Count the tokens of an answer."""
        self._tokens.labels("prompt").inc(cost.prompt_tokens)
        self._tokens.labels("visual").inc(cost.visual_tokens)
        self._tokens.labels("new").inc(cost.new_tokens)

    def count_request(self, route: str, status: int, seconds: float) -> None:
        """Count a request by its route's pattern, so that ids make no series of their own."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def render(self) -> bytes:
        """Render the counters in Prometheus' text format."""
        return generate_latest(self._registry)


class Counted:
    """Count every request that passes, its status and its seconds until the last byte."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and count it when it ends."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def watching(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watching)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.count_request(route, status, time.perf_counter() - started)
