"""Who takes the optimizer's steps: this process alone, or DeepSpeed with every process that a launcher started.

A step is one or more `backward` and then `step`. Losses are summed over pieces and processes: each is divided
beforehand by what the whole step holds, so that how it is cut up changes nothing.
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import logging
import os
import zlib
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, cast

import torch
from torch import nn

from train.shards import MOMENTS, STATE, Layout, Stretch, open_states, read_header
from vlm.errors import CheckpointError

LOG = logging.getLogger("nadir.train")
SAMPLED = 64
"""Numbers of a frozen tensor that its checksum is of."""


@dataclass(frozen=True)
class EngineSettings:
    """Say how steps are taken."""

    clip_norm: float = 1.0
    """Largest norm of a step's gradient; longer ones are shortened to it."""
    zero: Literal[0, 1, 2, 3] = 1
    """DeepSpeed's ZeRO stage: what the processes share out. 1 optimizer states, 2 gradients too, 3 weights too."""
    offload: Literal["none", "optimizer", "all"] = "none"
    """What waits in the processor's memory: the optimizer's states, or with ZeRO-3 the weights too."""
    weights: Literal["float32", "bfloat16", "float16"] = "float32"
    """Format of weights and gradients under DeepSpeed, which then keeps float32 copies for the optimizer."""
    micro_batch: int = 1
    """Conversations a process and piece."""


class Engine(Protocol):
    """Step down losses of `model` and keep the state that a run goes on from."""

    model: nn.Module
    rank: int
    ranks: int
    device: torch.device

    def total(self, values: torch.Tensor) -> torch.Tensor:
        """Give the sum of `values` over the processes; all must call it."""

    def backward(self, loss: torch.Tensor) -> None:
        """Add the gradient of this process's part of a step's loss."""

    def step(self) -> float:
        """Take the step and give its gradient's norm; one that is not finite is not taken."""

    def save(self, folder: Path, notes: Mapping[str, Any]) -> None:
        """Write state and notes into an empty folder; all processes call it."""

    def load(self, folder: Path) -> dict[str, Any]:
        """Go on from a folder that `save` wrote, and give the notes; CheckpointError where it is another model's."""

    def whole(self) -> AbstractContextManager[Any]:
        """Hold the model's weights whole, to be read, on every process; all must enter."""


def build_engine(model: nn.Module, optimizer: torch.optim.Optimizer, settings: EngineSettings) -> Engine:
    """Build the engine that fits how the program was started: every launcher sets LOCAL_RANK."""
    if "LOCAL_RANK" in os.environ:
        from train.sharded import DeepSpeedEngine

        return DeepSpeedEngine(model, optimizer, settings)
    return PlainEngine(model, optimizer, settings.clip_norm)


def choose_device() -> torch.device:
    """Give this process's GPU, or the processor where there is none."""
    return (
        torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if torch.cuda.is_available() else torch.device("cpu")
    )


