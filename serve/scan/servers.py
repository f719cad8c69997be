"""Windows answered by servers: Nadir's own or any that speaks OpenAI's chat completions, one or many.

A window is read here, at the resolution that was asked for, and goes as a PNG; so a raster of any size stays where it
is. Each window goes to the server that has the fewest of them; one that fails rests for a while.
"""

from __future__ import annotations

import base64
import hashlib
import io
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx2

from serve.errors import BusyError, RequestError
from serve.scan.asking import AnswerError, GoneError, View
from serve.scan.findings import Finding, finding_of
from serve.scan.options import ScanOptions
from vlm.codecs import parse_text
from vlm.geometry import scale, shift
from vlm.prompts import with_hint
from vlm.records import Answer, Cost, Region

_TIMEOUT_S, _FIRST_REST_S, _MOST_REST_S = 300.0, 0.25, 30.0
_FULL = frozenset({408, 409, 425, 429, 503})
_HOPELESS = frozenset({401, 403, 404})


@dataclass(slots=True)
class _Server:
    """Hold one server: its address, the model it serves, whether it is a Nadir, and how it does."""

    url: str
    model: str = ""
    nadir: bool = False
    open: int = 0
    faults: int = 0
    rests_until: float = 0.0


class ServersAsker:
    """Ask one or many servers; `at_once` windows of each are under way. GoneError when none answers in `patience_s`."""

    batch = 1

    def __init__(
        self,
        urls: Sequence[str],
        *,
        key: str | None = None,
        model: str | None = None,
        at_once: int = 4,
        patience_s: float = 120.0,
        timeout_s: float = _TIMEOUT_S,
    ) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        bounds = httpx2.Limits(max_connections=at_once * len(urls), max_keepalive_connections=at_once * len(urls))
        self._servers = [_Server(_base(url)) for url in urls]
        self._http = httpx2.Client(headers=headers, timeout=timeout_s, limits=bounds)
        self._patience_s, self._lock = patience_s, threading.Lock()
        self._answered_at: float | None = None
        try:
            for server in self._servers:
                self._greet(server, model)
        except RequestError:
            self._http.close()
            raise
        self.model = self._servers[0].model
        self.digest = hashlib.sha256(" ".join(sorted({s.model for s in self._servers})).encode()).hexdigest()[:16]
        self.at_once = at_once * len(urls)

    def ask(self, instruction: str, views: Sequence[View], options: ScanOptions) -> list[Finding]:
        """Answer windows, one request each.

        Raises BusyError where a server is away or full, AnswerError where it fails, RequestError where it refuses.
        """
        return [self._ask(instruction, view, options) for view in views]

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _ask(self, instruction: str, view: View, options: ScanOptions) -> Finding:
        server = self._take()
        started = time.perf_counter()
        try:
            reply = self._send(server, self._body(server, instruction, view, options))
        finally:
            with self._lock:
                server.open -= 1
        answer = answer_of(reply, view, options)
        return finding_of(view.number, answer, ms=(time.perf_counter() - started) * 1000)

    def _take(self) -> _Server:
        """Choose the server with the fewest open windows among those that do not rest; wait where all rest."""
        while True:
            with self._lock:
                now = time.monotonic()
                self._answered_at = self._answered_at or now
                awake = [server for server in self._servers if server.rests_until <= now]
                if awake:
                    chosen = min(awake, key=lambda server: server.open)
                    chosen.open += 1
                    return chosen
                wakes = min(server.rests_until for server in self._servers)
                silent_s = now - self._answered_at
            if silent_s > self._patience_s:
                names = ", ".join(server.url for server in self._servers)
                raise GoneError(
                    f"no server has answered for {silent_s:.0f} s ({names}): what was answered is kept; see that they "
                    "run, and give the same command again"
                )
            time.sleep(min(1.0, max(0.01, wakes - now)))

    def _send(self, server: _Server, body: dict[str, Any]) -> dict[str, Any]:
        try:
            response = self._http.post(f"{server.url}/chat/completions", json=body)
            content = response.json() if response.is_success else None
        except httpx2.ConnectError as error:
            raise BusyError(self._rest(server, f"cannot be reached: {error}")) from error
        except (httpx2.HTTPError, ValueError) as error:
            raise AnswerError(self._rest(server, f"{type(error).__name__} {error}".strip())) from error
        if isinstance(content, dict) and _text(content) is not None:
            with self._lock:
                server.faults, self._answered_at = 0, time.monotonic()
            return content
        said = f"{response.status_code} {_sentence(response)}"
        if response.status_code in _HOPELESS:
            raise GoneError(f"{server.url} refuses every question ({said}): see --key and --model")
        if response.status_code in _FULL:
            raise BusyError(self._rest(server, said, wait_s=_seconds(response.headers.get("retry-after"))))
        if response.status_code >= 500 or response.is_success:
            raise AnswerError(self._rest(server, said))
        with self._lock:
            self._answered_at = time.monotonic()
        raise RequestError(f"{server.url} refuses a window ({said})")

    def _rest(self, server: _Server, why: str, *, wait_s: float | None = None) -> str:
        """Let a server rest, longer each time, and say why."""
        with self._lock:
            server.faults += 1
            pause = wait_s if wait_s is not None else _FIRST_REST_S * 2 ** min(server.faults, 7)
            server.rests_until = time.monotonic() + min(_MOST_REST_S, pause)
        return f"{server.url} gave no answer ({why})"

    def _body(self, server: _Server, instruction: str, view: View, options: ScanOptions) -> dict[str, Any]:
        text = instruction if server.nadir else with_hint(instruction, options.task)
        content = [
            {"type": "image_url", "image_url": {"url": picture_of(view)}},
            {"type": "text", "text": text},
        ]
        body: dict[str, Any] = {
            "model": server.model,
            "messages": [{"role": "user", "content": content}],
            "max_tokens": options.max_new_tokens,
            "temperature": 0,
        }
        if server.nadir:
            asked = {"task": options.task, "budget": options.budget, "dialect": options.dialect}
            body["nadir"] = {name: value for name, value in asked.items() if value is not None}
        return body

    def _greet(self, server: _Server, model: str | None) -> None:
        """Ask which model a server has; RequestError where it does not answer so."""
        try:
            response = self._http.get(f"{server.url}/models")
            rows = response.json()["data"] if response.is_success else []
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, LookupError, TypeError) as error:
            raise RequestError(f"{server.url} cannot be asked ({error}): see that a server runs there") from error
        if not response.is_success:
            raise RequestError(f"{server.url} answers {response.status_code} {_sentence(response)}: see --key")
        found = {str(row.get("id")): row for row in rows if isinstance(row, dict)}
        if not found or (model is not None and model not in found):
            raise RequestError(f"{server.url} does not serve {model or 'any model'}: it serves {', '.join(found)}")
        server.model = model or next(iter(found))
        server.nadir = found[server.model].get("owned_by") == "nadir"


