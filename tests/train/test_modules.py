"""Frozen means unchanged to the last bit, trained means changed: by module, for every recipe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from tests.vlm.tiny import build_tiny
from train.adapters import Adapter, adapt_model
from train.mixture import Mixture, group_feed
from train.modules import MODULES, Rates, choose_trained, module_of, rate_groups
from train.parameters import depthwise_convolutions, quicken_strides
from train.pointing import PointerLoss, pointer_cells
from train.recipes import NANO_CLIP, RECIPES
from train.sft import SftConfig, set_training
from train.sizes import count_parameters, describe_counts
from vlm.encoder import Encoder
from vlm.errors import InputError
from vlm.geometry.shapes import HBB
from vlm.model import NadirForConditionalGeneration
from vlm.records import Answer, Image, Region, Sample, Turn

LAST = "qformer.transformer.encoder.layer.1."
UNREACHED = (f"{LAST}intermediate.", f"{LAST}output.", "qformer.transformer.embeddings.word_embeddings.")
"""What InstructBLIP's Q-former has and no output depends on: words after their last layer, and BERT's embeddings."""
JOINED = {"qformer", "difference", "pointer", "projector"}
TRAINED = {
    ("nano", 1): JOINED | {"llm"},
    ("nano", 2): {"encoder", "qformer", "pointer"},
    ("nano", 3): JOINED | {"encoder", "llm"},
    ("nano", 4): JOINED | {"llm"},
    ("smoke", 0): JOINED | {"encoder", "llm"},
    ("full", 0): JOINED | {"encoder", "llm"},
    ("lora", 0): JOINED | {"llm"},
    ("qlora", 0): JOINED | {"llm"},
    ("projector", 0): {"projector"},
    ("align", 0): JOINED,
}


@pytest.fixture
def pair(samples: list[Sample]) -> list[Sample]:
    """Give one sample of two dates, so that every module has something to learn from."""
    before, after = (sample.images[0] for sample in samples[:4:2])
    turn = Turn("Where is what has changed?", Answer("{box:0}", (Region(HBB(4, 6, 20, 18), "box", 1),), task="change"))
    images = (Image(path=before.path, width=48, height=32), Image(path=after.path, width=48, height=32))
    return [Sample("pair", images, (turn,), "change", "made")]


def take_steps(model: NadirForConditionalGeneration, processor: object, pair: list[Sample], rates: Rates) -> None:
    groups = rate_groups(model, rates, weight_decay=0.05)
    optimizer = torch.optim.AdamW([{**group, "lr": 1e-2 * group["factor"]} for group in groups])
    assert model.pointer is not None
    pointing = PointerLoss(model.pointer)
    mixture = Mixture([(group_feed(pair), 1.0)], processor, 2, 0, cells=pointer_cells(model))  # type: ignore[arg-type]
    set_training(model)
    for batch, _ in zip(mixture, range(2), strict=False):
        where, pointing.truth = batch.pop("pointer_targets"), batch.pop("pointer_truth")
        inputs = dict(batch)
        loss = model(**inputs, use_cache=False).loss + pointing(where)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def whole_state(model: NadirForConditionalGeneration) -> Iterator[tuple[str, torch.Tensor]]:
    return ((name.replace(".base_layer", ""), tensor.clone()) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(("name", "number"), TRAINED)
def test_frozen_means_unchanged_and_trained_means_changed(name: str, number: int, pair: list[Sample]) -> None:
    turn = RECIPES[name]().rounds[number]
    model, processor = build_tiny()
    adapt_model(model, replace(turn.adapter, rank=2, alpha=64, dropout=0.0))
    before = dict(whole_state(model))
    take_steps(model, processor, pair, turn.rates)
    changed = {key for key, tensor in whole_state(model) if not torch.equal(tensor, before[key])}
    assert {module_of(key) for key in changed} == TRAINED[name, number]
    if turn.adapter.kind != "full":
        assert all(".lora_" in key for key in changed if module_of(key) == "llm")
    still = {key for key in set(before) - changed if module_of(key) in TRAINED[name, number] - {"llm", "encoder"}}
    assert {key for key in still if not key.startswith(UNREACHED)} == set()


def test_depthwise_convolutions_stand_still_where_they_are_told_to() -> None:
    model, _ = build_tiny()
    model.encoder = Encoder(NANO_CLIP | {"text_cfg": NANO_CLIP["text_cfg"] | {"vocab_size": 8}}, (-2,))
    convolutions = {id(part.weight) for part in depthwise_convolutions(model.encoder)}
    assert convolutions
    for depthwise in (True, False):
        trained = {id(parameter) for _, parameter in choose_trained(model, Rates(), depthwise=depthwise)}
        assert (convolutions <= trained) == depthwise and (convolutions & trained == set()) != depthwise
        assert trained - convolutions


def test_strides_in_float32_give_what_they_gave() -> None:
    torch.manual_seed(0)
    layer = torch.nn.Conv2d(4, 4, 3, stride=2, groups=4)
    pixels = torch.randn(2, 4, 9, 9)
    wanted = layer(pixels)
    quicken_strides(torch.nn.Sequential(layer))
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(pixels)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, wanted)


def test_every_parameter_belongs_to_a_module() -> None:
    model, _ = build_tiny()
    assert {module_of(name) for name in model.state_dict()} == set(MODULES) == set(Rates().table())


def test_the_table_says_what_trains() -> None:
    model, _ = build_tiny()
    rates = Rates(encoder=0.1, llm=0.0)
    counts = count_parameters(model, rates, Adapter())
    lines = {line.split()[0]: line for line in describe_counts(counts, rates, 1e-3)}
    assert lines["llm"].endswith("0  frozen") and lines["encoder"].endswith("0.0001")


def test_a_rate_below_zero_is_refused() -> None:
    with pytest.raises(InputError, match=r"the rate of llm is -1.*from 0 \(frozen\) on"):
        Rates(llm=-1)


def test_rates_of_a_stage_are_those_of_its_groups() -> None:
    model, _ = build_tiny()
    config = SftConfig(rates=Rates(encoder=0.25, llm=0.5))
    groups = rate_groups(model, config.rates, weight_decay=0.1)
    assert {group["factor"] for group in groups} == {0.25, 0.5, 1.0}
    assert {group["weight_decay"] for group in groups} == {0.0, 0.1}
    assert Adapter().kind == "full"


def test_what_no_loss_reaches_is_left_alone() -> None:
    model, _ = build_tiny()
    pooling = ("encoder.clip.visual.proj",)
    for rates, answers in ((Rates(), True), (Rates(), False), (Rates(text_tower=1.0), True)):
        trained = [name for name, _ in choose_trained(model, rates, answers=answers)]
        assert any(name in pooling for name in trained) == (rates.text_tower > 0)
        modules = {module_of(name) for name in trained if not name.startswith("keys.")}
        learned = {"encoder", "difference", "pointer"} | ({"qformer", "projector", "llm"} if answers else set())
        assert modules - {"text_tower"} == learned
