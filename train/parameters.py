"""What every stage's loop does to a model: groups of parameters, norms that stand still, memory, equal shares."""

from __future__ import annotations

import ctypes
import resource
import sys
from collections.abc import Iterable, Iterator
from types import MethodType
from typing import Any, cast

import torch
from torch import nn

from vlm.errors import InputError

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
"""Options of mallopt(3)."""


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


def depthwise_convolutions(module: nn.Module) -> Iterator[nn.Conv2d]:
    """Yield the convolutions that take each channel by itself."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d) and part.groups == part.in_channels > 1:
            yield part


def quicken_strides(module: nn.Module) -> None:
    """Let depthwise convolutions that stride always multiply in float32.

    In bfloat16 the gradient of their input takes a processor thirty times as long.
    """
    for part in depthwise_convolutions(module):
        if max(part.stride) > 1:
            cast(Any, part).forward = MethodType(_float32_forward, part)


def _float32_forward(self: nn.Conv2d, inputs: torch.Tensor) -> torch.Tensor:
    with torch.autocast(inputs.device.type, enabled=False):
        return type(self).forward(self, inputs.float())


def keep_memory() -> None:
    """Let the C library keep the memory that a step frees for the next one; only glibc can be told so.

    Otherwise large tensors come from fresh pages each time, which costs a third of a step where pages are dear.
    """
    if sys.platform != "linux" or not hasattr(libc := ctypes.CDLL(None), "mallopt"):
        return
    for option, value in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, -1), (M_TOP_PAD, 2**28)):
        libc.mallopt(option, value)


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
