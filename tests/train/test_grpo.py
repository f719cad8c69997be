"""Reinforcement: advantages are relative, the loss is the formula, and a model that guesses learns to be right."""

from __future__ import annotations

import random
from itertools import islice
from pathlib import Path

import pytest
import torch

from tests.vlm.tiny import build_tiny
from train.grpo import (
    GrpoConfig,
    Learner,
    Sampled,
    answer_log_probs,
    answer_mask,
    ask_questions,
    group_advantages,
    policy_loss,
    train_grpo,
)
from train.modules import Rates
from vlm.checkpoint import load_checkpoint
from vlm.errors import DataError
from vlm.model import NadirForConditionalGeneration
from vlm.processor import NadirProcessor
from vlm.records import Sample

CONFIG = GrpoConfig(
    steps=25, prompts=3, group=8, learning_rate=1e-3, max_new_tokens=8, rates=Rates(encoder=0.0, pointer=0.0)
)


def test_advantages_are_relative_to_the_group() -> None:
    rewards = torch.tensor([1.0, 0.0, 0.0, 0.0, 0.5, 0.5, 0.5, 0.5])
    found = group_advantages(rewards, 4)
    assert found[0] > 1 and bool((found[1:4] < 0).all()) and not found[4:].any()
    torch.testing.assert_close(found.view(2, 4).sum(1), torch.zeros(2), atol=1e-5, rtol=0)


def test_tokens_count_up_to_the_end() -> None:
    ids = torch.tensor([[5, 2, 2, 7], [5, 6, 7, 8]])
    assert answer_mask(ids, 2).tolist() == [[True, True, False, False], [True] * 4]


def test_the_loss_is_the_clipped_formula() -> None:
    then = torch.zeros(2, 3)
    now = torch.log(torch.tensor([[1.5, 1.0, 0.5], [1.5, 1.0, 0.5]]))
    mask = torch.tensor([[True, True, True], [True, True, False]])
    loss = policy_loss(now, then, mask, torch.tensor([1.0, -1.0]), clip_ratio=0.2)
    assert float(loss) == pytest.approx(-((1.2 + 1.0 + 0.5) + (-1.5 - 1.0)) / 6)
    away = policy_loss(now, then, mask, torch.zeros(2), clip_ratio=0.2, kl_weight=1.0, start_NT=then)
    assert float(away) > 0
    assert float(policy_loss(then, then, mask, torch.zeros(2), clip_ratio=0.2, kl_weight=1.0, start_NT=then)) == 0


def test_probabilities_are_those_of_the_whole_model(samples: list[Sample]) -> None:
    model, processor = build_tiny()
    questions = list(islice(ask_questions(samples, processor, random.Random(0)), 2))
    batch = processor.collate([question.encoded for question in questions])
    ids = torch.randint(5, 60, (4, 3))
    sampled = Sampled(ids, torch.ones(4, 3, dtype=torch.bool), torch.zeros(4), {})
    with torch.no_grad():
        found = answer_log_probs(model, batch, sampled, group=2, temperature=1.0)
        for row in range(4):
            one = processor.collate([questions[row // 2].encoded])
            whole = torch.cat((one["input_ids"], ids[row : row + 1]), dim=1)
            logits = model(**{**one, "input_ids": whole, "attention_mask": torch.ones_like(whole)}).logits
            logits[..., processor.image_token_id] = -torch.inf
            expected = logits[0, -4:-1].log_softmax(-1).gather(1, ids[row][:, None])[:, 0]
            torch.testing.assert_close(found[row], expected, atol=1e-4, rtol=1e-4)


def half_know(model: NadirForConditionalGeneration, processor: NadirProcessor, samples: list[Sample]) -> None:
    """Teach a model right answers half of the time, and each wrong one a quarter of it."""
    colours = ("red", "green", "blue")
    tokens = {colour: processor.tokenizer(f"{colour}<|im_end|>")["input_ids"] for colour in colours}
    longest, end = max(map(len, tokens.values())), processor.tokenizer.eos_token_id
    questions = {q.truth.answer.template: q for q in islice(ask_questions(samples, processor, random.Random(0)), 30)}
    rows = [tokens[said] for right in questions for said in (right, *colours)]
    ids = torch.tensor([row + [end] * (longest - len(row)) for row in rows])
    answers = Sampled(ids, answer_mask(ids, end), torch.zeros(len(ids)), {})
    batch = processor.collate([question.encoded for question in questions.values()])
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(150):
        found = answer_log_probs(model, batch, answers, group=4, temperature=1.0)
        optimizer.zero_grad()
        (-found[answers.mask].sum() / len(ids)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


@pytest.mark.slow
def test_the_reward_of_a_model_that_half_knows_rises(samples: list[Sample], tmp_path: Path) -> None:
    which = [sample for sample in samples if sample.task == "vqa"]
    model, processor = build_tiny()
    half_know(model, processor, which)
    rewards = train_grpo(model, processor, which, CONFIG, tmp_path)
    first, last = sum(rewards[:5]) / 5, sum(rewards[-5:]) / 5
    assert first < 0.75 and last > first + 0.2, rewards
    load_checkpoint(tmp_path / "model")


def test_what_has_no_truth_is_refused(samples: list[Sample]) -> None:
    _, processor = build_tiny()
    with pytest.raises(DataError, match=r"none of 0 samples has a task with a verifiable reward: those are ground"):
        next(ask_questions([], processor, random.Random(0)))


def test_a_group_that_is_all_alike_changes_nothing(samples: list[Sample]) -> None:
    model, processor = build_tiny()
    learner = Learner(model, processor, CONFIG)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    facts = learner.step([next(ask_questions(samples, processor, random.Random(0)))])
    assert facts["total"] == 0.0
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
