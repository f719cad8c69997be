"""One reader of several: together they give every sample of a store once an epoch, in a shuffled order.

    stream = Stream(Path("out/mix"), reader=rank * workers + worker, readers=ranks * workers, seed=0)
    for sample in stream: ...                 # one epoch; the next loop is the next epoch, in another order
    state = stream.state_dict()               # plain JSON; load_state_dict goes on at the exact next sample

The order of an epoch is a shuffle of windows (runs of `window` rows) and a shuffle within each. Each reader has a range
of its places, whose lengths differ by at most one, and holds one window in memory. What is left of the ranges is the
whole state, so what a stopped run has left can be given to another number of readers: `share_out`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, Final

import numpy as np

from data_engine.mix.order import permute
from data_engine.store.manifest import open_store
from data_engine.store.shards import read_shard
from vlm.errors import DataError
from vlm.records import Sample

WINDOW: Final = 1024
"""Samples that a reader holds in memory, and among which they are shuffled after the windows are."""
Range = tuple[int, int]
State = dict[str, Any]


class Stream:
    """Iterate over one reader's samples of the current epoch; then the next epoch begins.

    `shuffle=False` keeps the order of the store. Raises DataError for a reader that is not one of `readers`, and while
    iterating for a damaged shard: training must not go on with less than it says.
    """

    def __init__(
        self,
        folder: Path,
        *,
        reader: int = 0,
        readers: int = 1,
        seed: int = 0,
        window: int = WINDOW,
        shuffle: bool = True,
    ) -> None:
        if not 0 <= reader < readers or window < 1:
            raise DataError(f"reader {reader} of {readers} with a window of {window}: expected 0 <= reader < readers")
        self._store = open_store(folder)
        self._ends = list(accumulate(shard.samples for shard in self._store.shards))
        self._reader, self._readers = reader, readers
        self._seed, self._window, self._shuffle = seed, window, shuffle
        self._epoch, self._ranges = 0, list[Range]()
        self._rank, self._samples = -1, list[Sample]()
        self._start(0)

    @property
    def epoch(self) -> int:
        """Count the epochs that this reader has finished."""
        return self._epoch

    def __len__(self) -> int:
        """Count the samples that this reader has left in the current epoch."""
        return sum(end - start for start, end in self._ranges)

    def __iter__(self) -> Iterator[Sample]:
        epoch = self._epoch
        while epoch == self._epoch and self._ranges:
            sample = self._load(self._ranges[0][0])
            self.skip(1)
            yield sample
        if epoch == self._epoch:
            self._start(epoch + 1)

    def skip(self, count: int) -> None:
        """Go on by `count` samples of this epoch without reading them, as when a loader had read ahead."""
        while count and self._ranges:
            start, end = self._ranges[0]
            step = min(count, end - start)
            count -= step
            self._ranges = ([(start + step, end)] if start + step < end else []) + self._ranges[1:]

    def state_dict(self) -> State:
        """Give where this reader is, as plain JSON."""
        return self._settings() | {"epoch": self._epoch, "ranges": [list(span) for span in self._ranges]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was called; raises DataError for a state of another store, seed or window."""
        given = {name: state.get(name) for name in self._settings()}
        if given != self._settings():
            raise DataError(f"the state is of the stream {given}, this one is {self._settings()}: it cannot go on here")
        self._enter(int(state["epoch"]), [(int(start), int(end)) for start, end in state["ranges"]])

    def _settings(self) -> State:
        return {"store": self._store.digest(), "seed": self._seed, "window": self._window, "shuffle": self._shuffle}

    def _start(self, epoch: int) -> None:
        """Begin an epoch with all of this reader's places."""
        self._enter(epoch, cut_ranges([(0, self._store.samples)], self._reader, self._readers))

    def _enter(self, epoch: int, ranges: list[Range]) -> None:
        """Compute the order of the windows of an epoch, and where each ends in the order of the samples."""
        self._epoch, self._ranges = epoch, ranges
        numbers = np.arange(-(-self._store.samples // self._window))
        self._order = permute(numbers, size=len(numbers), seed=self._name()) if self._shuffle else numbers
        sizes = np.minimum(self._window, self._store.samples - self._order * self._window)
        self._order_ends = np.cumsum(sizes)
        self._rank, self._samples = -1, []

    def _name(self, *parts: int) -> str:
        return "/".join(map(str, (self._seed, self._epoch, *parts)))

    def _load(self, place: int) -> Sample:
        """Give the sample at a place of the epoch's order; its window is read when it is not the one in memory."""
        rank = int(np.searchsorted(self._order_ends, place, side="right"))
        if rank != self._rank:
            self._rank, self._samples = -1, []
            self._samples = self._read(int(self._order[rank]))
            self._rank = rank
        return self._samples[place - int(self._order_ends[rank])]

    def _read(self, window: int) -> list[Sample]:
        """Read the samples of a window in the order of this epoch."""
        first = window * self._window
        samples = list(self._read_rows(first, min(first + self._window, self._store.samples)))
        if not self._shuffle:
            return samples
        places = permute(np.arange(len(samples)), size=len(samples), seed=self._name(window))
        return [samples[number] for number in np.argsort(places)]

    def _read_rows(self, first: int, end: int) -> Iterator[Sample]:
        while first < end:
            number = bisect_right(self._ends, first)
            shard, shard_end = self._store.shards[number], self._ends[number]
            start, count = first - (shard_end - shard.samples), min(end, shard_end) - first
            yield from islice(read_shard(self._store.folder, shard, start=start), count)
            first += count


def share_out(states: Sequence[Mapping[str, Any]], *, readers: int) -> list[State]:
    """Share what the states of all old readers have left among another number of readers, for load_state_dict.

    Raises DataError when the states are of different streams or epochs: save them all at the same step.
    """
    kinds = [{name: value for name, value in state.items() if name != "ranges"} for state in states]
    if not states or any(kind != kinds[0] for kind in kinds):
        raise DataError(f"{len(states)} states to share out are of different streams or epochs: {kinds}")
    left = [(int(start), int(end)) for state in states for start, end in state["ranges"]]
    return [
        kinds[0] | {"ranges": [list(span) for span in cut_ranges(left, number, readers)]} for number in range(readers)
    ]


def cut_ranges(ranges: Sequence[Range], reader: int, readers: int) -> list[Range]:
    """Give the ranges of one of `readers`, who share the places of all ranges; their shares differ by at most one."""
    total = sum(end - start for start, end in ranges)
    first, last = total * reader // readers, total * (reader + 1) // readers
    cut, passed = [], 0
    for start, end in ranges:
        low, high = max(first - passed, 0), min(last - passed, end - start)
        passed += end - start
        if low < high:
            cut.append((start + low, start + high))
    return cut
