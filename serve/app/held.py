"""How much of other people's requests is in memory, and how long anybody may keep one open without doing anything.

A request's body counts from its first byte until its answer is whole, since a question waits with its images. A client
that sends, or reads, nothing for a while is let go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from starlette.types import Message, Receive, Send

from serve.app.statuses import LateRefusalError
from serve.errors import BusyError, StallError, TooLargeError


class GoneError(Exception):
    """Say, inside the server alone, that a client reads no more of its answer."""


@dataclass(slots=True)
class Held:
    """Count the bytes of all open requests, of one event loop."""

    most: int
    now: int = 0

    @contextmanager
    def request(self, declared: int) -> Iterator[Body]:
        """Count one request; BusyError where its declared bytes have no room beside those of the others."""
        body = Body(self)
        try:
            body.hold(declared)
            yield body
        finally:
            self.now -= body.bytes


@dataclass(slots=True)
class Body:
    """Count the bytes of one request."""

    held: Held
    bytes: int = 0

    def hold(self, count: int) -> None:
        """Count so many bytes at least; BusyError when all requests together have too many."""
        more = max(0, count - self.bytes)
        if self.held.now + more > self.held.most:
            raise BusyError("the server holds as many bytes of other requests as it may: ask again in a few seconds")
        self.held.now += more
        self.bytes += more


def bounded(receive: Receive, body: Body | None, *, most: int, stall_s: float) -> Receive:
    """Wrap `receive`: TooLargeError for a body that grows beyond `most`, StallError for one that stops coming.

    `body` counts what is kept in memory; None for what is streamed to disk.
    """
    seen, whole = 0, False

    async def wrapped() -> Message:
        nonlocal seen, whole
        if whole:
            return await receive()
        try:
            message = await asyncio.wait_for(receive(), stall_s)
        except TimeoutError as error:
            raise LateRefusalError(
                StallError(f"nothing came for {stall_s:.0f} s in the middle of the request: send it again")
            ) from error
        seen += len(message.get("body", b""))
        whole = not message.get("more_body", False)
        if seen > most:
            raise LateRefusalError(too_large(most))
        if body is not None:
            _hold(body, seen)
        return message

    return wrapped


def patient(send: Send, *, stall_s: float) -> Send:
    """Wrap `send`: GoneError for a client that reads nothing for a while."""

    async def wrapped(message: Message) -> None:
        try:
            await asyncio.wait_for(send(message), stall_s)
        except TimeoutError as error:
            raise GoneError from error

    return wrapped


def too_large(most: int) -> TooLargeError:
    """Build the refusal of a body beyond `most` bytes."""
    return TooLargeError(f"the body has more than {most:,} bytes, which is the most: send less, or cut the image")


def _hold(body: Body, count: int) -> None:
    try:
        body.hold(count)
    except BusyError as error:
        raise LateRefusalError(error) from error
