"""What a checkpoint holds, parameter by parameter, whichever processes wrote it and whichever read it.

`python` alone writes every parameter whole into state.pt. DeepSpeed's processes write a file each: parameters are
flattened and cut up, and the pieces that a process keeps lie one after the other in its flat tensors, one for each
group of parameters and kind of number (ZeRO: Rajbhandari et al., 2020). Files are mapped, not read: a process that
takes its own part of a large checkpoint never holds the whole.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, Final

import torch

STATE: Final = "state.pt"
"""File of a checkpoint that python alone wrote."""
LAYOUT: Final = "layout.json"
"""File beside DeepSpeed's that says who wrote them, of which model, and what the run had noted."""
TAG: Final = "deepspeed"
"""Folder of DeepSpeed's files in a checkpoint."""
WEIGHT: Final = "weight"
MOMENTS: Final = ("exp_avg", "exp_avg_sq")
"""AdamW's running means of the gradient and of its square."""
KINDS: Final = (WEIGHT, *MOMENTS)


@dataclass(frozen=True)
class Layout:
    """Say who wrote a checkpoint: how many processes, by which stage of ZeRO; None for python alone."""

    processes: int
    zero: int | None

    @property
    def known(self) -> bool:
        """Tell whether other processes can find their parts in it."""
        return self.zero != 0

    def __str__(self) -> str:
        return "python alone" if self.zero is None else f"processes {self.processes}, zero {self.zero}"


@dataclass(frozen=True)
class Header:
    """Hold what a checkpoint says of itself: who wrote it, of which model, and what the run had noted."""

    layout: Layout
    identity: dict[str, Any]
    notes: dict[str, Any]


@dataclass(frozen=True)
class Stretch:
    """Say where a part of a flattened parameter lies: its numbers from `start` on, in a flat tensor from `at` on."""

    name: str
    start: int
    at: int
    numel: int


@dataclass(frozen=True)
class Shard:
    """Hold flat tensors by KINDS, the optimizer's steps that they have seen, and what of them belongs to whom."""

    stretches: list[Stretch]
    values: Mapping[str, torch.Tensor]
    step: float


class States:
    """Put parameters and their moments together from shards."""

    def __init__(self, shards: Iterable[Shard]) -> None:
        self._parts: dict[str, list[tuple[Shard, Stretch]]] = defaultdict(list)
        for shard in shards:
            for stretch in shard.stretches:
                self._parts[stretch.name].append((shard, stretch))

    def read(self, name: str, kind: str) -> torch.Tensor:
        """Give the numbers of a whole parameter, flat, in float32; moments that were not yet there are zeros."""
        parts = self._parts[name]
        whole = torch.zeros(max(stretch.start + stretch.numel for _, stretch in parts))
        for shard, stretch in parts:
            if kind in shard.values:
                found = shard.values[kind][stretch.at : stretch.at + stretch.numel]
                whole[stretch.start : stretch.start + stretch.numel] = found
        return whole

    def fill(self, flat: torch.Tensor, stretches: Iterable[Stretch]) -> dict[str, torch.Tensor]:
        """Put the weights of `stretches` into a flat tensor, and give AdamW's state beside it."""
        found = {kind: torch.zeros_like(flat) for kind in KINDS}
        step = 0.0
        for stretch in stretches:
            step = max([step, *(shard.step for shard, _ in self._parts[stretch.name])])
            for kind, values in found.items():
                whole = self.read(stretch.name, kind)
                values[stretch.at : stretch.at + stretch.numel] = whole[stretch.start : stretch.start + stretch.numel]
        flat.data.copy_(found.pop(WEIGHT))
        return {"step": torch.tensor(step), **found}


def cut_evenly(sizes: Iterable[tuple[str, int]], rank: int, ranks: int) -> list[Stretch]:
    """Give what ZeRO-3 leaves with a process of a group of (name, numbers): the `rank`-th of `ranks` parts of each."""
    found, at = [], 0
    for name, size in sizes:
        share = ceil(size / ranks)
        start = min(rank * share, size)
        found.append(Stretch(name, start, at, min(share, size - start)))
        at += share
    return found


def read_header(folder: Path) -> Header:
    """Read what a checkpoint says of itself."""
    if (folder / STATE).exists():
        state = _map(folder / STATE)
        return Header(Layout(1, None), state["identity"], state["notes"])
    written = json.loads((folder / LAYOUT).read_text())
    return Header(Layout(written["processes"], written["zero"]), written["identity"], written["notes"])


def open_states(folder: Path) -> States:
    """Open the weights and moments of a checkpoint."""
    layout = read_header(folder).layout
    if layout.zero is None:
        return States(_whole(_map(folder / STATE)))
    return States(_cut_by_parameter(folder, layout) if layout.zero == 3 else _cut_by_group(folder, layout))


def _whole(state: dict[str, Any]) -> Iterator[Shard]:
    """Yield every parameter of a plain checkpoint as a shard of its own; its names are in the optimizer's order."""
    for number, name in enumerate(state["names"]):
        moments = state["optimizer"]["state"].get(number, {})
        weight = state["trained"][name].flatten()
        yield _shard([Stretch(name, 0, 0, weight.numel())], weight, moments)


def _cut_by_group(folder: Path, layout: Layout) -> Iterator[Shard]:
    """Yield the shards of ZeRO-1 and 2, which cut the parameters of a group, laid end to end, into equal parts."""
    seen: dict[str, int] = defaultdict(int)
    for rank in range(layout.processes):
        part = _optimizer_part(folder, rank)
        for number, held in enumerate(part["param_slice_mappings"]):
            stretches = [Stretch(name, seen[name], piece.start, piece.numel) for name, piece in held.items()]
            for stretch in stretches:
                seen[stretch.name] += stretch.numel
            weight = part["single_partition_of_fp32_groups"][number]
            yield _shard(stretches, weight, part["base_optimizer_state"]["state"].get(number, {}))


def _cut_by_parameter(folder: Path, layout: Layout) -> Iterator[Shard]:
    """Yield the shards of ZeRO-3, which cuts each parameter into equal parts."""
    shapes = _map(next((folder / TAG).glob("zero_pp_rank_0_*model_states.pt")))["param_shapes"]
    for rank in range(layout.processes):
        part = _optimizer_part(folder, rank)
        for number, group in enumerate(shapes):
            sizes = [(name, shape.numel()) for name, shape in group.items()]
            weight = part["fp32_flat_groups"][number]
            moments = part["optimizer_state_dict"]["state"].get(number, {})
            yield _shard(cut_evenly(sizes, rank, layout.processes), weight, moments)


def _shard(stretches: list[Stretch], weight: torch.Tensor, moments: Mapping[str, torch.Tensor]) -> Shard:
    values = {kind: moments[kind].flatten() for kind in MOMENTS if kind in moments}
    return Shard(stretches, {WEIGHT: weight, **values}, float(moments.get("step", 0.0)))


def _optimizer_part(folder: Path, rank: int) -> dict[str, Any]:
    (path,) = (folder / TAG).glob(f"*zero_pp_rank_{rank}_mp_rank_00_optim_states.pt")
    found: dict[str, Any] = _map(path)["optimizer_state_dict"]
    return found


def _map(path: Path) -> dict[str, Any]:
    """Open what torch.save wrote; tensors are read from the file when they are used. The run itself wrote the file."""
    found: dict[str, Any] = torch.load(path, map_location="cpu", mmap=True, weights_only=False)
    return found
