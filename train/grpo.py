"""Reinforcement from verifiable rewards: answers are sampled in groups, and those better than their group get likelier.

    python -m train.grpo --data out/mine --start out/sft/model --out out/grpo steps=500 group=8

Group relative policy optimisation (Shao et al., DeepSeekMath, 2024), without its division by lengths (Liu et al.,
Dr. GRPO, 2025). The loop is this project's own: TRL's GRPOTrainer hands a model the pixels and a fixed list of the
fields that some published models take, and Nadir's forward pass also needs the frames, dates and instructions of its
tiles. Here the images of a prompt are embedded once for its whole group.

Legend: B prompts, G answers of each, S tokens of the prompts, T tokens of the answers, E width of the language model.
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import argparse
import json
import logging
import random
import sys
import time
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from transformers import BatchFeature

from train.adapters import Adapter, adapt_model, save_trained
from train.mixture import build_conversation
from train.modules import Rates, rate_groups
from train.needs import check_tasks
from train.overrides import override
from train.parameters import freeze_norms
from train.pictures import load_rgb
from train.progress import Progress
from train.recipes import find_recipe, load_share
from train.rewards import TASK_REWARDS, Truth, score_answer
from vlm.checkpoint import load_checkpoint
from vlm.errors import DataError, NadirError
from vlm.model import IMAGE_INPUTS, NadirForConditionalGeneration
from vlm.processor import NadirProcessor
from vlm.records import Sample, Task

LOG = logging.getLogger("nadir.train")


@dataclass(frozen=True)
class GrpoConfig:
    """Settings of reinforcement."""

    steps: int = 500
    prompts: int = 4
    """Prompts a step."""
    group: int = 8
    """Answers sampled to each prompt, which are compared with each other."""
    updates: int = 1
    """Optimizer steps on the answers of a step; from the second on, ratios are clipped."""
    clip_ratio: float = 0.2
    learning_rate: float = 1e-6
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    temperature: float = 1.0
    """Of sampling; losses use the same."""
    kl_weight: float = 0.0
    """Weight of the divergence from the model at the start; above 0 a copy of it is kept."""
    max_new_tokens: int = 64
    save_steps: int = 100
    seed: int = 0
    rates: Rates = field(default_factory=lambda: Rates(encoder=0.0, pointer=0.0))
    adapter: Adapter = field(default_factory=Adapter)


class Question(NamedTuple):
    """Hold one prompt as the model takes it, what its answer is compared with, and by which task's rewards."""

    encoded: dict[str, torch.Tensor]
    truth: Truth
    task: Task


class Sampled(NamedTuple):
    """Hold the answers (B * G, T) of a step, which of their tokens count, and what they are worth."""

    ids: torch.Tensor
    mask: torch.Tensor
    rewards: torch.Tensor
    parts: dict[str, float]


def ask_questions(samples: Sequence[Sample], processor: NadirProcessor, rng: random.Random) -> Iterator[Question]:
    """Yield the first turns of samples for ever, in random order; DataError where none has a task with a reward."""
    usable = [sample for sample in samples if sample.task in TASK_REWARDS]
    if not usable:
        raise DataError(
            f"none of {len(samples)} samples has a task with a verifiable reward: those are {', '.join(TASK_REWARDS)}"
        )
    while True:
        sample = rng.choice(usable)
        pictures = [load_rgb(image) for image in sample.images]
        sizes = tuple((rgb.shape[1], rgb.shape[0]) for rgb in pictures)
        partner = (1, 0) if len(pictures) == 2 else (None,) * len(pictures)
        tiled = [processor.tile_array(rgb, date=date, partner=partner[date]) for date, rgb in enumerate(pictures)]
        messages = build_conversation(sample.turns[:1], sizes, notes=[""] * len(tiled))[:1]
        yield Question(processor.encode(messages, tiled), Truth(sample.turns[0].answer, sizes), sample.task)


