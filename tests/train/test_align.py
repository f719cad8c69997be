"""Alignment: what joins encoder and language model learns which caption is whose, and nothing else moves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.vlm.tiny import build_tiny
from train.align import AlignConfig, Meeting, encode_tiles, encode_words, train_contrast
from train.modules import module_of
from vlm.errors import DataError
from vlm.records import Answer, Sample, Turn


@pytest.fixture
def captioned(samples: list[Sample]) -> list[Sample]:
    which = [sample for sample in samples if sample.task == "vqa"]
    return [
        replace(sample, turns=(Turn("Describe.", Answer(f"a {sample.turns[0].answer.template} box")),), task="caption")
        for sample in which
    ]


def test_padding_changes_no_text() -> None:
    model, _ = build_tiny()
    ids = torch.tensor([[7, 9, 30]])
    padded = torch.tensor([[7, 9, 30, 0, 0]])
    with torch.no_grad():
        alone = encode_words(model, ids, torch.ones_like(ids))
        longer = encode_words(model, padded, torch.tensor([[1, 1, 1, 0, 0]]))
    torch.testing.assert_close(alone, longer)


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


def test_contrast_is_learned_by_what_joins_alone(captioned: list[Sample], tmp_path: Path) -> None:
    model, processor = build_tiny()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    config = AlignConfig(contrast_steps=60, batch=6, learning_rate=5e-3, warmup_steps=5, shared=16)
    losses = train_contrast(model, processor, captioned, config, tmp_path)
    assert sum(losses[-5:]) < 0.85 * sum(losses[:5])
    changed = {module_of(name) for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"qformer"}
    queries = model.config.query_grid**2 + model.config.free_queries
    assert encode_tiles(model, torch.zeros(2, 3, 32, 32)).shape[:2] == (2, queries)


def test_without_captions_it_says_so(tmp_path: Path) -> None:
    model, processor = build_tiny()
    with pytest.raises(DataError, match="needs captions, and no sample is one: set contrast_steps=0"):
        train_contrast(model, processor, [], AlignConfig(), tmp_path)
