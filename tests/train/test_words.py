"""Towers from nothing: their losses are their formulas, boxes become captions, and turned images mean the same."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from data_engine.annotations import scene_to_sample
from data_engine.objects import Scene
from tests.vlm.tiny import build_tiny
from train.contrast import rotation_loss, same_captions, symmetric_loss
from train.words import WordsConfig, add_box_captions, describe_images, train_words
from vlm.checkpoint import load_checkpoint
from vlm.geometry.shapes import HBB
from vlm.records import Answer, Image, Region, Sample, Turn


@pytest.fixture
def captioned(samples: list[Sample]) -> list[Sample]:
    """Give one caption of each picture."""
    which = [sample for sample in samples if sample.task == "vqa"]
    return [
        replace(sample, turns=(Turn("Describe.", Answer(f"a {sample.turns[0].answer.template} box")),), task="caption")
        for sample in which
    ]


def test_the_symmetric_loss_counts_pairs_with_the_same_caption_as_right() -> None:
    same = same_captions(["a", "b", "a"])
    assert same.tolist() == [[1, 0, 1], [0, 1, 0], [1, 0, 1]]
    certain = torch.where(same > 0, 50.0, 0.0)
    assert float(symmetric_loss(certain, same)) == pytest.approx(2 / 3 * math.log(2), abs=1e-4)
    assert float(symmetric_loss(torch.zeros(3, 3), torch.eye(3))) == pytest.approx(math.log(3))


def test_boxes_become_captions(samples: list[Sample]) -> None:
    image = Image(path=samples[0].images[0].path, width=48, height=32)
    regions = tuple(Region(HBB(x, 4, x + 6, 10), "ship") for x in (2, 20, 36))
    scene = Scene("made/1", image, regions, regions, ("ship",), "made", "train", "none")
    found = list(add_box_captions([scene_to_sample(scene)], seed=0))
    captions = [sample for sample in found if sample.task == "caption"]
    assert len(found) == 1 + len(captions) and captions
    assert any("ship" in sample.turns[0].answer.template for sample in captions)
    (described,) = describe_images(found)
    assert len(described.captions) == len(captions)


def test_the_loss_of_turns_is_zero_for_what_looks_the_same_turned() -> None:
    model, _ = build_tiny()
    clip = model.encoder.clip
    flat, striped = torch.zeros(4, 3, 32, 32), torch.zeros(4, 3, 32, 32)
    striped[:, :, ::8] = 2.0
    with torch.no_grad():
        losses = [float(rotation_loss(clip, x, clip.encode_image(x), random.Random(1))) for x in (flat, striped)]
    assert losses[0] == pytest.approx(0, abs=1e-5) and losses[1] > 1e-4


def test_towers_learn_captions_with_every_option_on(captioned: list[Sample], tmp_path: Path) -> None:
    model, processor = build_tiny()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    config = WordsConfig(
        batch=4, minutes=60, steps=2, least_images=1, box_captions=True, rotation_weight=0.5, warmup_steps=1
    )
    train_words(model, processor, captioned, config, tmp_path)
    trained, _ = load_checkpoint(tmp_path / "model")
    changed = {
        name.split(".")[0] for name, tensor in trained.state_dict().items() if not torch.equal(tensor, before[name])
    }
    assert changed == {"encoder"}
