"""The arithmetic of a mixture: how often the samples of each source and task are drawn, and where each draw goes.

Whole passes over a cell come first, then a part of it chosen at random, so no sample is drawn twice more often than
another one of its cell. Draws are numbered cell by cell; `order.permute` says which place of the corpus each has.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from data_engine.mix.order import permute
from data_engine.mix.recipe import Mix
from data_engine.store.manifest import Manifest
from vlm.errors import DataError
from vlm.records import Task


@dataclass(frozen=True, slots=True)
class Cell:
    """Hold the samples of one task in one part: their number, weight and share, and how often they are drawn in all.

    `first` is the number of the cell's first draw among all draws.
    """

    part: int
    store: str
    task: Task
    samples: int
    weight: float
    share: float
    draws: int
    first: int

    @property
    def repeats(self) -> float:
        """Say how often each sample is drawn on average."""
        return self.draws / self.samples


@dataclass(frozen=True, slots=True)
class MixPlan:
    """Hold the cells of a mixture and the seed of its order."""

    cells: tuple[Cell, ...]
    seed: int

    @property
    def draws(self) -> int:
        """Count the samples of the corpus, repetitions included."""
        return sum(cell.draws for cell in self.cells)

    def find(self, part: int, task: Task) -> Cell:
        """Give the cell of a part and a task; raises DataError where the manifest did not announce any."""
        for cell in self.cells:
            if (cell.part, cell.task) == (part, task):
                return cell
        raise DataError(f"part {part} holds a sample of the task {task!r} that its manifest does not count")

    def place(self, cell: Cell, ranks: np.ndarray) -> list[np.ndarray]:
        """Give the places in the corpus of the samples with these ranks in a cell; none for a sample not drawn."""
        passes, rest = divmod(cell.draws, cell.samples)
        numbers = [cell.first + number * cell.samples + ranks for number in range(passes)]
        name = f"{self.seed}/{cell.store}/{cell.part}/{cell.task}"
        chosen = permute(ranks, size=cell.samples, seed=name)
        more = chosen < rest
        numbers.append(np.where(more, cell.first + passes * cell.samples + chosen, -1))
        table = np.stack(numbers, axis=1)
        drawn = table >= 0
        table[drawn] = permute(table[drawn], size=self.draws, seed=f"{self.seed}/corpus")
        return [row[keep] for row, keep in zip(table, drawn, strict=True)]

    def render(self) -> str:
        """Write the arithmetic as a table: samples, weight, share, draws and passes of each cell, and the sums."""
        width = max(12, *(len(cell.store) for cell in self.cells))
        lines = [f"{'store':{width}}  task      {'samples':>11}  weight   share        draws  passes"]
        lines += [
            f"{cell.store:{width}}  {cell.task:8}  {cell.samples:11,}  {cell.weight:6.2f}  {cell.share:6.1%}  "
            f"{cell.draws:11,}  {cell.repeats:6.2f}"
            for cell in self.cells
        ]
        samples = sum(cell.samples for cell in self.cells)
        share = sum(cell.share for cell in self.cells)
        total = f"{'in all':{width}}  {'':8}  {samples:11,}  {'':6}  {share:6.1%}  {self.draws:11,}  "
        return "\n".join([*lines, f"{total}{self.draws / samples:6.2f}"])


def plan_mix(mix: Mix, stores: Sequence[Manifest], *, seed: int) -> MixPlan:
    """Plan how often each cell is drawn; raises DataError when nothing is."""
    counts = [store.counts.get("task", {}) for store in stores]
    found = [
        (number, part, cast(Task, task), samples, part.weigh(cast(Task, task)))
        for number, (part, tasks) in enumerate(zip(mix.parts, counts, strict=True))
        for task, samples in tasks.items()
    ]
    usable = {at: samples for at, (_, _, _, samples, weight) in enumerate(found) if weight > 0}
    if not usable:
        raise DataError("the mixture is empty: every store is empty or has weight 0")
    pull = {at: found[at][4] * samples ** (1 / mix.temperature) for at, samples in usable.items()}
    total = mix.samples or round(mix.epochs * sum(usable.values()))
    most = {at: math.floor(mix.most_repeats * samples) for at, samples in usable.items()}
    draws = _round_to(_share_out(total, pull, most), most)
    drawn = max(1, sum(draws.values()))
    cells, first = [], 0
    for at, (number, part, task, samples, weight) in enumerate(found):
        count = draws.get(at, 0)
        cells.append(Cell(number, part.store, task, samples, weight, count / drawn, count, first))
        first += count
    return MixPlan(tuple(cells), seed)


def _share_out(total: int, pull: Mapping[int, float], most: Mapping[int, int]) -> dict[int, float]:
    """Share `total` in proportion to `pull`; what is above a cell's `most` goes to the others, until all are full."""
    given: dict[int, float] = {}
    free = dict(pull)
    while free:
        left, sum_free = total - sum(given.values()), sum(free.values())
        full = {at: float(most[at]) for at, part in free.items() if left * part / sum_free >= most[at]}
        if not full:
            return given | {at: left * part / sum_free for at, part in free.items()}
        given |= full
        free = {at: part for at, part in free.items() if at not in full}
    return given


def _round_to(shares: Mapping[int, float], most: Mapping[int, int]) -> dict[int, int]:
    """Round shares to whole numbers that keep the sum: the largest remainders are rounded up, up to `most`."""
    whole = {at: min(most[at], math.floor(share + 1e-9)) for at, share in shares.items()}
    left = round(sum(shares.values())) - sum(whole.values())
    for at in sorted(shares, key=lambda at: (whole[at] - shares[at], at)):
        if left > 0 and whole[at] < most[at]:
            whole[at] += 1
            left -= 1
    return whole
