"""LoRA and QLoRA on the modules of a model: put in by peft, kept in peft's format, merged into the weights.

LoRA is Hu et al. (2021); QLoRA keeps the language model's own matrices in 4-bit NormalFloat (Dettmers et al., 2023).
What is written of an adapted model is small: the adapter, and the modules that trained whole, beside the name of the
model that they were trained on.
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import json
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal, cast

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from train.modules import LORA, MODULES, module_of
from vlm.checkpoint import load_checkpoint, save_checkpoint
from vlm.errors import CheckpointError, InputError
from vlm.model import NadirForConditionalGeneration
from vlm.processor import NadirProcessor

ADAPTER: Final = "adapter_config.json"
WEIGHTS: Final = "adapter_model.safetensors"
WHOLE: Final = "modules.safetensors"
"""The modules without an adapter that trained, whole."""
BASE: Final = "base.json"
PEFT: Final = "base_model.model."
"""What peft's files put before the name of every tensor."""
ADAPTABLE: Final = ("llm", "qformer", "projector")


@dataclass(frozen=True)
class Adapter:
    """Say how the language model is tuned: whole, by low-rank additions, or by these on 4-bit weights."""

    kind: Literal["full", "lora", "qlora"] = "full"
    rank: int = 64
    alpha: int = 128
    """The additions are scaled by alpha / rank."""
    dropout: float = 0.05
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    """Names of the language model's linear layers that get one."""
    modules: tuple[str, ...] = ("llm",)
    """Modules that get one: llm, qformer, projector; of the latter two, every linear layer."""

    def __post_init__(self) -> None:
        if self.kind == "full":
            return
        if self.rank < 1:
            raise InputError(f"adapter.rank is {self.rank}: expected at least 1, such as 64")
        if unknown := [name for name in self.modules if name not in ADAPTABLE]:
            raise InputError(f"adapter.modules names {unknown[0]!r}: known are {', '.join(ADAPTABLE)}")


def adapt_model(model: NadirForConditionalGeneration, adapter: Adapter, *, base: str = "") -> None:
    """Put an adapter into a model, in place; for "qlora" the language model's adapted layers become 4-bit first.

    `base` names the model directory in what save_adapted writes. Raises InputError where no layer has a name of
    `adapter.targets`.
    """
    if adapter.kind == "full":
        return
    from peft import LoraConfig, inject_adapter_in_model

    layers = find_layers(model, adapter)
    if adapter.kind == "qlora":
        quantize_layers(model, list(filter(_in_llm, layers)))
    config = LoraConfig(
        r=adapter.rank,
        lora_alpha=adapter.alpha,
        lora_dropout=adapter.dropout,
        target_modules=layers,
        base_model_name_or_path=base or None,
    )
    config.target_modules = set(layers)
    inject_adapter_in_model(config, model)
    cast(Any, model).adapter = (config, adapter.kind)


def find_layers(model: nn.Module, adapter: Adapter) -> list[str]:
    """List the full names of the linear layers that an adapter goes to."""
    linear = [name for name, layer in model.named_modules() if isinstance(layer, nn.Linear)]
    inside = [name for name in linear if name.startswith(_prefixes(adapter.modules))]
    found = [name for name in inside if not _in_llm(name) or name.rpartition(".")[2] in adapter.targets]
    if "llm" in adapter.modules and not any(map(_in_llm, found)):
        known = sorted({name.rpartition(".")[2] for name in linear if _in_llm(name)})
        raise InputError(
            f"no layer of the language model is called {', '.join(adapter.targets)}: set adapter.targets to some of "
            f"{', '.join(known)}"
        )
    return found


def quantize_layers(model: nn.Module, names: list[str]) -> None:
    """Replace linear layers by bitsandbytes' 4-bit NormalFloat ones, in place; their weights stand still.

    On processors with bfloat16 instructions bitsandbytes would repack the weights at the first forward pass outside of
    training and lose every later gradient through them: that is switched off.
    """
    if find_spec("bitsandbytes") is None:
        raise InputError(
            "adapter.kind=qlora needs bitsandbytes, which is not installed: pip install 'nadir-vlm[train]'"
        )
    import bitsandbytes as bnb

    for name in names:
        old = cast(nn.Linear, model.get_submodule(name))
        layer = bnb.nn.Linear4bit(
            old.in_features,
            old.out_features,
            bias=old.bias is not None,
            compute_dtype=old.weight.dtype,
            quant_type="nf4",
            device="meta",
        )
        layer.weight = bnb.nn.Params4bit(old.weight.data, requires_grad=False, quant_type="nf4", module=layer)
        layer.bias = old.bias
        layer.support_avx512bf16_for_cpu = False
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, layer.to(old.weight.device))
    cast(Any, model).is_loaded_in_4bit = True


def merge_adapter(model: NadirForConditionalGeneration, *, leave: tuple[str, ...] = ()) -> None:
    """Add an adapter to the weights that it stands beside, in place; the model is then like any other.

    That of the modules in `leave` is taken out instead. 4-bit layers become ordinary ones that hold what they computed
    with, so that merging changes no answer.
    """
    for name, layer in list(_lora_layers(model)):
        base = layer.get_base_layer()
        weight = _dense(base)
        if module_of(f"{name}.") not in leave:
            weight = weight + sum(layer.get_delta_weight(key) for key in layer.lora_A).to(weight.dtype)
        merged = nn.Linear(base.in_features, base.out_features, bias=base.bias is not None, device="meta")
        merged.weight, merged.bias = nn.Parameter(weight.detach()), base.bias
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, merged)
    for mark in ("adapter", "is_loaded_in_4bit"):
        if hasattr(model, mark):
            delattr(model, mark)


