"""Pick random samples of a store without reading the others: the shards they lie in, a row group of each."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate

from data_engine.store.ledger import Ledger
from data_engine.store.manifest import Manifest, Shard
from data_engine.store.shards import read_shard
from vlm.records import Sample


def pick_samples(
    manifest: Manifest, count: int, rng: random.Random, *, ledger: Ledger, task: str | None = None
) -> Iterator[Sample]:
    """Yield up to `count` random samples of a store, of one task if it is named, in the order of the store.

    Every sample has the same chance. Damaged ones are dropped from the ledger's view and not replaced.
    """
    numbers = [_matching(manifest, shard, task) for shard in manifest.shards]
    ends = list(accumulate(len(rows) for rows in numbers))
    total = ends[-1] if ends else 0
    for place in sorted(rng.sample(range(total), min(count, total))):
        index = bisect_right(ends, place)
        row = numbers[index][place - (ends[index - 1] if index else 0)]
        yield from _read_row(manifest, manifest.shards[index], row, ledger)


def _matching(manifest: Manifest, shard: Shard, task: str | None) -> range | list[int]:
    """Give the rows of a shard that hold samples of a task; only shards that mix tasks are opened."""
    if task is None or shard.counts.get("task") == {task: shard.samples}:
        return range(shard.samples)
    if task not in shard.counts.get("task", {task: 1}):
        return range(0)
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        tasks = pq.read_table(manifest.folder / shard.file, columns=["task"]).column("task").to_pylist()
    except (OSError, pa.ArrowException):
        return range(shard.samples)
    return [row for row, found in enumerate(tasks) if found == task]


def _read_row(manifest: Manifest, shard: Shard, row: int, ledger: Ledger) -> Iterator[Sample]:
    for sample in read_shard(manifest.folder, shard, ledger, start=row):
        yield sample
        return