@torch.no_grad()
def sample_answers(
    model: NadirForConditionalGeneration,
    processor: NadirProcessor,
    batch: BatchFeature,
    questions: Sequence[Question],
    config: GrpoConfig,
) -> Sampled:
    """Sample a group of answers to each question and score them."""
    model.eval()
    output = model.generate(
        **batch,
        max_new_tokens=config.max_new_tokens,
        do_sample=True,
        temperature=config.temperature,
        top_k=0,
        top_p=1.0,
        num_return_sequences=config.group,
    )
    ids = output[:, batch["input_ids"].shape[1] :]
    mask = answer_mask(ids, processor.tokenizer.eos_token_id)
    texts = processor.tokenizer.batch_decode(ids, skip_special_tokens=True)
    owners = [question for question in questions for _ in range(config.group)]
    found = [score_answer(text, owner.truth, owner.task) for text, owner in zip(texts, owners, strict=True)]
    parts: dict[str, float] = {}
    for name in sorted({name for one in found for name in one}):
        values = [one[name] for one in found if name in one]
        parts[name] = sum(values) / len(values)
    return Sampled(ids, mask, torch.tensor([one["total"] for one in found], device=ids.device), parts)


def answer_mask(ids_NT: torch.Tensor, end: int) -> torch.Tensor:
    """Mark the tokens of answers up to and with the first end token, (N, T) bool."""
    ended = (ids_NT == end).int()
    return (ended.cumsum(1) - ended) == 0


def group_advantages(rewards_N: torch.Tensor, group: int) -> torch.Tensor:
    """Give how much better each answer is than its group, in standard deviations of it; 0 where all are alike."""
    rewards_BG = rewards_N.view(-1, group)
    away = rewards_BG - rewards_BG.mean(1, keepdim=True)
    return (away / (rewards_BG.std(1, keepdim=True, correction=0) + 1e-4)).flatten()


def answer_log_probs(
    model: NadirForConditionalGeneration, batch: BatchFeature, sampled: Sampled, *, group: int, temperature: float
) -> torch.Tensor:
    """Give the log probability of every token of the answers, (B * G, T); images are embedded once a prompt."""
    images = {name: batch[name] for name in IMAGE_INPUTS if name in batch}
    prompts_BSE = model.embed_inputs(batch["input_ids"], **images)
    answers = model.get_input_embeddings()(sampled.ids)
    embeds = torch.cat((prompts_BSE.repeat_interleave(group, 0), answers), dim=1)
    seen = torch.cat((batch["attention_mask"].repeat_interleave(group, 0), sampled.mask.long()), dim=1)
    length = batch["input_ids"].shape[1]
    places = (seen.cumsum(1) - 1).clamp(min=0)
    body = model.language_model.get_decoder()
    hidden = body(inputs_embeds=embeds, attention_mask=seen, position_ids=places, use_cache=False).last_hidden_state
    logits = model.get_output_embeddings()(hidden[:, length - 1 : -1]).float() / temperature
    logits[..., model.config.image_token_id] = -torch.inf
    found: torch.Tensor = logits.log_softmax(-1).gather(2, sampled.ids.unsqueeze(-1)).squeeze(-1)
    return found


def policy_loss(
    now_NT: torch.Tensor,
    then_NT: torch.Tensor,
    mask_NT: torch.Tensor,
    advantages_N: torch.Tensor,
    *,
    clip_ratio: float,
    kl_weight: float = 0.0,
    start_NT: torch.Tensor | None = None,
) -> torch.Tensor:
    """Give the clipped loss of the policy, and with `start_NT` the divergence from it (k3: Schulman, 2020).

    `then_NT` are the log probabilities at sampling. Every answer's tokens are summed over the same number, so that long
    answers count as they are.
    """
    ratio = (now_NT - then_NT).exp()
    advantages = advantages_N.unsqueeze(1)
    gain = torch.minimum(ratio * advantages, ratio.clamp(1 - clip_ratio, 1 + clip_ratio) * advantages)
    loss = -gain
    if start_NT is not None:
        away = start_NT - now_NT
        loss = loss + kl_weight * (away.exp() - away - 1)
    return (loss * mask_NT).sum() / mask_NT.numel()


