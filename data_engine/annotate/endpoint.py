"""One OpenAI-compatible endpoint: POST /chat/completions, asked again when it is busy, broken or gone for a while.

    429, 408, 409, 425, 5xx, time-outs, broken connections, bodies that are cut off     asked again, up to `attempts`
    400, 413, 422 and other refusals of one request                                     RequestRefusedError
    401, 403, 404                                                                       EndpointError: nothing will work

The wait doubles from `first_wait_s` to `most_wait_s`, less a random part so that the askers do not come all at once. A
Retry-After header (seconds or an HTTP date, up to an hour) is obeyed by all of them.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx2

from vlm.errors import DataError

Body = dict[str, Any]
_AGAIN: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
_MOST_ASKED_S: Final = 3600.0
_HOPELESS: Final = {
    401: "refuses the key: set --key-from to the environment variable that holds it",
    403: "forbids this key the model: ask for access, or take another model",
    404: "knows no such model or path: give the address that ends in /v1 and a model that it serves",
}


class EndpointError(DataError):
    """Say why an endpoint answers nothing at all."""


class RequestRefusedError(DataError):
    """Say why an endpoint refuses one request for good."""


class NoAnswerError(DataError):
    """Say why a request got no answer in all attempts."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Hold where an endpoint is, its key, and how patiently it is asked; times in seconds."""

    url: str
    key: str | None = None
    timeout_s: float = 120.0
    attempts: int = 6
    first_wait_s: float = 1.0
    most_wait_s: float = 60.0

    @property
    def address(self) -> str:
        """Give the address of chat completions."""
        return f"{self.url.rstrip('/')}/chat/completions"


@dataclass(frozen=True, slots=True)
class Reply:
    """Hold the text of an answer, the tokens it cost, and whether it was cut off at the limit of tokens."""

    text: str
    prompt_tokens: int
    new_tokens: int
    cut: bool = False


class Asker:
    """Ask an endpoint from several threads at once; close it or use it in a `with` block.

    `sleep` and `now` are the clock, for tests. Closing it ends requests that are under way with NoAnswerError.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        connections: int = 8,
        sleep: Callable[[float], object] | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        headers = {"Authorization": f"Bearer {endpoint.key}"} if endpoint.key else {}
        limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
        self._client = httpx2.Client(headers=headers, timeout=endpoint.timeout_s, limits=limits)
        self._closed = threading.Event()
        self._endpoint, self._sleep, self._now = endpoint, sleep or self._closed.wait, now
        self._lock = threading.Lock()
        self._open_at = 0.0

    def ask(self, body: Body) -> Reply:
        """Send one request until it is answered; raises one of the errors above."""
        rng, last = random.Random(str(body)), ""
        for attempt in range(self._endpoint.attempts):
            self._wait_until_open()
            if self._closed.is_set():
                raise NoAnswerError(f"{self._endpoint.address} is not asked any more: the run was stopped")
            asked_wait, last = None, ""
            try:
                response = self._client.post(self._endpoint.address, json=body)
                if response.status_code == 200:
                    return parse_reply(response.json())
                last = f"{response.status_code} {_reason(response)}"
                self._require_hope(response.status_code, last)
                asked_wait = parse_retry_after(response.headers.get("retry-after"))
            except httpx2.TransportError as error:
                last = f"{type(error).__name__}: {error}"
            except ValueError as error:
                last = f"an answer that is no whole JSON ({error})"
            if attempt + 1 < self._endpoint.attempts:
                self._pause(attempt, asked_wait, rng)
        raise NoAnswerError(f"{self._endpoint.address} gave no answer in {self._endpoint.attempts} attempts: {last}")

    def close(self) -> None:
        """Close the connections."""
        self._closed.set()
        self._client.close()

    def __enter__(self) -> Asker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _require_hope(self, status: int, said: str) -> None:
        if status in _HOPELESS:
            raise EndpointError(f"{self._endpoint.address} {_HOPELESS[status]} ({said})")
        if status not in _AGAIN:
            raise RequestRefusedError(f"{self._endpoint.address} refuses the request ({said})")

    def _pause(self, attempt: int, asked_s: float | None, rng: random.Random) -> None:
        """Wait before the next attempt; what the endpoint asked for holds for all threads."""
        if asked_s is not None:
            with self._lock:
                self._open_at = max(self._open_at, self._now() + min(asked_s, _MOST_ASKED_S))
            return
        wait_s = min(self._endpoint.most_wait_s, self._endpoint.first_wait_s * 2**attempt)
        self._sleep(wait_s * (0.5 + rng.random() / 2))

    def _wait_until_open(self) -> None:
        while (left_s := self._open_at - self._now()) > 0 and not self._closed.is_set():
            self._sleep(left_s)


def parse_reply(content: Any) -> Reply:
    """Read a chat completion; ValueError when it holds no answer."""
    try:
        choice = content["choices"][0]
        text = choice["message"]["content"]
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(f"no choices[0].message.content in {str(content)[:80]!r}") from error
    if not isinstance(text, str):
        raise ValueError(f"the content is {text!r} and no text")
    usage: Mapping[str, Any] = content.get("usage") or {}
    new = int(usage.get("completion_tokens") or -(-len(text) // 4))
    return Reply(text, int(usage.get("prompt_tokens") or 0), new, choice.get("finish_reason") == "length")


def parse_retry_after(header: str | None) -> float | None:
    """Read a Retry-After header, seconds or an HTTP date (RFC 9110, 10.2.3), as seconds from now; None without one."""
    if header is None:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _reason(response: httpx2.Response) -> str:
    """Give what an endpoint says is wrong, on one line."""
    try:
        content = response.json()
        said = content.get("error", content) if isinstance(content, dict) else content
        text = said.get("message", said) if isinstance(said, dict) else said
    except ValueError:
        text = response.text
    return " ".join(str(text).split())[:200]
