"""One record after the other: a damaged record costs itself, not the dataset.

A source loops over its records with `each`. Called by itself, the source raises at the first damaged record; under
`watching`, as `convert` runs it, that record is reported with its reason and the next one follows.

    yield from each(records, lambda record: _load_record(root, record))
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

from vlm.errors import NadirError

Record = TypeVar("Record")
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Watch:
    """Say who hears of it when a record fails (`reject`, with the error) and when records are done (`at`, of how many).

    A source of several lists reports each of them in turn.
    """

    reject: Callable[[NadirError], None]
    at: Callable[[int, int], None]


_WATCH: ContextVar[Watch | None] = ContextVar("watch", default=None)


@contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """Let sources report to `watch` instead of raising, while the block runs."""
    token = _WATCH.set(watch)
    try:
        yield
    finally:
        _WATCH.reset(token)


def each(records: Sequence[Record], make: Callable[[Record], Iterable[Made]]) -> Iterator[Made]:
    """Yield what `make` gives for every record, in order.

    A record that raises a NadirError is reported to the watch and left out (what it gave before stays); without a
    watch the error is raised.
    """
    for number, record in enumerate(records, start=1):
        watch = _WATCH.get()
        try:
            yield from make(record)
        except NadirError as error:
            if watch is None:
                raise
            watch.reject(error)
        if watch is not None:
            watch.at(number, len(records))
