"""What every stage's loop does to a model: groups of parameters, norms that stand still, memory, equal shares."""

from __future__ import annotations

import resource
from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import nn

from vlm.errors import InputError


def group_parameters(found: Iterable[tuple[nn.Parameter, float, float]]) -> list[dict[str, Any]]:
    """Group the (parameter, factor on the learning rate, weight decay) whose parameters are trained."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for parameter, rate, decay in found:
        if parameter.requires_grad:
            groups.setdefault((rate, decay), []).append(parameter)
    return [{"params": params, "factor": rate, "weight_decay": decay} for (rate, decay), params in groups.items()]


def freeze_norms(module: nn.Module) -> None:
    """Keep every batch normalisation of `module` on its running statistics: training sees what serving sees."""
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.eval()


def recompute_activations(model: nn.Module) -> None:
    """Let the language model and the vision tower compute their activations again on the way back, not keep them."""
    whole = cast(Any, model)
    whole.language_model.gradient_checkpointing_enable({"use_reentrant": False})
    if hasattr(whole.encoder.clip.visual, "set_grad_checkpointing"):
        whole.encoder.clip.visual.set_grad_checkpointing(True)


def check_batch(batch: int, *, processes: int, accumulate: int) -> None:
    """Refuse, with InputError, a step that cannot be cut into equal pieces."""
    pieces = processes * accumulate
    if batch < 1 or accumulate < 1 or batch % pieces:
        raise InputError(
            f"batch={batch} conversations cannot be shared out to {processes} processes in {accumulate} pieces each: "
            f"choose a multiple of {max(1, pieces)}, such as {max(1, round(batch / max(1, pieces))) * max(1, pieces)}"
        )


def peak_gib() -> float:
    """Give the most memory that this process has held: on the GPU where there is one, else altogether."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
