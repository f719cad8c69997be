"""The gate: key, rate and size of a request are looked at before a byte of its body is read.

A plain ASGI middleware, so that streams pass through it untouched. Whose key it is lies in `scope["state"]["owner"]`.
"""

from __future__ import annotations

import hmac
import time

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.app.statuses import LateRefusalError, refusal
from serve.errors import AccessError, RateError, TooLargeError
from serve.settings import EVERYBODY, Limits, Settings, owner_of
from vlm.errors import NadirError

_GUARDED = ("/v1/", "/tiles/")
_UPLOAD = ("POST", "/v1/rasters")


class Gate:
    """Let requests of known keys through, as often and as large as the limits say."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app, self._limits = app, settings.limits
        self._owners = {key: owner_of(key) for key in settings.keys}
        self._rates = Rates(settings.limits)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on with the owner named and the body bounded."""
        if scope["type"] != "http" or not scope["path"].startswith(_GUARDED) or scope["method"] == "OPTIONS":
            await self._app(scope, receive, send)
            return
        try:
            owner = self._owner(Headers(scope=scope))
            self._rates.count(owner, _rate_name(scope["method"], scope["path"]))
            most = self._most_bytes(scope)
            _require_length(Headers(scope=scope), most)
        except NadirError as error:
            await refusal(error)(scope, receive, send)
            return
        scope.setdefault("state", {})["owner"] = owner
        await self._app(scope, _bounded(receive, most), send)

    def _owner(self, headers: Headers) -> str:
        if not self._owners:
            return EVERYBODY
        kind, _, given = headers.get("authorization", "").partition(" ")
        found = [owner for key, owner in self._owners.items() if hmac.compare_digest(key.encode(), given.encode())]
        if kind.lower() != "bearer" or not found:
            raise AccessError("the request carries no known key: send it as the header Authorization: Bearer KEY")
        return found[0]

    def _most_bytes(self, scope: Scope) -> int:
        upload = (scope["method"], scope["path"]) == _UPLOAD
        return self._limits.upload_bytes if upload else self._limits.body_bytes


class Rates:
    """Count the requests of each owner in moving windows."""

    def __init__(self, limits: Limits) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._rates: dict[str, RateLimitItem] = {
            "asks": parse(limits.asks),
            "uploads": parse(limits.uploads),
            "views": parse(limits.views),
        }

    def count(self, owner: str, name: str) -> None:
        """Count a request; RateError when there were too many."""
        rate = self._rates[name]
        if self._limiter.hit(rate, name, owner):
            return
        wait_s = max(1.0, self._limiter.get_window_stats(rate, name, owner).reset_time - time.time())
        raise RateError(f"this key may send {rate} {name}: ask again in {wait_s:.0f} s", retry_s=wait_s)


def _rate_name(method: str, path: str) -> str:
    if method != "POST":
        return "views"
    return "uploads" if path == _UPLOAD[1] else "asks"


def _require_length(headers: Headers, most: int) -> None:
    length = headers.get("content-length", "0")
    if length.isdecimal() and int(length) > most:
        raise _too_large(most)


def _bounded(receive: Receive, most: int) -> Receive:
    """Wrap `receive` so that a body without a declared length is bounded too."""
    seen = 0

    async def bounded() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most:
            raise LateRefusalError(_too_large(most))
        return message

    return bounded


def _too_large(most: int) -> TooLargeError:
    return TooLargeError(f"the body has more than {most:,} bytes, which is the most: send less, or cut the image")
