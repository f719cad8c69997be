"""The boundary at which one bad record of a dataset is turned away, so that the others are still read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from typing import TypeVar, cast

from vlm.errors import NadirError
from vlm.records import Sample

Record = TypeVar("Record")
Reject = Callable[[str, str, str], None]
"""Takes a reason (for counting), the sentence that says what is wrong, and the dataset it happened in."""


def convert_each(
    records: Iterable[Record], convert: Callable[[Record], Iterable[Sample]], *, name: str, reject: Reject | None
) -> Iterator[Sample]:
    """Yield the samples of each record; a record that cannot be converted goes to `reject` whole.

    Without `reject` its error (DataError, GeometryError) is raised. What `records` itself raises always is: a missing
    folder or a broken index is no single record's fault. A `reject` that has a method `at(done, total)` is told how far
    the reading is, where the number of records is known.
    """
    at = getattr(reject, "at", None) if isinstance(records, Sized) else None
    for number, record in enumerate(records):
        if at is not None:
            at(number, len(cast(Sized, records)))
        try:
            samples = list(convert(record))
        except NadirError as error:
            if reject is None:
                raise
            reject("bad record", str(error), name)
        else:
            yield from samples
