"""The modules of a model as training sees them: what each holds, whether it trains, and at which learning rate."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

from torch import nn

from train.parameters import depthwise_convolutions, group_parameters
from vlm.errors import InputError
from vlm.model import NadirForConditionalGeneration

MODULES: Final[dict[str, tuple[str, ...]]] = {
    "encoder": ("encoder.clip.visual.",),
    "text_tower": ("encoder.clip.",),
    "qformer": ("keys.", "qformer."),
    "difference": ("difference.",),
    "pointer": ("pointer.",),
    "projector": ("projector.", "place."),
    "llm": ("language_model.",),
}
"""Modules and the prefixes of their parameters' names; the first that fits counts."""
POOLING: Final = (".head.", ".visual.proj")
"""What the names of the vision tower's last layers hold, whose output is for the text tower alone."""
ANSWERS: Final = ("qformer.", "projector.", "place.", "language_model.")
"""Prefixes of what only the loss of answers reaches."""
LORA: Final = ".lora_"
"""What the names of an adapter's parameters hold."""


@dataclass(frozen=True)
class Rates:
    """Say of each module by which factor on the stage's learning rate it trains; 0 freezes it, bit by bit."""

    encoder: float = 1.0
    """Vision tower. What the Q-former does not see of it, its pooled output, is left alone while others train."""
    text_tower: float = 0.0
    """Text tower and temperature of the encoder, which only contrastive losses reach."""
    qformer: float = 1.0
    """Q-former and the layer that makes its keys."""
    difference: float = 1.0
    pointer: float = 1.0
    projector: float = 1.0
    llm: float = 1.0
    """Language model: all of it, or its adapter alone where it has one."""

    def __post_init__(self) -> None:
        if wrong := [name for name, rate in self.table().items() if not 0 <= rate < float("inf")]:
            raise InputError(
                f"the rate of {wrong[0]} is {self.table()[wrong[0]]}: expected a factor from 0 (frozen) on, such as 0.1"
            )

    def table(self) -> dict[str, float]:
        """Give the factor of each module."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def module_of(name: str) -> str:
    """Give the module that a parameter belongs to by its name; raises KeyError for a name of no module."""
    for module, prefixes in MODULES.items():
        if name.startswith(prefixes):
            return module
    raise KeyError(name)


def has_adapter(model: nn.Module, module: str) -> bool:
    """Tell whether a module carries an adapter, so that its own weights stand still."""
    return any(LORA in name for name, _ in model.named_parameters() if name.startswith(MODULES[module]))


def is_reached(name: str, rates: Rates, *, answers: bool = True) -> bool:
    """Tell whether a loss reaches a parameter: none reaches the pooling of the vision tower but through its text tower,
    and without `answers` none what only theirs does."""
    pools = any(part in name for part in POOLING)
    return (rates.text_tower > 0 or not pools) and (answers or not name.startswith(ANSWERS))


def choose_trained(
    model: NadirForConditionalGeneration,
    rates: Rates,
    *,
    encoder_groups: int | None = None,
    depthwise: bool = True,
    answers: bool = True,
) -> list[tuple[str, nn.Parameter]]:
    """Switch gradients on for what trains and off for the rest; give the names and parameters that train, in order.

    `encoder_groups` are the last groups of the vision tower's layers that may train, as open_clip counts them;
    `depthwise` says whether its depthwise convolutions may. What no loss reaches is left alone, or its weights would
    decay under DeepSpeed: the pooling of the vision tower, and without `answers` what only their loss reaches.
    """
    visual: Any = model.encoder.clip.visual
    locked = set() if depthwise else {id(part.weight) for part in depthwise_convolutions(visual)}
    if encoder_groups is not None:
        visual.lock(unlocked_groups=encoder_groups)
        locked |= {id(parameter) for parameter in visual.parameters() if not parameter.requires_grad}
    adapted = {module for module in MODULES if has_adapter(model, module)}
    table = rates.table()
    for name, parameter in model.named_parameters():
        module = module_of(name)
        whole = module not in adapted or LORA in name
        seen = id(parameter) not in locked and is_reached(name, rates, answers=answers)
        parameter.requires_grad_(table[module] > 0 and whole and seen and parameter.is_floating_point())
    return [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]


def rate_groups(
    model: NadirForConditionalGeneration,
    rates: Rates,
    *,
    weight_decay: float,
    encoder_groups: int | None = None,
    depthwise: bool = True,
    answers: bool = True,
) -> list[dict[str, Any]]:
    """Split what trains by learning rate and weight decay; vectors and the embeddings of words have none."""
    trained = choose_trained(model, rates, encoder_groups=encoder_groups, depthwise=depthwise, answers=answers)
    table = rates.table()
    return group_parameters(
        (parameter, table[module_of(name)], weight_decay if _decays(name, parameter) else 0.0)
        for name, parameter in trained
    )


def _decays(name: str, parameter: nn.Parameter) -> bool:
    return parameter.ndim > 1 and "embed_tokens" not in name