def picture_of(view: View) -> str:
    """Write what is seen of a window as a data URL; what is no data is transparent."""
    import numpy as np
    from PIL import Image

    pixels = view.pixels.rgb
    if not view.pixels.valid.all():
        alpha = np.where(view.pixels.valid, 255, 0).astype(np.uint8)
        pixels = np.dstack([pixels, alpha])
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def answer_of(reply: dict[str, Any], view: View, options: ScanOptions) -> Answer:
    """Read a chat completion about the picture of a window: regions in pixels of the raster."""
    height, width = view.pixels.valid.shape
    text = _text(reply) or ""
    parsed = parse_text(text, sizes=[(width, height)], dialect=options.dialect or "nadir")
    regions = tuple(
        Region(_in_raster(region, view, (width, height)), region.phrase)
        for region in parsed.regions
        if not region.image
    )
    usage = reply.get("usage") or {}
    prompt, new = (int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens"))
    cost = Cost(0, 0, prompt, new, {}, 0.0)
    return Answer(parsed.template, regions, text, parsed.issues, cost)


def _in_raster(region: Region, view: View, size: tuple[int, int]) -> Any:
    window = view.window
    return shift(scale(region.geometry, window.w / size[0], window.h / size[1]), window.x, window.y)


def _text(reply: dict[str, Any]) -> str | None:
    try:
        content = reply["choices"][0]["message"]["content"]
    except (LookupError, TypeError):
        return None
    return content if isinstance(content, str) else ""


def _base(url: str) -> str:
    base = url.rstrip("/")
    if not base.startswith(("http://", "https://")):
        raise RequestError(f"server {url!r} is no address: expected such as http://127.0.0.1:8000")
    return base if base.endswith("/v1") else f"{base}/v1"


def _sentence(response: httpx2.Response) -> str:
    try:
        return str(response.json()["error"]["message"])[:200]
    except (ValueError, LookupError, TypeError):
        return response.text[:100]


def _seconds(header: str | None) -> float | None:
    return float(header) if header is not None and header.isdecimal() else None