def save_language_adapter(model: NadirForConditionalGeneration, folder: Path, *, base: str) -> None:
    """Write the language model's part of an adapter in peft's format, as vLLM takes it beside the base."""
    config, _ = cast(Any, model).adapter
    own = model.state_dict()
    lora = {PEFT + name.replace(".default.", "."): own[name].contiguous() for name in own if LORA in name}
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: lora[name] for name in lora if _in_llm(name.removeprefix(PEFT))}, folder / WEIGHTS)
    alone = copy(config)
    alone.base_model_name_or_path = base
    alone.target_modules = {name.rpartition(".")[2] for name in config.target_modules if _in_llm(name)}
    alone.save_pretrained(folder)


def save_adapted(model: NadirForConditionalGeneration, processor: NadirProcessor, folder: Path) -> None:
    """Write the adapter in peft's format, the modules that trained whole, and the directory they stand on."""
    config, kind = cast(Any, model).adapter
    folder.mkdir(parents=True, exist_ok=True)
    own = model.state_dict()
    lora = {PEFT + name.replace(".default.", "."): own[name].contiguous() for name in own if LORA in name}
    trained = {module_of(name) for name, p in model.named_parameters() if p.requires_grad and LORA not in name}
    whole = {name: own[name] for name in own if module_of(name) in trained and LORA not in name}
    whole = {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in whole.items()}
    save_file(lora, folder / WEIGHTS, metadata={"format": "pt"})
    save_file(whole, folder / WHOLE, metadata={"format": "pt"})
    config.save_pretrained(folder)
    processor.save_pretrained(folder)
    (folder / BASE).write_text(json.dumps({"base": config.base_model_name_or_path, "kind": kind}) + "\n")


def save_trained(model: NadirForConditionalGeneration, processor: NadirProcessor, folder: Path) -> None:
    """Write what training made: the whole model, or for an adapted one what was trained of it."""
    if hasattr(model, "adapter"):
        save_adapted(model, processor, folder)
    else:
        save_checkpoint(model, processor, folder)


def load_adapted(
    folder: Path, *, base: str | Path | None = None, dtype: str = "float32", merge: bool = False
) -> tuple[NadirForConditionalGeneration, NadirProcessor]:
    """Load a base model with the adapter and modules of `folder`; `merge` adds the adapter to the weights.

    Raises CheckpointError where the folder holds no adapter, or one whose tensors do not fit the base.
    """
    from peft import LoraConfig

    if not (folder / BASE).is_file():
        raise CheckpointError(f"{folder} holds no adapter: expected {ADAPTER}, {WEIGHTS}, {WHOLE} and {BASE}")
    notes = json.loads((folder / BASE).read_text())
    model, processor = load_checkpoint(base or notes["base"], dtype=dtype)
    config = LoraConfig.from_pretrained(str(folder))
    _adapt_again(model, config, notes["kind"])
    own = model.state_dict()
    lora = {name.removeprefix(PEFT): tensor for name, tensor in load_file(folder / WEIGHTS).items()}
    named = {name.replace(".default.", "."): name for name in own if LORA in name}
    found = {named.get(name, name): tensor for name, tensor in (lora | load_file(folder / WHOLE)).items()}
    wrong = [name for name, tensor in found.items() if name not in own or own[name].shape != tensor.shape]
    if wrong or len(lora) != len(named):
        raise CheckpointError(
            f"the adapter of {folder} does not fit {base or notes['base']}: "
            f"{wrong[0] if wrong else 'another number of layers'}; name the model that it was trained on"
        )
    with torch.no_grad():
        for name, tensor in found.items():
            own[name].copy_(tensor)
    if merge:
        merge_adapter(model)
    return model, processor


def _adapt_again(model: NadirForConditionalGeneration, config: Any, kind: str) -> None:
    from peft import inject_adapter_in_model

    if kind == "qlora":
        quantize_layers(model, list(filter(_in_llm, config.target_modules)))
    inject_adapter_in_model(config, model)
    cast(Any, model).adapter = (config, kind)


def _in_llm(name: str) -> bool:
    return name.startswith(MODULES["llm"])


def _prefixes(modules: tuple[str, ...]) -> tuple[str, ...]:
    """Give the beginnings of the names of the layers of modules; a layer's name has no dot at its end."""
    found = tuple(prefix for module in modules for prefix in MODULES[module])
    return (*found, *(prefix.removesuffix(".") for prefix in found))


def _lora_layers(model: nn.Module) -> Iterator[tuple[str, Any]]:
    from peft.tuners.lora import LoraLayer

    return ((name, layer) for name, layer in model.named_modules() if isinstance(layer, LoraLayer))


def _dense(layer: Any) -> torch.Tensor:
    """Give the weight of a linear layer as it computes with it."""
    state = getattr(layer.weight, "quant_state", None)
    weight: torch.Tensor = layer.weight.data
    if state is None:
        return weight
    from bitsandbytes.functional import dequantize_4bit

    return dequantize_4bit(weight, state)
