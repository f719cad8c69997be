"""What `nadir serve` does: load an engine, build the app, listen. What can be refused is refused before the model."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from serve.engines.load import ENGINES, VllmChoice, choose_engine, load_vllm
from serve.errors import RequestError
from serve.settings import Settings, parse_limits, require_safe

_WALLS = {"CPL_VSIL_CURL_ALLOWED_FILENAME": "none", "GDAL_SKIP": "GTI WMS WMTS WCS OGCAPI STACIT STACTA PLMOSAIC"}


def run_serve(
    *,
    model: Path | None,
    engine: str | None,
    host: str,
    port: int,
    data: Path,
    keys: Sequence[str],
    origins: Sequence[str],
    image_hosts: Sequence[str],
    roots: Sequence[Path] = (),
    prefixes: Sequence[str] = (),
    limits: Sequence[str] = (),
    upstreams: Sequence[str] = (),
    adapters: Sequence[str] = (),
    vllm: str = "",
    say: Callable[[str], None],
    show: Callable[[str], None],
) -> None:
    """Serve a model until the process is told to end; `say` tells where it is, `show` what happens meanwhile.

    Raises RequestError for an unknown engine, a port that is taken and a server that would be open to everybody,
    CheckpointError for a model that cannot be loaded.
    """
    hosts = tuple(host.lower() for host in image_hosts)
    bounds = parse_limits(limits)
    settings = Settings(data, tuple(keys), tuple(origins), hosts, bounds, tuple(roots), tuple(prefixes))
    require_safe(settings, host)
    choice = VllmChoice(tuple(upstreams), tuple(adapters), vllm, show)
    chosen = choose_engine(engine, choice)
    with _walled(), _listen(host, port) as listener:
        loaded = load_vllm(model, settings, choice) if chosen == "vllm" else ENGINES[chosen](model, settings)
        from serve.app.build import build_app
        from serve.app.running import build_server

        server = build_server(build_app(loaded, settings), host=host, port=port)
        shown = f"[{host}]" if ":" in host else host
        say(f"nadir: {loaded.name} at http://{shown}:{listener.getsockname()[1]} (its API is described at /docs)")
        server.run(sockets=[listener])


@contextmanager
def _walled() -> Iterator[None]:
    """Keep GDAL from the network, and from drivers that reach it, for as long as the server runs."""
    before = {name: os.environ.get(name) for name in _WALLS}
    os.environ.update(_WALLS)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=512)
    except (OSError, OverflowError) as error:
        raise RequestError(
            f"port {port} of {host} cannot be listened on ({error}): choose another with --port"
        ) from error
