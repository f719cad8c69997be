"""Instruction tuning learns, stops, goes on where it stopped, and trains on what serving will show."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.vlm.tiny import build_tiny
from train.checkpoints import Checkpoints
from train.mixture import Conversation, Mixture, build_conversation, group_feed
from train.modules import Rates, module_of
from train.sft import SftConfig, parameter_groups, set_training, spent_minutes, train_sft
from vlm.answer import Nadir
from vlm.checkpoint import load_checkpoint
from vlm.errors import DataError, InputError
from vlm.prompts import user_message
from vlm.records import Sample

CONFIG = SftConfig(batch=6, steps=200, minutes=10, learning_rate=3e-3, warmup_steps=5, save_minutes=0.0)


def test_a_tiny_model_learns_what_colour_a_box_has(samples: list[Sample], tmp_path: Path) -> None:
    model, processor = build_tiny()
    torch.manual_seed(0)
    which = [sample for sample in samples if sample.task == "vqa"]
    train_sft(model, processor, [(group_feed(which), 1.0)], replace(CONFIG, save_minutes=5.0), tmp_path)
    nadir = Nadir(*load_checkpoint(tmp_path / "model"))
    answers = [nadir.ask(sample.images[0].path or "", "Which colour is it?").text for sample in which]
    assert answers == ["red", "green", "blue"]


def test_a_stopped_run_goes_on_from_its_step(samples: list[Sample], tmp_path: Path) -> None:
    feeds = [(group_feed(samples), 1.0)]
    for steps in (3, 5):
        model, processor = build_tiny()
        train_sft(model, processor, feeds, replace(CONFIG, steps=steps), tmp_path)
        assert Checkpoints(tmp_path / "checkpoints").newest() == steps
        assert json.loads((tmp_path / "model" / "training.json").read_text())["step"] == steps
    assert spent_minutes(tmp_path) < CONFIG.minutes


def test_the_pointer_alone_is_trained_on_conversations_about_places(samples: list[Sample], tmp_path: Path) -> None:
    model, processor = build_tiny()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    feed = group_feed(samples, places=True)
    assert {feed(random.Random(seed)).turns[0].instruction for seed in range(9)} == {"Where is the box?"}
    alone = Rates(qformer=0.0, difference=0.0, projector=0.0, llm=0.0)
    config = replace(CONFIG, steps=40, learning_rate=1e-2, rates=alone, answers=False, log_s=0.0)
    train_sft(model, processor, [(feed, 1.0)], config, tmp_path)
    changed = {module_of(name) for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"encoder", "pointer"}
    losses = [json.loads(line)["pointer"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert losses[-1] < 0.7 * losses[0]


def test_a_model_without_a_pointer_cannot_train_it_alone(samples: list[Sample], tmp_path: Path) -> None:
    model, processor = build_tiny(pointer_width=0)
    with pytest.raises(InputError, match="this model has none"):
        train_sft(model, processor, [(group_feed(samples), 1.0)], replace(CONFIG, answers=False), tmp_path)


def test_samples_without_places_are_refused_where_places_are_wanted(samples: list[Sample]) -> None:
    with pytest.raises(DataError, match="none names a place"):
        group_feed([sample for sample in samples if sample.task == "vqa"], places=True)


def test_a_conversation_is_the_prompt_that_serving_builds(samples: list[Sample]) -> None:
    _, processor = build_tiny()
    drawn = group_feed([samples[0]], moves=False)(random.Random(0))
    image = processor.tile_array(drawn.pictures[0])
    messages = build_conversation(drawn.turns, [(48, 32)], notes=[""])
    assert messages[0] == user_message("Where is the box?", [""])
    assert messages[1] == {"role": "assistant", "content": "<box>[[83,188,417,563]]</box>"}
    trained = processor.encode(messages, [image], with_labels=True)["input_ids"]
    served = processor.encode(messages[:1], [image])["input_ids"]
    assert torch.equal(trained[: len(served)], served)


def test_the_mixture_is_seeded_and_keeps_lengths(samples: list[Sample]) -> None:
    _, processor = build_tiny()
    feeds = [(group_feed(samples), 1.0)]
    first, second = (next(iter(Mixture(feeds, processor, 4, seed=3))) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert all(
        batch["input_ids"].shape[1] <= 60
        for batch, _ in zip(Mixture(feeds, processor, 4, 0, longest=60), range(5), strict=False)
    )


def test_blind_conversations_have_no_image(samples: list[Sample]) -> None:
    _, processor = build_tiny()
    mixture = Mixture([], processor, 4, 0)
    conversation = Conversation(group_feed(samples)(random.Random(0)).pictures, samples[1].turns, "vqa")
    rng = random.Random(0)
    encoded = [mixture.encode(conversation, rng) for _ in range(200)]
    blind = [one for one in encoded if "pixels" not in one]
    assert 2 <= len(blind) <= 30
    assert all(processor.image_token_id not in one["input_ids"].tolist() for one in blind)


def test_training_keeps_normalisation_and_the_text_tower_still() -> None:
    model, _ = build_tiny()
    parameter_groups(model, CONFIG)
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert any(name.startswith("encoder.clip.transformer") for name in frozen)
    assert not any(name.startswith(("encoder.clip.visual.transformer", "language_model", "qformer")) for name in frozen)
    model.add_module("norm", torch.nn.BatchNorm2d(2))
    set_training(model)
    assert model.training and not model.get_submodule("norm").training


@pytest.mark.parametrize("rate", [0.0])
def test_a_zero_rate_freezes_the_encoder(rate: float) -> None:
    model, _ = build_tiny()
    parameter_groups(model, replace(CONFIG, rates=Rates(encoder=rate)))
    assert not any(parameter.requires_grad for parameter in model.encoder.parameters())


def test_a_round_that_used_its_minutes_is_finished(tmp_path: Path) -> None:
    assert spent_minutes(tmp_path) == 0.0
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "training.json").write_text('{"step": 646, "minutes": 16.0}')
    assert spent_minutes(tmp_path) == 16.0