class Learner:
    """Hold what a run of reinforcement changes: the model, its optimizer and, for the divergence, the model before."""

    def __init__(self, model: NadirForConditionalGeneration, processor: NadirProcessor, config: GrpoConfig) -> None:
        adapt_model(model, config.adapter)
        groups = rate_groups(model, config.rates, weight_decay=config.weight_decay)
        for group in groups:
            group["lr"] = config.learning_rate * group["factor"]
        self.model, self.processor, self.config = model, processor, config
        self.optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98))
        self.before = deepcopy(model).requires_grad_(False).eval() if config.kl_weight else None

    def step(self, questions: Sequence[Question]) -> dict[str, float]:
        """Sample, score and learn once; give the mean of each part of the rewards, and the answers' length."""
        config, model = self.config, self.model
        batch = self.processor.collate([question.encoded for question in questions]).to(model.device)
        sampled = sample_answers(model, self.processor, batch, questions, config)
        advantages = group_advantages(sampled.rewards, config.group)
        facts = {**sampled.parts, "tokens": float(sampled.mask.sum(1).float().mean())}
        if not bool(advantages.any()):
            return facts
        freeze_norms(model)
        then, start = None, self._start(batch, sampled)
        for _ in range(config.updates):
            now = self._log_probs(model, batch, sampled)
            then = now.detach() if then is None else then
            loss = policy_loss(
                now, then, sampled.mask, advantages, clip_ratio=config.clip_ratio, kl_weight=config.kl_weight,
                start_NT=start,
            )  # fmt: skip
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
            self.optimizer.step()
        return facts

    def _log_probs(self, model: NadirForConditionalGeneration, batch: BatchFeature, sampled: Sampled) -> torch.Tensor:
        return answer_log_probs(model, batch, sampled, group=self.config.group, temperature=self.config.temperature)

    @torch.no_grad()
    def _start(self, batch: BatchFeature, sampled: Sampled) -> torch.Tensor | None:
        return None if self.before is None else self._log_probs(self.before, batch, sampled)


def train_grpo(
    model: NadirForConditionalGeneration,
    processor: NadirProcessor,
    samples: Sequence[Sample],
    config: GrpoConfig,
    out: Path,
) -> list[float]:
    """Train by rewards for `config.steps` steps; write `out/model` now and then and give the mean reward of each step.

    Dropout is off while answers are scored, so that the probabilities are those that they were sampled with.
    """
    torch.manual_seed(config.seed)
    learner = Learner(model, processor, config)
    questions = ask_questions(samples, processor, random.Random(config.seed))
    progress, started = Progress("grpo", out / "log.jsonl", None, total_steps=config.steps), time.monotonic()
    rewards = []
    for step in range(config.steps):
        facts = learner.step([next(questions) for _ in range(config.prompts)])
        rewards.append(facts["total"])
        progress.step(step, pairs=config.prompts * config.group, rates=None, **facts)
        if (step + 1) % config.save_steps == 0 or step + 1 == config.steps:
            save_trained(model, processor, out / "model")
            notes: dict[str, Any] = {"config": asdict(config), "step": step + 1, "reward": round(rewards[-1], 4)}
            notes["minutes"] = round((time.monotonic() - started) / 60, 2)
            (out / "model" / "training.json").write_text(json.dumps(notes, indent=1) + "\n")
    return rewards


def main() -> None:
    """Parse the command line and run the stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="full", help="whose data")
    parser.add_argument("--data", type=Path, required=True, help="folder of a store, or of the recipe's stores")
    parser.add_argument("--start", type=Path, required=True, help="directory of a tuned model")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("settings", nargs="*", metavar="key=value", help="settings, such as steps=500 group=8")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        (config,) = override([GrpoConfig()], arguments.settings)
        recipe = find_recipe(arguments.recipe)
        check_tasks(recipe, arguments.data, "reinforcement", TASK_REWARDS, "name data whose answers can be checked")
        samples = [sample for share in recipe.shares for sample in load_share(share, arguments.data)]
        model, processor = load_checkpoint(arguments.start)
        rewards = train_grpo(model, processor, samples, config, arguments.out)
    except NadirError as error:
        sys.exit(str(error))
    LOG.info("%s", json.dumps({"model": str(arguments.out / "model"), "reward": round(rewards[-1], 4)}))


if __name__ == "__main__":
    main()