def count_processes() -> int:
    """Give the number of processes that the launcher started; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", 1))


class PlainEngine:
    """Take optimizer steps in one process; the state is one file.

    Convolutions run with channels last, which is faster; DeepSpeed's buckets cannot take such gradients.
    """

    rank, ranks = 0, 1

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, clip_norm: float) -> None:
        self.model, self.optimizer, self.clip_norm = model, optimizer, clip_norm
        self.device, self._identity = next(model.parameters()).device, Identity.of(model)
        cast(Any, model).to(memory_format=torch.channels_last)

    def total(self, values: torch.Tensor) -> torch.Tensor:
        """Give the sum of `values` over the processes: themselves."""
        return values

    def backward(self, loss: torch.Tensor) -> None:
        """Add the gradient of a piece of a step."""
        loss.backward()

    def step(self) -> float:
        """Clip the gradient, take the optimizer's step unless it is not finite, and give the norm before clipping."""
        norm = float(nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_norm))
        if norm < float("inf"):
            self._reach_all()
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return norm

    def _reach_all(self) -> None:
        """Let a step that does not reach a part of the model, as one without pairs of dates, be one of gradient zero.

        So it is in DeepSpeed's flat groups, where momentum runs on and every step counts. What no step has reached yet
        is left alone.
        """
        state = self.optimizer.state
        taken = max((float(held["step"]) for held in state.values()), default=0.0)
        for one in (one for group in self.optimizer.param_groups for one in group["params"]):
            if one.grad is None and one in state:
                one.grad = torch.zeros_like(one)
            elif one.grad is not None and one not in state and taken:
                state[one] = {"step": torch.tensor(taken), **{kind: torch.zeros_like(one) for kind in MOMENTS}}

    def save(self, folder: Path, notes: Mapping[str, Any]) -> None:
        """Write what trains, the optimizer's state and `notes` to `folder`."""
        names = {id(tensor): name for name, tensor in self.model.named_parameters()}
        trained = {name: tensor.detach() for name, tensor in self.model.named_parameters() if tensor.requires_grad}
        state = {
            "trained": trained,
            "optimizer": self.optimizer.state_dict(),
            "names": [names[id(one)] for group in self.optimizer.param_groups for one in group["params"]],
            "identity": asdict(self._identity),
            "notes": dict(notes),
        }
        torch.save(state, folder / STATE)

    def load(self, folder: Path) -> dict[str, Any]:
        """Go on from a checkpoint and give its notes; what several processes wrote is put together.

        Raises CheckpointError for another model's.
        """
        header = read_header(folder)
        self._identity.check(Identity(**header.identity), folder)
        if not check_layout(header.layout, Layout(1, None), folder):
            self._put_together(folder)
            return header.notes
        state = torch.load(folder / STATE, map_location="cpu", weights_only=True)
        self.model.load_state_dict(state["trained"], strict=False)
        self.optimizer.load_state_dict(state["optimizer"])
        return header.notes

    def _put_together(self, folder: Path) -> None:
        states = open_states(folder)
        for name, one in self.model.named_parameters():
            if one.requires_grad:
                flat = torch.zeros(one.numel())
                found = states.fill(flat, [Stretch(name, 0, 0, one.numel())])
                one.data.copy_(flat.view(one.shape))
                moments = {kind: torch.empty_like(one).copy_(found[kind].view(one.shape)) for kind in MOMENTS}
                if moments[MOMENTS[-1]].any():
                    self.optimizer.state[one] = {"step": found["step"], **moments}

    def whole(self) -> AbstractContextManager[Any]:
        """Hold all weights together for as long as the context lasts: one process always does."""
        return nullcontext()


def check_layout(written: Layout, here: Layout, folder: Path) -> bool:
    """Tell whether a checkpoint was written by processes like these; CheckpointError where others cannot take it on."""
    if written == here:
        return True
    if not (written.known and here.known):
        raise CheckpointError(
            f"the checkpoint {folder} was written with {written}, this run has {here}: only zero 1, 2, 3 and python "
            "alone take on each other's; start as it was written, or go on from the weights in model/ by --start"
        )
    LOG.info("%s was written with %s: its states are shared out anew to %s", folder, written, here)
    return False


@dataclass(frozen=True)
class Identity:
    """Tell a model by the shapes of what trains of it, and by a checksum of some of what stands still.

    Checkpoints hold only what trains: the rest comes from the model that a run starts from, each time anew.
    """

    trained: dict[str, list[int]]
    frozen: int

    @classmethod
    def of(cls, model: nn.Module) -> Identity:
        """Take the identity of a model."""
        trained = {name: list(one.shape) for name, one in model.named_parameters() if one.requires_grad}
        frozen = 0
        for one in model.parameters():
            if not one.requires_grad:
                part = one.detach().flatten()[:SAMPLED].cpu()
                frozen = zlib.crc32(part.float().numpy().tobytes(), frozen)
        return cls(trained, frozen)

    def check(self, found: Identity, folder: Path) -> None:
        """Refuse the checkpoint of another model with CheckpointError, naming the first tensor that differs."""
        for name in sorted({*self.trained, *found.trained}):
            here, there = (
                tuple(shapes[name]) if name in shapes else "not trained" for shapes in (self.trained, found.trained)
            )
            if here != there:
                raise CheckpointError(
                    f"the checkpoint {folder} is of another model: {name} is {there} in it and {here} in this one; "
                    "start from the same model with the same rates, or train into another folder"
                )
        if self.frozen != found.frozen:
            raise CheckpointError(
                f"the checkpoint {folder} was trained beside other frozen weights than this model has: start from the "
                "same model, or train into another folder"
            )
