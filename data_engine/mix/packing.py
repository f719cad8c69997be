"""What packing and padding make of the lengths of samples: how many tokens of a step are real.

Padded: batches of equal size are filled up to their longest sample, drawn at random or, as training does it, cut from
short runs that are sorted by length. Packed: sequences of a fixed capacity hold several samples (best fit, longest
first: at most 11/9 of the fewest sequences; Johnson et al., 1974).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

BATCH: Final = 16
SORTED_BATCHES: Final = 4
"""Batches of which a run is sorted by length."""


@dataclass(frozen=True, slots=True)
class PackingStats:
    """Hold the lengths of `samples` samples in tokens, and the share of real tokens in each way to make steps.

    `too_long` samples do not fit the capacity and are left out of `packed`; `sequences` is how many it fills.
    """

    samples: int
    mean: float
    median: int
    p95: int
    longest: int
    padded: float
    padded_sorted: float
    packed: float
    sequences: int
    capacity: int
    too_long: int

    def render(self) -> str:
        """Write the statistics in two lines."""
        return (
            f"tokens a sample: mean {self.mean:.0f}, median {self.median}, 95 % below {self.p95}, longest "
            f"{self.longest} (of {self.samples:,} samples)\n"
            f"real tokens in a step of {BATCH}: padded {self.padded:.0%}, padded by length {self.padded_sorted:.0%}; "
            f"packed into {self.capacity}: {self.packed:.0%} of {self.sequences:,} sequences, {self.too_long} samples "
            "are longer"
        )


def measure_packing(lengths: Sequence[int], *, capacity: int, batch: int = BATCH) -> PackingStats | None:
    """Measure lengths, which come in the order of the corpus; None for none."""
    if not lengths:
        return None
    sizes = np.array(lengths)
    fitting = [length for length in lengths if length <= capacity]
    bins = pack_lengths(fitting, capacity=capacity)
    p50, p95 = np.percentile(sizes, [50, 95], method="higher").tolist()
    return PackingStats(
        samples=len(sizes),
        mean=float(sizes.mean()),
        median=int(p50),
        p95=int(p95),
        longest=int(sizes.max()),
        padded=measure_padding(sizes, batch=batch),
        padded_sorted=measure_padding(_sort_runs(sizes, SORTED_BATCHES * batch), batch=batch),
        packed=sum(fitting) / (len(bins) * capacity) if bins else 0.0,
        sequences=len(bins),
        capacity=capacity,
        too_long=len(lengths) - len(fitting),
    )


def pack_lengths(lengths: Sequence[int], *, capacity: int) -> list[list[int]]:
    """Pack samples into sequences of at most `capacity` tokens; each is a list of indices into `lengths`.

    Every sample is in one sequence; a sample longer than the capacity is refused with ValueError.
    """
    if lengths and max(lengths) > capacity:
        raise ValueError(f"a sample of {max(lengths)} tokens does not fit a sequence of {capacity}")
    packed: list[list[int]] = []
    room: list[tuple[int, int]] = []
    for index in sorted(range(len(lengths)), key=lambda index: (-lengths[index], index)):
        at = bisect_left(room, (lengths[index], -1))
        left, number = room.pop(at) if at < len(room) else (capacity, len(packed))
        if number == len(packed):
            packed.append([])
        packed[number].append(index)
        insort(room, (left - lengths[index], number))
    return packed


def measure_padding(sizes: np.ndarray, *, batch: int) -> float:
    """Give the share of real tokens when batches are padded to their longest sample."""
    padded = sum(int(part.max()) * len(part) for part in np.split(sizes, range(batch, len(sizes), batch)))
    return float(sizes.sum() / max(1, padded))


def _sort_runs(sizes: np.ndarray, run: int) -> np.ndarray:
    return np.concatenate([np.sort(part) for part in np.split(sizes, range(run, len(sizes), run))])
