"""Sizes of models that are not here: parameters counted exactly, on torch's meta device, without a byte of weights.

Language models come from a directory's config.json or from LLMS, the sizes that their makers publish.
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn
from transformers import InstructBlipQFormerConfig

from train.adapters import Adapter, find_layers
from train.modules import MODULES, Rates, is_reached, module_of
from vlm.config import NadirConfig
from vlm.encoder import named_clip_config
from vlm.errors import InputError
from vlm.model import NadirForConditionalGeneration


def _qwen3(hidden: int, inner: int, layers: int, heads: int, *, tied: bool) -> dict[str, Any]:
    return {
        "model_type": "qwen3",
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "vocab_size": 151936,
        "tie_word_embeddings": tied,
    }


def _llama3(hidden: int, inner: int, layers: int, heads: int, *, tied: bool) -> dict[str, Any]:
    return {
        "model_type": "llama",
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": 8,
        "head_dim": hidden // heads,
        "vocab_size": 128256,
        "tie_word_embeddings": tied,
    }


LLMS: Final = {
    "Qwen3-0.6B": _qwen3(1024, 3072, 28, 16, tied=True),
    "Qwen3-1.7B": _qwen3(2048, 6144, 28, 16, tied=True),
    "Qwen3-4B": _qwen3(2560, 9728, 36, 32, tied=True),
    "Qwen3-8B": _qwen3(4096, 12288, 36, 32, tied=False),
    "Qwen3-14B": _qwen3(5120, 17408, 40, 40, tied=False),
    "Qwen3-32B": _qwen3(5120, 25600, 64, 64, tied=False),
    "Llama-3.2-1B": _llama3(2048, 8192, 16, 32, tied=True),
    "Llama-3.2-3B": _llama3(3072, 8192, 28, 24, tied=True),
    "Llama-3.1-8B": _llama3(4096, 14336, 32, 32, tied=False),
    "Llama-3.1-70B": _llama3(8192, 28672, 80, 64, tied=False),
}


@dataclass(frozen=True)
class Count:
    """Count the parameters of one module: in all, those that train, and those that QLoRA keeps in 4 bits."""

    total: int
    trained: int
    in_4_bits: int = 0


def find_llm(name: str) -> dict[str, Any]:
    """Give the configuration of a language model: of a directory with config.json, or a named size.

    A hub name counts by its last part. Raises InputError with the known names.
    """
    path = Path(name) / "config.json"
    if path.is_file():
        fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return fields["text_config"] if fields.get("model_type") == "nadir" else fields
    short = name.rpartition("/")[2].removesuffix("-Instruct").removesuffix("-Base")
    if short not in LLMS:
        raise InputError(
            f"the size of the language model {name!r} is not known here: give a directory with its config.json, or one "
            f"of {', '.join(LLMS)}"
        )
    return LLMS[short]


def find_config(*, llm: str, vision: str = "ViT-L-14", **sizes: Any) -> NadirConfig:
    """Give the configuration of a model that build_from_parts would join, with InstructBLIP's Q-former."""
    return NadirConfig(
        clip_config=named_clip_config(vision),
        qformer_config=InstructBlipQFormerConfig(vocab_size=1),
        text_config=dict(find_llm(llm)),
        **sizes,
    )


def build_empty(config: NadirConfig) -> NadirForConditionalGeneration:
    """Build a model on the meta device: every name and shape, no memory."""
    with torch.device("meta"):
        return NadirForConditionalGeneration(config)


def count_parameters(model: nn.Module, rates: Rates, adapter: Adapter) -> dict[str, Count]:
    """Count each module's parameters; adapters are counted, not built."""
    layers = find_layers(model, adapter) if adapter.kind != "full" else []
    shapes = {name: (layer.in_features, layer.out_features) for name, layer in model.named_modules()
              if isinstance(layer, nn.Linear)}  # fmt: skip
    adapted = {module_of(f"{name}.") for name in layers}
    table, counts = rates.table(), {}
    for module in MODULES:
        parts = {name: p.numel() for name, p in model.named_parameters() if module_of(name) == module}
        own, learned = sum(parts.values()), sum(count for name, count in parts.items() if is_reached(name, rates))
        mine = [name for name in layers if module_of(f"{name}.") == module]
        added = sum(adapter.rank * sum(shapes[name]) for name in mine)
        trained = (added if module in adapted else learned) if table[module] > 0 else 0
        dense = sum(shapes[name][0] * shapes[name][1] for name in mine)
        in_4_bits = dense if adapter.kind == "qlora" and module == "llm" else 0
        counts[module] = Count(own + added, trained, in_4_bits)
    return counts


def describe_counts(counts: Mapping[str, Count], rates: Rates, learning_rate: float) -> list[str]:
    """Write the table of modules from counted parameters: in all, trained, and at which learning rate."""
    lines = [f"{'module':<12} {'parameters':>14} {'trained':>14}  learning rate"]
    for module, rate in rates.table().items():
        peak = f"{rate * learning_rate:.2g}" if rate > 0 else "frozen"
        lines.append(f"{module:<12} {counts[module].total:>14,} {counts[module].trained:>14,}  {peak}")
    return lines
