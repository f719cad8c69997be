"""The estimate against what is measured: states to the byte, activations to a tenth; and its advice against itself."""

from __future__ import annotations

import json
from dataclasses import replace
from shlex import split
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

from tests.vlm.tiny import build_tiny
from train.adapters import Adapter, adapt_model
from train.estimate import KNOBS, estimate, find_knobs, main
from train.memory import GIB, NF4, Job, llm_layer_bytes, state_bytes
from train.modules import MODULES, Rates, choose_trained
from train.sizes import LLMS, build_empty, count_parameters, find_config, find_llm
from vlm.errors import InputError

LARGE = find_config(llm="Qwen3-8B")


@pytest.fixture(scope="module")
def empty() -> nn.Module:
    return build_empty(LARGE)


class Kept:
    """Count the bytes that a forward pass keeps for the way back, each storage once, weights left out."""

    def __init__(self, model: nn.Module) -> None:
        self.weights = {p.untyped_storage().data_ptr() for p in (*model.parameters(), *model.buffers())}
        self.found: dict[int, torch.UntypedStorage] = {}

    def pack(self, tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if tensor.ndim > 1 and storage.data_ptr() not in self.weights:
            self.found[storage.data_ptr()] = storage
        return tensor

    @property
    def bytes(self) -> int:
        return sum(storage.nbytes() for storage in self.found.values())


@pytest.mark.parametrize("kind", ["full", "lora"])
@pytest.mark.parametrize("rates", [Rates(), Rates(encoder=0.0), Rates(encoder=0.0, llm=0.0)])
def test_weights_gradients_and_optimizer_are_counted_to_the_byte(kind: Any, rates: Rates) -> None:
    model, _ = build_tiny()
    adapter = Adapter(kind, rank=3)
    job = Job(zero=0, weights="float32", rates=rates, adapter=adapter)
    said = state_bytes(count_parameters(build_empty(model.config), rates, adapter), job)
    adapt_model(model, adapter)
    trained = [p for _, p in choose_trained(model, rates)]
    optimizer = torch.optim.AdamW(trained)
    for parameter in trained:
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    states = [value for state in optimizer.state.values() for name, value in state.items() if name != "step"]
    assert said["weights"] == sum(p.nbytes for p in model.parameters())
    assert said["gradients"] == sum(p.grad.nbytes for p in trained if p.grad is not None)
    assert said["optimizer"] == sum(value.nbytes for value in states)


@pytest.mark.parametrize("family", ["qwen3", "llama"])
@pytest.mark.parametrize("weights", ["float32", "bfloat16"])
@pytest.mark.parametrize("tuned", ["full", "lora", "frozen"])
def test_what_a_layer_keeps_is_what_torch_keeps(family: str, weights: Any, tuned: str) -> None:
    sizes = {"hidden_size": 64, "intermediate_size": 192, "num_attention_heads": 4, "num_key_value_heads": 2}
    text = AutoConfig.for_model(family, vocab_size=50, head_dim=32, num_hidden_layers=1, **sizes)
    kept = []
    for layers in (1, 3):
        text.num_hidden_layers = layers
        text.layer_types = ["full_attention"] * layers
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(text, dtype=getattr(torch, weights)).model.train()
        if tuned != "full":
            model.requires_grad_(False)
        if tuned == "lora":
            from peft import LoraConfig, inject_adapter_in_model

            inject_adapter_in_model(LoraConfig(r=1, target_modules=list(Adapter().targets), lora_dropout=0.1), model)
        embeds = torch.randn(2, 128, 64, dtype=getattr(torch, weights), requires_grad=True)
        counter = Kept(model)
        with torch.autograd.graph.saved_tensors_hooks(counter.pack, lambda tensor: tensor):
            out = model(inputs_embeds=embeds, use_cache=False).last_hidden_state
        kept.append(counter.bytes)
        del out
    job = Job(
        weights=weights,
        rates=Rates(llm=float(tuned != "frozen")),
        adapter=Adapter("lora" if tuned == "lora" else "full"),
    )
    measured = (kept[1] - kept[0]) / 2 / 256
    assert llm_layer_bytes(text, job) == pytest.approx(measured, rel=0.15)


def test_the_sizes_are_those_that_their_makers_publish(empty: nn.Module) -> None:
    billions = {"Qwen3-0.6B": 0.596, "Qwen3-1.7B": 1.72, "Qwen3-8B": 8.19, "Llama-3.1-8B": 8.03}
    for name, expected in billions.items():
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**find_llm(name)))
        assert sum(p.numel() for p in model.parameters()) / 1e9 == pytest.approx(expected, rel=0.01)
    counts = count_parameters(empty, Rates(), Adapter())
    assert set(counts) == set(MODULES)
    assert counts["encoder"].total / 1e6 == pytest.approx(304, rel=0.01)
    assert counts["llm"].total / 1e9 == pytest.approx(8.19, rel=0.01)


def test_each_knob_makes_it_smaller_and_advice_fits(empty: nn.Module) -> None:
    job = Job(gpus=4, zero=1, checkpointing=False, micro_batch=8)
    total = estimate(LARGE, empty, job).total
    found = find_knobs(LARGE, empty, job, gib=80)
    assert found and all(gib <= 80 < total / GIB for _, gib in found)
    assert all(set(names.split(" + ")) <= set(KNOBS) for names, _ in found)
    assert find_knobs(LARGE, empty, job, gib=2) == []


def test_shares_go_down_with_the_zero_stage(empty: nn.Module) -> None:
    totals = [estimate(LARGE, empty, Job(gpus=8, zero=zero)).total for zero in (1, 2, 3)]  # type: ignore[arg-type]
    assert totals[0] > totals[1] > totals[2]
    qlora = estimate(LARGE, empty, Job(rates=Rates(encoder=0.0), adapter=Adapter("qlora")))
    lora = estimate(LARGE, empty, Job(rates=Rates(encoder=0.0), adapter=Adapter("lora")))
    assert lora.parts["weights"] - qlora.parts["weights"] == pytest.approx((2 - NF4) * qlora.counts["llm"].in_4_bits)
    assert lora.hours == qlora.hours
    assert estimate(LARGE, empty, Job(gpus=2)).hours == pytest.approx(estimate(LARGE, empty, Job()).hours / 2)


def test_the_command_says_whether_it_fits(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "nadir.train")
    main(split("--llm Qwen3-8B --vision ViT-L-14 --recipe full --gpus 1 --gpu-gib 80 --zero 0"))
    said = caplog.messages
    assert any("it does NOT fit" in line for line in said)
    result = json.loads(said[-1])
    assert not result["fits"] and result["with"]
    caplog.clear()
    main(split("--llm Qwen3-0.6B --recipe qlora --gpu-gib 24"))
    assert json.loads(caplog.messages[-1])["fits"]


def test_what_is_not_known_is_said() -> None:
    with pytest.raises(InputError, match=r"'gpt-9' is not known here: .* one of Qwen3-0.6B"):
        find_llm("gpt-9")
    with pytest.raises(SystemExit, match="no recipe 'nothing'"):
        main(["--recipe", "nothing"])
    with pytest.raises(SystemExit, match="GPU 'T9' is not known"):
        main(["--gpu", "T9"])
    assert find_llm("Qwen/Qwen3-8B") == LLMS["Qwen3-8B"]
    assert replace(Job(), zero=3).zero == 3
