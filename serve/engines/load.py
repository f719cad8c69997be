"""Which engine answers: `vllm` where it is installed, else `local`; and how each is loaded from a model directory."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from serve.engines.vllm_command import PYTHON, find_python, read_release, vllm_arguments
from serve.errors import RequestError
from serve.settings import Settings
from vlm.model_dir import model_dir

if TYPE_CHECKING:
    from serve.engines.engine import Engine
    from serve.engines.vllm import Upstream
    from serve.engines.vllm_process import VllmProcess

BUILT_IN_NAME = "nadir-nano"
_MOST_RENDERINGS = 8
Say = Callable[[str], None]


def _hush(_: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True)
class VllmChoice:
    """Say how vLLM is had: addresses of running ones, adapters as NAME=DIR, further arguments of `vllm serve`."""

    upstreams: tuple[str, ...] = ()
    adapters: tuple[str, ...] = ()
    options: str = ""
    say: Say = _hush


def choose_engine(name: str | None, choice: VllmChoice) -> str:
    """Choose an engine where none is named: vllm where it can be had, else local, and say so.

    Raises RequestError for an unknown one, and for options of vLLM that `local` would leave out.
    """
    if name is not None and name not in ENGINES:
        raise RequestError(f"engine {name!r} is unknown: known are {', '.join(ENGINES)}")
    wanted = bool(choice.upstreams or choice.adapters or choice.options)
    if name == "local" and wanted:
        raise RequestError("--upstream, --adapter and --vllm are vLLM's: leave them out, or take --engine vllm")
    if name is not None:
        return name
    if wanted or find_python() is not None:
        return "vllm"
    choice.say(
        "nadir: vLLM is not installed, so the engine is local, which answers one question at a time: "
        f"make setup-vllm, or name its Python by {PYTHON}"
    )
    return "local"


def load_local(model: Path | None, settings: Settings) -> Engine:
    """Load a checkpoint into this process."""
    from vlm.cli_ask import load_nadir  # quiet about progress, refuses a folder before torch is imported

    nadir = load_nadir(model)
    from serve.engines.local import LocalEngine

    return LocalEngine(nadir, name=name_of(model), limits=settings.limits)


def load_vllm(model: Path | None, settings: Settings, choice: VllmChoice | None = None) -> Engine:
    """Start a vLLM with a checkpoint, or use those that run; RequestError where that cannot be, with the reason."""
    choice = choice or VllmChoice()
    folder, adapters = model_dir(model).resolve(), parse_adapters(choice.adapters)
    started = None if choice.upstreams else _start(folder, name_of(model), adapters, settings, choice)
    from serve.engines.vllm import VllmEngine
    from vlm.config import NadirConfig
    from vlm.processor import NadirProcessor
    from vlm.prompter import Prompter

    with ExitStack() as stack:
        if started is not None:
            stack.callback(started.stop)
        prompter = Prompter(NadirConfig.from_pretrained(folder), NadirProcessor.from_pretrained(folder))
        upstreams = [reach_process(started, name_of(model))] if started else [_running(url) for url in choice.upstreams]
        engine = VllmEngine(prompter, upstreams, name=name_of(model), adapters=tuple(adapters), limits=settings.limits)
        stack.pop_all()
    return engine


ENGINES: dict[str, Callable[[Path | None, Settings], Engine]] = {"local": load_local, "vllm": load_vllm}


def name_of(model: Path | None) -> str:
    """Name a model in the API: by its folder."""
    return BUILT_IN_NAME if model is None else model.resolve().name


def parse_adapters(texts: Sequence[str]) -> dict[str, Path]:
    """Read adapters such as "ports=out/ports"; RequestError where one has no name or no folder."""
    found = {}
    for text in texts:
        name, _, folder = text.partition("=")
        if not name or not (Path(folder) / "adapter_config.json").is_file():
            raise RequestError(f"adapter {text!r} is none: expected NAME=DIR, with a folder that training wrote")
        found[name] = Path(folder).resolve()
    return found


def _start(folder: Path, name: str, adapters: dict[str, Path], settings: Settings, choice: VllmChoice) -> VllmProcess:
    """Start a vLLM and wait until it answers."""
    from serve.engines.vllm_process import VllmProcess

    python = find_python()
    if python is None:
        raise RequestError(f"vLLM is not installed: make setup-vllm, name its Python by {PYTHON}, or --engine local")
    release = read_release(python)
    on_cpu = release.endswith("+cpu")
    images = settings.limits.images * _MOST_RENDERINGS
    arguments = vllm_arguments(
        folder, name, on_cpu=on_cpu, images=images, adapters=adapters, more=shlex.split(choice.options)
    )
    choice.say(f"nadir: starting vLLM {release} with {name}; its log is {_log(settings)}")
    process = VllmProcess(python, arguments, log=_log(settings), say=choice.say, on_cpu=on_cpu)
    process.start()
    return process


def _log(settings: Settings) -> Path:
    if settings.data == Path():
        return Path(tempfile.gettempdir()) / f"nadir-vllm-{os.getpid()}.log"
    return settings.data / "vllm.log"


def reach_process(process: VllmProcess, name: str) -> Upstream:
    """Reach a vLLM that was started here."""
    import httpx2

    from serve.engines.vllm import TIMEOUT, Upstream

    transport = httpx2.AsyncHTTPTransport(uds=str(process.socket), limits=httpx2.Limits(max_connections=None))
    return Upstream(httpx2.AsyncClient(transport=transport, base_url="http://vllm", timeout=TIMEOUT), name, process)


def _running(url: str) -> Upstream:
    """Find what a running vLLM serves; RequestError where nothing answers."""
    import httpx2

    from serve.engines.vllm import TIMEOUT, Upstream

    address = url.rstrip("/").removesuffix("/v1")
    try:
        reply = httpx2.get(f"{address}/v1/models", timeout=20, trust_env=False)
        model = str(reply.raise_for_status().json()["data"][0]["id"])
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, LookupError, TypeError) as error:
        raise RequestError(f"no vLLM answers at {url} ({error}): start one, or leave --upstream out") from error
    client = httpx2.AsyncClient(
        base_url=address, timeout=TIMEOUT, trust_env=False, limits=httpx2.Limits(max_connections=None)
    )
    return Upstream(client, model)
