"""LoRA and QLoRA train, are written in peft's format, come back, and merge into the same answers."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.vlm.tiny import build_tiny
from train.adapters import Adapter, adapt_model, find_layers, load_adapted, merge_adapter, save_adapted
from train.modules import LORA, Rates, choose_trained
from vlm.checkpoint import load_checkpoint, save_checkpoint
from vlm.errors import CheckpointError, InputError
from vlm.model import NadirForConditionalGeneration

WITHOUT = find_spec("bitsandbytes") is None
KINDS = [
    "lora",
    pytest.param("qlora", marks=pytest.mark.skipif(WITHOUT, reason="bitsandbytes is not installed")),
]
PROMPT = {"input_ids": torch.tensor([[5, 9, 11, 40, 7, 30, 22, 8]]), "attention_mask": torch.ones(1, 8).long()}


def learn(model: NadirForConditionalGeneration, steps: int = 12) -> list[float]:
    """Train what trains on one sequence; give the losses."""
    optimizer = torch.optim.AdamW([p for _, p in choose_trained(model, Rates(encoder=0.0))], lr=2e-2)
    model.train()
    losses = []
    for _ in range(steps):
        loss = model(**PROMPT, labels=PROMPT["input_ids"], use_cache=False).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    model.eval()
    return losses


@torch.no_grad()
def answer(model: NadirForConditionalGeneration) -> torch.Tensor:
    return model(**PROMPT, use_cache=False).logits


@pytest.mark.parametrize("kind", KINDS)
def test_train_save_load_merge(kind: Any, tmp_path: Path) -> None:
    base, processor = build_tiny()
    save_checkpoint(base, processor, tmp_path / "base")
    model, _ = load_checkpoint(tmp_path / "base")
    adapt_model(model, Adapter(kind, rank=4, alpha=8, dropout=0.0), base=str(tmp_path / "base"))
    answer(model)
    losses = learn(model)
    assert losses[-1] < 0.7 * losses[0], "an answer given before training must not cost gradients"
    said = answer(model)
    save_adapted(model, processor, tmp_path / "adapter")
    loaded, _ = load_adapted(tmp_path / "adapter")
    torch.testing.assert_close(answer(loaded), said)
    merge_adapter(loaded)
    assert not [name for name in loaded.state_dict() if LORA in name or "quant" in name]
    torch.testing.assert_close(answer(loaded), said, atol=2e-4, rtol=1e-3)
    save_checkpoint(loaded, processor, tmp_path / "merged")
    torch.testing.assert_close(answer(load_checkpoint(tmp_path / "merged")[0]), said, atol=2e-4, rtol=1e-3)


def test_what_is_written_is_small_and_in_the_format_of_peft(tmp_path: Path) -> None:
    model, processor = build_tiny()
    adapt_model(model, Adapter("lora", rank=2), base="somewhere")
    choose_trained(model, Rates(encoder=0.0))
    model.to(memory_format=torch.channels_last)
    save_adapted(model, processor, tmp_path)
    lora, whole = load_file(tmp_path / "adapter_model.safetensors"), load_file(tmp_path / "modules.safetensors")
    assert "base_model.model.language_model.model.layers.0.self_attn.q_proj.lora_A.weight" in lora
    assert {name.split(".")[0] for name in whole} == {
        "keys", "qformer", "difference", "pointer", "projector", "place",
    }  # fmt: skip
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert (config["r"], config["base_model_name_or_path"]) == (2, "somewhere")


def test_other_modules_can_have_adapters_too() -> None:
    model, _ = build_tiny()
    adapter = Adapter("lora", rank=2, modules=("llm", "qformer", "projector"), targets=("q_proj",))
    found = find_layers(model, adapter)
    assert {"projector", "place", "qformer.words", "language_model.model.layers.0.self_attn.q_proj"} <= set(found)
    assert not [name for name in found if "k_proj" in name or name.startswith("encoder")]
    before = answer(model)
    adapt_model(model, adapter)
    trained = [name for name, _ in choose_trained(model, Rates(encoder=0.0, difference=0.0, pointer=0.0))]
    assert trained and all(LORA in name for name in trained)
    merge_adapter(model)
    torch.testing.assert_close(answer(model), before)


def test_what_cannot_be_adapted_is_said(tmp_path: Path) -> None:
    model, processor = build_tiny()
    with pytest.raises(InputError, match=r"no layer .* is called c_attn: set adapter.targets to some of .*q_proj"):
        adapt_model(model, Adapter("lora", targets=("c_attn",)))
    with pytest.raises(InputError, match=r"adapter.modules names 'encoder': known are llm, qformer, projector"):
        Adapter("lora", modules=("encoder",))
    with pytest.raises(InputError, match=r"adapter.rank is 0"):
        Adapter("lora", rank=0)
    with pytest.raises(CheckpointError, match="holds no adapter"):
        load_adapted(tmp_path)
    adapt_model(model, Adapter("lora", rank=2))
    save_adapted(model, processor, tmp_path / "adapter")
    other, _ = build_tiny(pointer_width=4)
    save_checkpoint(other, processor, tmp_path / "other")
    choose_trained(model, Rates())
    save_adapted(model, processor, tmp_path / "adapter")
    with pytest.raises(CheckpointError, match=r"does not fit .*other: pointer"):
        load_adapted(tmp_path / "adapter", base=tmp_path / "other")
