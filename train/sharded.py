"""DeepSpeed's side of training: its JSON from a few settings, and its engine behind the plain one's methods."""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, cast

import torch
from torch import nn

from train.engine import EngineSettings, Identity, check_layout, choose_device, count_processes
from train.shards import LAYOUT, TAG, Layout, Stretch, cut_evenly, open_states, read_header

SHARED_MEMORY: Final = "deepspeed_shm_comm"
"""DeepSpeed's operator for inference on processors: training has no use for it, it needs a compiler, and it waits for
ever when an earlier compilation was killed and left its lock."""


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

        deepspeed.ops.__compatible_ops__[SHARED_MEMORY] = False
        self.device, self.ranks, self.rank = choose_device(), count_processes(), int(os.environ.get("RANK", 0))
        self._own, self._layout = model, Layout(self.ranks, settings.zero)
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
        self._engine.save_checkpoint(str(folder), tag=TAG, save_latest=False, exclude_frozen_parameters=True)
        if self.rank == 0:
            said = {**asdict(self._layout), "identity": asdict(self._identity), "notes": dict(notes)}
            (folder / LAYOUT).write_text(json.dumps(said))

    def load(self, folder: Path) -> dict[str, Any]:
        """Go on from a checkpoint; of another number of processes or ZeRO stage, every process finds its own parts."""
        header = read_header(folder)
        self._identity.check(Identity(**header.identity), folder)
        if check_layout(header.layout, self._layout, folder):
            self._engine.load_checkpoint(str(folder), tag=TAG, load_module_strict=False)
        else:
            self._share_out(folder)
        return header.notes

    def _share_out(self, folder: Path) -> None:
        """Take from another layout's checkpoint what this process keeps."""
        states, zero = open_states(folder), self._engine.optimizer
        if self._layout.zero == 3:
            zero.checkpoint_event_prologue()
        for flat, stretches in self._flats():
            zero.optimizer.state[flat] = states.fill(flat, stretches)
        if self._layout.zero == 3:
            zero.load_state_dict([zero.state_dict()] * self.ranks)
            zero.checkpoint_event_epilogue()
        else:
            zero.update_lp_params()

    def _flats(self) -> Iterator[tuple[torch.Tensor, list[Stretch]]]:
        """Yield the flat tensors that this process's optimizer steps, and what of them belongs to which parameter."""
        names, zero = {id(one): name for name, one in self._own.named_parameters()}, self._engine.optimizer
        if self._layout.zero == 3:
            for flat, group in zip(zero.fp32_partitioned_groups_flat, zero.fp16_groups, strict=True):
                yield flat, cut_evenly([(names[id(one)], one.ds_numel) for one in group], self.rank, self.ranks)
            return
        groups = zero.bf16_groups if hasattr(zero, "bf16_groups") else zero.bit16_groups
        for group, held in zip(groups, zero.optimizer.param_groups, strict=True):
            found = []
            for one in group:
                if (piece := one._hp_mapping) is not None:
                    whole, kept = piece.lp_fragment_address, piece.hp_fragment_address
                    found.append(Stretch(names[id(one)], whole.start, kept.start, kept.numel))
            yield held["params"][0], found

    def whole(self) -> AbstractContextManager[Any]:
        """Gather the weights of ZeRO-3 for as long as the context lasts."""
        if self._layout.zero != 3:
            return nullcontext()
        import deepspeed

        return cast(AbstractContextManager[Any], deepspeed.zero.GatheredParameters(list(self._own.parameters())))
