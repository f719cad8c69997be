"""What an optimizer is given in every stage: parameters by learning rate and decay, and norms that stand still."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn


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
