"""Alignment: what joins encoder and language model learns which caption is whose, and nothing else moves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.vlm.tiny import build_tiny
from train.align import (
    AlignConfig,
    Meeting,
    Words,
    ask_tiles,
    draw_wrong,
    embed_captions,
    matching_loss,
    read_words,
    see_tiles,
    train_contrast,
)
from train.modules import module_of
from train.pictures import load_rgb
from vlm.errors import DataError
from vlm.records import Answer, Sample, Turn
from vlm.tiling import TokenBudget


@pytest.fixture
def captioned(samples: list[Sample]) -> list[Sample]:
    which = [sample for sample in samples if sample.task == "vqa"]
    return [
        replace(sample, turns=(Turn("Describe.", Answer(f"a {sample.turns[0].answer.template} box")),), task="caption")
        for sample in which
    ]


def test_padding_changes_no_text() -> None:
    model, processor = build_tiny()
    with torch.no_grad():
        words = embed_captions(model, processor, ["many planes", "many planes are parked in an airport"])
        alone = embed_captions(model, processor, ["many planes"])
        assert words.mask.sum(1).tolist() != [words.mask.shape[1]] * 2
        torch.testing.assert_close(read_words(model, words)[:1], read_words(model, alone))


def test_an_image_is_matched_by_its_best_query() -> None:
    meeting = Meeting(4, 4)
    with torch.no_grad():
        for layer in (meeting.image, meeting.text):
            layer.weight.copy_(torch.eye(4))
            layer.bias.zero_()
        queries = torch.eye(4)[None, :2].repeat(2, 1, 1)
        queries[1] = torch.eye(4)[2:]
        logits = meeting(queries, torch.eye(4)[[1, 3]]) / meeting.scale.exp()
    torch.testing.assert_close(logits, torch.eye(2))


def test_wrong_pairs_are_those_that_are_most_alike() -> None:
    torch.manual_seed(0)
    logits = torch.tensor([[9.0, 8.0, 0.0], [8.0, 9.0, 0.0], [0.0, 0.0, 9.0]])
    images, texts = draw_wrong(logits, torch.eye(3))
    assert images.tolist() == [0, 1, 2] and texts[:2].tolist() == [1, 0]
    same = torch.ones(3, 3)
    same[2, 0] = 0
    assert [found.tolist() for found in draw_wrong(logits, same)] == [[2], [0]]
    assert not len(draw_wrong(logits, torch.ones(3, 3))[0])


def test_pairs_alone_are_a_loss_too(captioned: list[Sample]) -> None:
    model, processor = build_tiny()
    seen, words = see_tiles(model, torch.zeros(2, 3, 32, 32)), embed_captions(model, processor, ["red", "red"])
    loss = matching_loss(model, Meeting(32, 8), seen, words, torch.zeros(2, 2), torch.ones(2, 2))
    assert torch.isfinite(loss)


def test_contrast_is_learned_by_what_joins_alone(captioned: list[Sample], tmp_path: Path) -> None:
    model, processor = build_tiny()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    config = AlignConfig(contrast_steps=60, batch=6, learning_rate=5e-3, warmup_steps=5, shared=16)
    losses = train_contrast(model, processor, captioned, config, tmp_path).contrast
    assert sum(losses[-5:]) < 0.85 * sum(losses[:5])
    changed = {module_of(name) for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"qformer"}
    queries = model.config.query_grid**2 + model.config.free_queries
    assert ask_tiles(model, see_tiles(model, torch.zeros(2, 3, 32, 32))).shape[:2] == (2, queries)


def test_matching_tells_pairs_from_others(captioned: list[Sample], tmp_path: Path) -> None:
    model, processor = build_tiny()
    config = AlignConfig(contrast_steps=80, batch=6, learning_rate=5e-3, warmup_steps=5, shared=16, matching=1.0)
    found = train_contrast(model, processor, captioned, config, tmp_path)
    assert sum(found.matching[-5:]) < 0.85 * sum(found.matching[:5])
    captions = [sample.turns[0].answer.template for sample in captioned]
    pictures = [load_rgb(sample.images[0]) for sample in captioned]
    tiles = np.concatenate([processor.tile_array(rgb, budget=TokenBudget(1)).pixels for rgb in pictures])
    model.eval()
    with torch.no_grad():
        seen = see_tiles(model, processor.normalise(torch.from_numpy(tiles)))
        words = embed_captions(model, processor, captions)
        turned = Words(words.embedded.roll(1, 0), words.mask.roll(1, 0))
        right, wrong = (
            found.meeting.match(ask_tiles(model, seen, told)).softmax(-1)[:, 1].mean() for told in (words, turned)
        )
    assert right > wrong + 0.1


def test_without_captions_it_says_so(samples: list[Sample], tmp_path: Path) -> None:
    model, processor = build_tiny()
    with pytest.raises(DataError, match="needs captions, and no sample is one: set contrast_steps=0"):
        train_contrast(model, processor, samples, AlignConfig(), tmp_path)
    assert train_contrast(model, processor, samples, AlignConfig(contrast_steps=0), tmp_path).contrast == []
