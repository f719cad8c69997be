"""The gate: key, rate and size of a request are looked at before a byte of its body is read.

A plain ASGI middleware, so that streams pass through it untouched. Whose key it is lies in `scope["state"]["owner"]`.
A server without keys serves this machine alone: there, a page of somebody else's must not speak for its user, be it by
a form that it posts here or by a name of its own that it points here; and nobody is counted.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from serve.app.held import GoneError, Held, bounded, patient, too_large
from serve.app.statuses import refusal
from serve.errors import AccessError, RateError
from serve.settings import EVERYBODY, LOOPBACK, Limits, Settings, owner_of
from vlm.errors import NadirError

_GUARDED = ("/v1/", "/tiles/")
_UPLOAD = ("POST", "/v1/rasters")
_STREAMED_BYTES = 2 * 1024**2  # what an upload keeps in memory


class Gate:
    """Let requests of known keys through, as often and as large as the limits say."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app, self._limits, self._origins = app, settings.limits, settings.origins
        self._held = Held(settings.limits.held_bytes)
        self._owners = {key: owner_of(key) for key in settings.keys}
        self._rates = Rates(settings.limits)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on with the owner named and the body bounded."""
        if scope["type"] != "http" or not scope["path"].startswith(_GUARDED) or scope["method"] == "OPTIONS":
            await self._app(scope, receive, send)
            return
        headers, upload = Headers(scope=scope), (scope["method"], scope["path"]) == _UPLOAD
        most = self._limits.upload_bytes if upload else self._limits.body_bytes
        try:
            owner = self._owner(headers)
            if owner != EVERYBODY:
                self._rates.count(owner, _rate_name(scope["method"], scope["path"]))
            length = _require_length(headers, most)
            with self._held.request(_STREAMED_BYTES if upload else length) as body:
                scope.setdefault("state", {})["owner"] = owner
                stall_s = self._limits.stall_s
                receiving = bounded(receive, None if upload else body, most=most, stall_s=stall_s)
                await self._app(scope, receiving, patient(send, stall_s=stall_s))
        except NadirError as error:
            await refusal(error)(scope, receive, send)
        except GoneError:
            return

    def _owner(self, headers: Headers) -> str:
        if not self._owners:
            _require_local(headers, self._origins)
            return EVERYBODY
        kind, _, given = headers.get("authorization", "").partition(" ")
        found = [owner for key, owner in self._owners.items() if hmac.compare_digest(key.encode(), given.encode())]
        if kind.lower() != "bearer" or not found:
            raise AccessError("the request carries no known key: send it as the header Authorization: Bearer KEY")
        return found[0]


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
    return "uploads" if path.startswith(_UPLOAD[1]) else "asks"


def _require_local(headers: Headers, origins: Sequence[str]) -> None:
    """Raise AccessError for a request that another machine's page has made a browser send."""
    host, origin = headers.get("host", ""), headers.get("origin")
    if urlsplit(f"//{host}").hostname not in LOOPBACK:
        raise AccessError(f"a server without keys answers this machine alone, not {host[:60]!r}: start it with --key")
    if origin is not None and origin not in origins and origin.partition("://")[2] != host:
        raise AccessError(f"the page {origin[:60]!r} may not ask: start the server with --origin for it")


def _require_length(headers: Headers, most: int) -> int:
    """Give the declared bytes of a body, 0 where none are; TooLargeError for too many."""
    length = headers.get("content-length", "0")
    declared = int(length) if length.isascii() and length.isdecimal() and len(length) < 20 else 0
    if declared > most:
        raise too_large(most)
    return declared
