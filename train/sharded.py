"""DeepSpeed's side of training: its JSON from a few settings, and its engine behind the plain one's methods."""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import json
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, cast

import torch
from torch import nn

from train.engine import EngineSettings, Identity, choose_device, count_processes
from vlm.errors import CheckpointError

TAG: Final = "deepspeed"
LAYOUT: Final = "layout.json"
"""File that says how many processes share a checkpoint, by which ZeRO stage, and which model's it is."""


def deepspeed_json(settings: EngineSettings) -> dict[str, Any]:
    """Give DeepSpeed's configuration.

    Accumulation is the loop's own: `step` is called once all pieces of a step went backward, so that a piece can be
    left out. The optimizer is torch's, which needs no compiler, on the processor too.
    """
    zero: dict[str, Any] = {"stage": settings.zero, "overlap_comm": settings.zero == 3 and torch.cuda.is_available()}
    if settings.offload != "none":
        zero["offload_optimizer"] = {"device": "cpu", "pin_memory": torch.cuda.is_available()}
    if settings.offload == "all" and settings.zero == 3:
        zero["offload_param"] = {"device": "cpu", "pin_memory": torch.cuda.is_available()}
    return {
        "train_micro_batch_size_per_gpu": settings.micro_batch,
        "gradient_accumulation_steps": 1,
        "managed_gradient_accumulation": False,
        "gradient_clipping": settings.clip_norm,
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "bf16": {"enabled": settings.weights == "bfloat16"},
        "fp16": {"enabled": settings.weights == "float16"},
        "wall_clock_breakdown": False,
        "steps_per_print": 2**31,
    }


class DeepSpeedEngine:
    """Take optimizer steps with DeepSpeed; the state is DeepSpeed's own, a shard a process."""

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, settings: EngineSettings) -> None:
        import deepspeed

        self.device, self.ranks, self.rank = choose_device(), count_processes(), int(os.environ.get("RANK", 0))
        self._own, self._zero = model, settings.zero
        self._identity = Identity.of(model)
        self.model, *_ = deepspeed.initialize(model=model, optimizer=optimizer, config=deepspeed_json(settings))

    @property
    def _engine(self) -> Any:
        return self.model

    def total(self, values: torch.Tensor) -> torch.Tensor:
        """Give the sum of `values` over the processes."""
        summed = values.detach().clone().to(self.device)
        torch.distributed.all_reduce(summed)
        return summed

    def backward(self, loss: torch.Tensor) -> None:
        """Add a gradient; DeepSpeed takes the mean over the processes, where a sum is meant."""
        self._engine.backward(loss * self.ranks)

    def step(self) -> float:
        """Clip the gradient, take DeepSpeed's step, and give the norm; NaN where DeepSpeed tells none."""
        self._engine.step()
        norm = self._engine.get_global_grad_norm()
        return float("nan") if norm is None else float(norm)

    def save(self, folder: Path, notes: Mapping[str, Any]) -> None:
        """Write DeepSpeed's checkpoint, with `notes` and the layout it was written in, to `folder`."""
        self._engine.save_checkpoint(
            str(folder),
            tag=TAG,
            client_state={"notes": dict(notes)},
            save_latest=False,
            exclude_frozen_parameters=True,
        )
        if self.rank == 0:
            (folder / LAYOUT).write_text(json.dumps({**self._layout(), "identity": asdict(self._identity)}))

    def load(self, folder: Path) -> dict[str, Any]:
        """Go on from DeepSpeed's checkpoint; one of another number of processes or ZeRO stage is refused."""
        written = json.loads((folder / LAYOUT).read_text()) if (folder / LAYOUT).exists() else {}
        identity = written.pop("identity", None)
        if written != self._layout():
            raise CheckpointError(
                f"the checkpoint {folder} was written with {_say(written)}, this run has {_say(self._layout())}: "
                "start as many processes with the same zero stage, or go on from the weights in model/ by --start"
            )
        self._identity.check(Identity(**identity), folder)
        _, state = self._engine.load_checkpoint(str(folder), tag=TAG, load_module_strict=False)
        return cast(dict[str, Any], state["notes"])

    def whole(self) -> AbstractContextManager[Any]:
        """Gather the weights of ZeRO-3 for as long as the context lasts."""
        if self._zero < 3:
            return nullcontext()
        import deepspeed

        return cast(AbstractContextManager[Any], deepspeed.zero.GatheredParameters(list(self._own.parameters())))

    def _layout(self) -> dict[str, int]:
        return {"processes": self.ranks, "zero": self._zero}


def _say(layout: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {value}" for name, value in layout.items()) or "python alone"
