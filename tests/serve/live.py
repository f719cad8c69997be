"""A real server on a port of its own: uvicorn in a thread, asked over HTTP."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from serve.app.build import build_app
from serve.app.running import build_server
from serve.engines.engine import Engine
from serve.engines.local import LocalEngine
from serve.settings import Limits, Settings
from vlm.answer import Nadir

FREE = Limits(free_bytes=0, asks="100000/minute", uploads="100000/minute", views="100000/minute")


@dataclass(frozen=True)
class Live:
    """Hold where a server listens, its engine, and a client with its key."""

    url: str
    engine: Engine
    http: httpx2.Client
    settings: Settings

    def send(self, path: Path, name: str = "scene.tif") -> str:
        """Send a raster and give its id."""
        response = self.http.post("/v1/rasters", params={"name": name}, content=path.read_bytes())
        assert response.status_code == 201, response.text
        return str(response.json()["id"])


@contextmanager
def live(
    nadir: Nadir, data: Path, *, limits: Limits | None = None, keys: tuple[str, ...] = (), hosts: tuple[str, ...] = ()
) -> Iterator[Live]:
    """Serve a model until the block ends."""
    settings = Settings(data, keys, ("https://map.example.org",), hosts, limits or FREE)
    with serving(LocalEngine(nadir, name="tiny", limits=settings.limits), settings) as running:
        yield running


@contextmanager
def serving(engine: Engine, settings: Settings) -> Iterator[Live]:
    """Serve an engine until the block ends; the client has the first key."""
    server = build_server(build_app(engine, settings), host="127.0.0.1", port=0)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.01)
    url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    headers = {"Authorization": f"Bearer {settings.keys[0]}"} if settings.keys else {}
    try:
        with httpx2.Client(base_url=url, timeout=60, headers=headers, trust_env=False) as http:
            yield Live(url, engine, http, settings)
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive(), "the server did not end"
