"""One OpenAI-compatible endpoint: a chat completion, asked again while the endpoint is busy, broken or away.

    429, 408, 409, 425, 5xx, time-outs, broken connections, bodies that are cut off    asked again, `attempts` times
    401, 403, 404, and no answer in all attempts                                       EndpointError: the run stops
    other refusals of one request (400, 413, 422)                                      Reply with the refusal, no text

The wait doubles from `first_wait_s` to `most_wait_s`, less a random part; Retry-After in seconds is obeyed.
"""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass
from typing import Any, Final

import httpx2

from vlm.errors import InputError

Body = dict[str, Any]
_AGAIN: Final = frozenset({408, 409, 425, 429})
_HOPELESS: Final = {
    401: "refuses the key: set the environment variable that --key-from names",
    403: "forbids this key the model: ask for access, or take another model",
    404: "knows no such model or path: give the address that ends in /v1, and after a # a model that it serves",
}
_MOST_ASKED_S: Final = 600.0


class EndpointError(InputError):
    """Say why an endpoint gives no answers; what it has answered so far is kept."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Hold where an endpoint is, the model asked there, its key, and how patiently it is asked (seconds)."""

    url: str
    model: str
    key: str | None = None
    timeout_s: float = 300.0
    attempts: int = 8
    first_wait_s: float = 1.0
    most_wait_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Reply:
    """Hold the text of an answer, what was thought aloud before it, and the refusal where there is one."""

    text: str
    thought: str = ""
    refusal: str = ""
    prompt_tokens: int = 0
    new_tokens: int = 0
    cut: bool = False


class Client:
    """Ask one endpoint from several threads; closing it ends the waits."""

    def __init__(self, endpoint: Endpoint, *, connections: int) -> None:
        headers = {"Authorization": f"Bearer {endpoint.key}"} if endpoint.key else {}
        limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
        self._http = httpx2.Client(headers=headers, timeout=endpoint.timeout_s, limits=limits)
        self._endpoint, self._closed = endpoint, threading.Event()

    def complete(self, body: Body) -> Reply:
        """Send a chat completion until it is answered or refused; raises EndpointError where nothing helps."""
        content = self._send("POST", "chat/completions", body)
        return Reply("", refusal=content) if isinstance(content, str) else parse_reply(content)

    def list_models(self) -> list[str]:
        """Ask which models are served; raises EndpointError."""
        content = self._send("GET", "models")
        rows = content.get("data", []) if isinstance(content, dict) else []
        return [str(row["id"]) for row in rows if isinstance(row, dict) and "id" in row]

    def close(self) -> None:
        """End the waits and close the connections."""
        self._closed.set()
        self._http.close()

    def _send(self, method: str, path: str, body: Body | None = None) -> Any:
        """Give the JSON of an answer, or a refusal as words."""
        address = f"{self._endpoint.url.rstrip('/')}/{path}"
        rng, last = random.Random(str(body)), ""
        for attempt in range(self._endpoint.attempts):
            if self._closed.is_set():
                raise EndpointError(f"{address} is not asked any more: the run was stopped")
            asked_wait_s = None
            try:
                response = self._http.request(method, address, json=body)
                if response.status_code == 200:
                    return _whole(response.json())
                last = f"{response.status_code} {_reason(response)}"
                if response.status_code not in _AGAIN and response.status_code < 500:
                    return _require_hope(address, response.status_code, last)
                asked_wait_s = _parse_seconds(response.headers.get("retry-after"))
            except httpx2.TransportError as error:
                last = f"{type(error).__name__} {error}".strip()
            except ValueError as error:
                last = f"an answer that is no whole JSON ({error})"
            if attempt + 1 < self._endpoint.attempts:
                self._closed.wait(asked_wait_s or self._wait_s(attempt, rng))
        raise EndpointError(
            f"{address} gave no answer in {self._endpoint.attempts} attempts ({last}): what it answered is kept; see "
            "that it runs, and start again"
        )

    def _wait_s(self, attempt: int, rng: random.Random) -> float:
        wait_s = min(self._endpoint.most_wait_s, self._endpoint.first_wait_s * 2**attempt)
        return wait_s * (0.5 + rng.random() / 2)


def parse_reply(content: Any) -> Reply:
    """Read a chat completion; an answer without text (a content filter) is empty, as its refusal says."""
    choice, usage = content["choices"][0], content.get("usage") or {}
    message = choice.get("message") or {}
    return Reply(
        str(message.get("content") or ""),
        thought=str(message.get("reasoning_content") or message.get("reasoning") or ""),
        refusal=str(message.get("refusal") or ""),
        prompt_tokens=int(usage.get("prompt_tokens") or 0),
        new_tokens=int(usage.get("completion_tokens") or 0),
        cut=choice.get("finish_reason") == "length",
    )


def _whole(content: Any) -> Any:
    """Require that an answer holds a choice or a list of models; ValueError says what it holds instead."""
    if isinstance(content, dict):
        choices = content.get("choices")
        if isinstance(content.get("data"), list) or (choices and isinstance(choices[0], dict)):
            return content
    raise ValueError(f"neither choices nor data in {str(content)[:80]!r}")


def _require_hope(address: str, status: int, said: str) -> str:
    if status in _HOPELESS:
        raise EndpointError(f"{address} {_HOPELESS[status]} ({said})")
    return said


def _parse_seconds(header: str | None) -> float | None:
    try:
        return min(_MOST_ASKED_S, max(0.0, float(header))) if header else None
    except ValueError:
        return None


def _reason(response: httpx2.Response) -> str:
    """Give what an endpoint says is wrong, on one line."""
    try:
        content = response.json()
        said = content.get("error", content) if isinstance(content, dict) else content
        text = said.get("message", said) if isinstance(said, dict) else said
    except ValueError:
        text = response.text
    return " ".join(str(text).split())[:200]
