"""The boundary at which one bad record of a dataset is turned away, so that the others are still read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from typing import TypeVar, cast

from data_engine.store.images import ImageFaultError
from vlm.errors import NadirError

Record = TypeVar("Record")
Made = TypeVar("Made")
Reject = Callable[[str, str, str], None]
"""Takes a reason (for counting), the sentence that says what is wrong, and the dataset it happened in."""


def convert_each(
    records: Iterable[Record], convert: Callable[[Record], Iterable[Made]], *, name: str, reject: Reject | None
) -> Iterator[Made]:
    """Yield the samples (or scenes) of each record; a record that cannot be converted goes to `reject` whole.

    Without `reject` its error (DataError, GeometryError) is raised. What `records` itself raises always is: a missing
    folder or a broken index is no single record's fault. A `reject` that has a method `at(done, total)` is told how far
    the reading is, where the number of records is known. The reason is that of the image where one is at fault
    (`name_reason`).
    """
    at = getattr(reject, "at", None) if isinstance(records, Sized) else None
    on_error = report_to(reject, name)
    for number, record in enumerate(records):
        if at is not None:
            at(number, len(cast(Sized, records)))
        try:
            made = list(convert(record))
        except NadirError as error:
            on_error(error)
        else:
            yield from made


def report_to(reject: Reject | None, name: str) -> Callable[[NadirError], None]:
    """Give the `on_error` of a reading that hands bad records to `reject`, or raises where there is none."""

    def on_error(error: NadirError) -> None:
        if reject is None:
            raise error
        reject(name_reason(error), str(error), name)

    return on_error


def name_reason(error: NadirError) -> str:
    """Give the reason under which an error is counted: what is wrong with an image, or "bad record"."""
    return error.reason if isinstance(error, ImageFaultError) else "bad record"
