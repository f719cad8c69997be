"""Whose turn it is: a bounded queue that goes round the owners, so that nobody waits for somebody else's hundred."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from serve.engines.engine import Load
from serve.errors import BusyError, RateError
from serve.settings import EVERYBODY


class Turns:
    """Give turns to owners in rounds: the first of each owner before the second of any. Belongs to one event loop.

    Where there are no keys, all turns but those of the queue itself are everybody's.
    """

    def __init__(self, *, at_once: int, waiting: int, per_owner: int) -> None:
        self._free, self._most, self._most_per_owner = at_once, waiting, per_owner
        self._queues: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._held: Counter[str] = Counter()
        self._running = 0

    def load(self) -> Load:
        """Count who waits and who has a turn."""
        return Load(sum(map(len, self._queues.values())), self._running)

    @asynccontextmanager
    async def turn(self, owner: str) -> AsyncIterator[None]:
        """Wait for a turn, and hold it inside the block.

        Raises BusyError when too many wait in all, RateError when too many of this owner do.
        """
        self._require_room(owner)
        self._held[owner] += 1
        try:
            await self._wait(owner)
            try:
                yield
            finally:
                self._running -= 1
                self._free += 1
                self._pass_on()
        finally:
            self._held[owner] -= 1
            if not self._held[owner]:
                del self._held[owner]

    def _require_room(self, owner: str) -> None:
        waiting = self.load().waiting
        if waiting >= self._most:
            raise BusyError(f"{waiting} questions wait already, which is the most: ask again in a few seconds")
        if owner != EVERYBODY and self._held[owner] >= self._most_per_owner:
            raise RateError(f"{self._held[owner]} questions of this key are open already: wait for their answers first")

    async def _wait(self, owner: str) -> None:
        ticket: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(owner, deque()).append(ticket)
        self._pass_on()
        try:
            await ticket
        except asyncio.CancelledError:
            self._give_up(owner, ticket)
            raise

    def _give_up(self, owner: str, ticket: asyncio.Future[None]) -> None:
        """Leave the queue; a turn that came at the same moment goes on to the next."""
        if ticket.done() and not ticket.cancelled():
            self._running -= 1
            self._free += 1
        elif owner in self._queues and ticket in self._queues[owner]:
            self._queues[owner].remove(ticket)
            if not self._queues[owner]:
                del self._queues[owner]
        self._pass_on()

    def _pass_on(self) -> None:
        while self._free and self._queues:
            owner, queue = self._queues.popitem(last=False)
            ticket = queue.popleft()
            if queue:
                self._queues[owner] = queue
            if not ticket.done():
                self._free -= 1
                self._running += 1
                ticket.set_result(None)
