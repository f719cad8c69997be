"""Two passes bring every draw to its place, with one shard or one bucket in memory at a time.

`DealShard` reads a shard of a part and writes its draws as Arrow batches, one for each bucket of consecutive places.
`GatherBucket` reads the batches of one bucket from all these files, sorts them by place and gives the samples: one
shard of the corpus. Both are work of stages, so that a stopped run goes on, and any process may do any unit.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from data_engine.mix.plan import MixPlan
from data_engine.stage import Unit
from data_engine.store.ledger import Ledger
from data_engine.store.schema import Row, arrow_schema, row_to_sample, sample_to_row
from data_engine.store.shards import read_shard
from data_engine.store.writer import Writer
from vlm.errors import DataError
from vlm.records import Sample, Task

if TYPE_CHECKING:
    import pyarrow as pa

_PLACE: Final = "place"
_ROWS: Final = 128


@dataclass(frozen=True, slots=True)
class Placed(Sample):
    """Hold a sample with one of its places in the corpus, and the bucket that the place lies in."""

    place: int = 0
    bucket: int = 0


@dataclass(frozen=True, slots=True)
class DealShard:
    """Give every draw of a shard's samples its place among `buckets` equal parts of the corpus.

    The payload of a unit is (folder, shard, number of the part, samples of each task in the part before the shard).
    """

    plan: MixPlan
    buckets: int

    def __call__(self, unit: Unit, ledger: Ledger) -> Iterator[Sample]:
        folder, shard, part, before = unit.payload
        rows = {task: self._place(part, task, before, count) for task, count in shard.counts.get("task", {}).items()}
        left_out: Counter[str] = Counter()
        for sample in read_shard(folder, shard, ledger):
            places = next(rows.get(sample.task, iter(())), None)
            if places is None:
                raise DataError(f"{folder / shard.file} holds more {sample.task} samples than its manifest counts")
            left_out[sample.task] += not len(places)
            ledger.made += max(0, len(places) - 1)
            for place in places.tolist():
                yield _put(sample, place, place * self.buckets // self.plan.draws)
            ledger.tick(1)
        for task, count in left_out.items():
            if count:
                ledger.drop("not drawn", f"{count} {task} samples", unit.key, count=count, fault=False)

    def _place(self, part: int, task: Task, before: dict[str, int], count: int) -> Iterator[np.ndarray]:
        """Give the places of each of the `count` samples of a task in a shard, in order."""
        first = before.get(task, 0)
        return iter(self.plan.place(self.plan.find(part, task), np.arange(first, first + count)))


class DealWriter(Writer):
    """Write placed samples as an Arrow file of one batch for each bucket up to the last that has any."""

    suffix: ClassVar[str] = ".arrow"
    format: ClassVar[str] = "nadir dealt samples"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._rows: defaultdict[int, list[Row]] = defaultdict(list)

    def _add(self, sample: Sample) -> None:
        if not isinstance(sample, Placed):
            raise DataError(f"sample {sample.id} has no place: only what DealShard gives can be dealt")
        self._rows[sample.bucket].append(sample_to_row(sample) | {_PLACE: sample.place})

    def _close(self, *, whole: bool) -> None:
        if not whole or not self._rows:
            return
        import pyarrow as pa

        schema = _schema()
        with pa.OSFile(str(self.unfinished), "wb") as file, pa.ipc.new_file(file, schema) as out:
            for bucket in range(max(self._rows) + 1):
                out.write_batch(pa.RecordBatch.from_pylist(self._rows.pop(bucket, []), schema=schema))


@dataclass(frozen=True, slots=True)
class GatherBucket:
    """Give the samples of one bucket in the order of their places; the payload of a unit is (files, bucket)."""

    def __call__(self, unit: Unit, ledger: Ledger) -> Iterator[Sample]:
        import pyarrow as pa

        files, bucket = unit.payload
        batches = [batch for path in files if (batch := _read_batch(path, bucket)) is not None]
        table = pa.Table.from_batches(batches, schema=_schema()).sort_by(_PLACE)
        for start in range(0, len(table), _ROWS):
            rows = table.slice(start, _ROWS).to_pylist()
            ledger.read += len(rows)
            yield from map(row_to_sample, rows)
            ledger.tick(len(rows))


def _read_batch(path: Path, bucket: int) -> pa.RecordBatch | None:
    """Read the batch of a bucket from a dealt file; None where the file ends before it."""
    import pyarrow as pa

    try:
        with pa.memory_map(str(path)) as file:
            reader = pa.ipc.open_file(file)
            return reader.get_batch(bucket) if bucket < reader.num_record_batches else None
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path} cannot be read ({error}): remove {path.parent} and mix again") from error


def _schema() -> Any:
    import pyarrow as pa

    return arrow_schema().append(pa.field(_PLACE, pa.int64()))


def _put(sample: Sample, place: int, bucket: int) -> Placed:
    return Placed(**{field.name: getattr(sample, field.name) for field in fields(Sample)}, place=place, bucket=bucket)
