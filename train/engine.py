"""Who takes the optimizer's steps: this process alone, or DeepSpeed with every process that its launcher started.

Both keep the state to go on from: steps taken, minutes spent, weights and optimizer.
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import os
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from torch import nn


class Engine(Protocol):
    """Step down losses of `model` and keep the state; `agree` makes all processes decide on the same minutes."""

    model: nn.Module
    rank: int

    def step(self, loss: torch.Tensor) -> None: ...

    def agree(self, minutes: float) -> float: ...

    def save(self, out: Path, *, step: int, minutes: float) -> None: ...

    def resume(self, out: Path) -> tuple[int, float]: ...


def build_engine(model: nn.Module, optimizer: torch.optim.Optimizer, *, batch: int, clip_norm: float) -> Engine:
    """Build the engine that fits how the program was started: `deepspeed` and `torchrun` set LOCAL_RANK."""
    if "LOCAL_RANK" in os.environ:
        return DeepSpeedEngine(model, optimizer, batch=batch, clip_norm=clip_norm)
    return PlainEngine(model, optimizer, clip_norm)


class PlainEngine:
    """Take optimizer steps in one process; the state is one file, replaced when the new one is whole.

    Convolutions run with channels last, which is faster; DeepSpeed's buckets cannot take such gradients.
    """

    rank = 0

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, clip_norm: float) -> None:
        self.model, self.optimizer, self.clip_norm = model, optimizer, clip_norm
        cast(Any, model).to(memory_format=torch.channels_last)

    def step(self, loss: torch.Tensor) -> None:
        """Go one step down the loss."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_norm)
        self.optimizer.step()

    def agree(self, minutes: float) -> float:
        """Give the minutes back: one process agrees with itself."""
        return minutes

    def save(self, out: Path, *, step: int, minutes: float) -> None:
        """Write `out/state.pt`."""
        state = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        torch.save({**state, "step": step, "minutes": minutes}, out / "state.pt.new")
        (out / "state.pt.new").replace(out / "state.pt")

    def resume(self, out: Path) -> tuple[int, float]:
        """Load the state of an earlier run, if there is one; give its steps and minutes."""
        if not (out / "state.pt").exists():
            return 0, 0.0
        state = torch.load(out / "state.pt", map_location="cpu", weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        return state["step"], state["minutes"]


class DeepSpeedEngine:
    """Take optimizer steps with DeepSpeed (ZeRO-1); the state is DeepSpeed's own, a shard a process."""

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, *, batch: int, clip_norm: float) -> None:
        import deepspeed

        settings: dict[str, Any] = {
            "train_micro_batch_size_per_gpu": batch,
            "gradient_accumulation_steps": 1,
            "gradient_clipping": clip_norm,
            "zero_optimization": {"stage": 1},
            "zero_allow_untested_optimizer": True,
        }
        self.rank = int(os.environ.get("RANK", 0))
        self._trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.model, *_ = deepspeed.initialize(model=model, optimizer=optimizer, config=settings)

    def step(self, loss: torch.Tensor) -> None:
        """Go one step down the loss; every parameter takes part, so that all processes reduce the same gradients."""
        engine: Any = self.model
        engine.backward(loss + 0.0 * sum(parameter.flatten()[0] for parameter in self._trained))
        engine.step()

    def agree(self, minutes: float) -> float:
        """Give the first process's minutes to all."""
        shared = torch.tensor([minutes], device=next(self.model.parameters()).device)
        torch.distributed.broadcast(shared, src=0)
        return float(shared)

    def save(self, out: Path, *, step: int, minutes: float) -> None:
        """Write DeepSpeed's checkpoint below `out/deepspeed`; every process calls this."""
        engine: Any = self.model
        engine.save_checkpoint(str(out / "deepspeed"), client_state={"step": step, "minutes": minutes})

    def resume(self, out: Path) -> tuple[int, float]:
        """Load DeepSpeed's checkpoint, if there is one; give its steps and minutes."""
        if not (out / "deepspeed" / "latest").exists():
            return 0, 0.0
        engine: Any = self.model
        _, state = engine.load_checkpoint(str(out / "deepspeed"))
        return state["step"], state["minutes"]
