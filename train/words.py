"""Two towers trained from nothing in minutes, by contrast and by bags of words: the built-in model's first round.

It stops by the clock. Towers that are pretrained go on by train/clip.py, which resumes, and spreads over processes.
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import math
import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset

from data_engine.recipes.box_caption import box_caption
from train.contrast import contrastive_loss, rotation_loss, same_captions, word_loss
from train.parameters import freeze_norms, group_parameters
from train.pictures import is_spatial, jitter, load_rgb, random_crop, random_move
from train.progress import Progress
from vlm.checkpoint import save_checkpoint
from vlm.embed import text_tokens
from vlm.encoder import CLIP
from vlm.errors import DataError
from vlm.model import NadirForConditionalGeneration
from vlm.processor import NadirProcessor
from vlm.records import Image, Sample
from vlm.tiling import TokenBudget

MAKE_CAPTIONS = "make some by the recipe box_caption of python -m data_engine generate, or name another store"
"""What to do where there are none."""
THEME_MARK = "theme: "
THEME_WEIGHT = 4
"""How many caption words a theme counts for."""


@dataclass(frozen=True)
class WordsConfig:
    """Settings of the contrastive stage."""

    batch: int = 64
    """Pairs a step."""
    minutes: float = 15.0
    """Wall-clock length of the stage."""
    steps: int | None = None
    """Most steps; None for as many as the minutes hold."""
    learning_rate: float = 1.0e-3
    """Peak of the cosine schedule."""
    weight_decay: float = 0.05
    warmup_steps: int = 50
    contrast_every: int = 2
    """Steps between two contrastive losses; the bag of words is learned at every step."""
    least_images: int = 20
    """Images that a word must stand with to be learned."""
    encoder_rate: float = 1.0
    """Factor on the learning rate of the vision tower."""
    encoder_groups: int | None = None
    """Train only the last so many groups of the vision tower's layers, as open_clip counts them; None trains all."""
    frozen_norms: bool = False
    """Keep batch normalisation on its running statistics, as a tower with pretrained ones wants it."""
    box_captions: bool = False
    """Also learn from sentences that the boxes of an image make (data_engine/recipes/box_caption.py)."""
    rotation_weight: float = 0.0
    """Weight of the loss that makes an image and its quarter turns mean the same."""
    seed: int = 0


@dataclass(frozen=True)
class Described:
    """Hold one image, its captions, and the words that it should call to mind (each caption word and its theme)."""

    image: Image
    captions: tuple[str, ...]
    words: tuple[str, ...]
    movable: bool


def describe_images(samples: Iterable[Sample]) -> list[Described]:
    """Gather the captions and the theme of each image from its samples."""
    grouped: dict[str | bytes | None, list[Sample]] = {}
    for sample in samples:
        grouped.setdefault(sample.images[0].path or sample.images[0].data, []).append(sample)
    found = []
    for group in grouped.values():
        texts = [(sample.task, turn.answer.template) for sample in group for turn in sample.turns]
        captions = tuple(text for task, text in texts if task == "caption")
        themes = [THEME_MARK + text for task, text in texts if task == "classify"]
        words = {word for caption in captions for word in caption.split()}
        movable = not any(is_spatial(sample.turns) for sample in group)
        found.append(Described(group[0].images[0], captions, (*sorted(words), *themes * THEME_WEIGHT), movable))
    return [one for one in found if one.captions]


class Pairs(IterableDataset):
    """Yield (pixels (P, P, 3) uint8, caption, word ids) for ever, augmented; one tile an image."""

    def __init__(
        self, described: Sequence[Described], processor: NadirProcessor, vocabulary: dict[str, int], seed: int
    ) -> None:
        self.described, self.processor, self.vocabulary, self.seed = described, processor, vocabulary, seed

    def __iter__(self) -> Iterator[tuple[np.ndarray, str, list[int]]]:
        worker = torch.utils.data.get_worker_info()
        rng = random.Random(f"{self.seed}/{worker.id if worker else 0}")
        while True:
            one = rng.choice(self.described)
            rgb = load_rgb(one.image)
            rgb = random_move(rng).pixels(rgb) if one.movable else rgb
            tile = self.processor.tile_array(random_crop(rgb, rng), budget=TokenBudget(1)).pixels[0]
            ids = [self.vocabulary[word] for word in one.words if word in self.vocabulary]
            yield jitter(tile, rng), rng.choice(one.captions), ids


def add_box_captions(samples: Iterable[Sample], seed: int) -> Iterator[Sample]:
    """Yield samples and, after each that holds boxes, the captions that they make."""
    for sample in samples:
        yield sample
        yield from (made for made in box_caption(sample, seed) if made.task == "caption")


def count_words(described: Iterable[Described], least: int) -> dict[str, int]:
    """Number the words that stand with at least `least` images."""
    counts = Counter(word for one in described for word in set(one.words))
    return {word: number for number, word in enumerate(sorted(word for word in counts if counts[word] >= least))}


def train_words(
    model: NadirForConditionalGeneration,
    processor: NadirProcessor,
    samples: Iterable[Sample],
    config: WordsConfig,
    out: Path,
) -> None:
    """Train both towers for `config.minutes` and write the model to `out/model`.

    Raises DataError where no sample is a caption.
    """
    described = describe_images(add_box_captions(samples, config.seed) if config.box_captions else samples)
    if not described:
        raise DataError(f"the towers learn from captions, and no sample is one: {MAKE_CAPTIONS}")
    vocabulary = count_words(described, config.least_images)
    clip = model.encoder.clip.train()
    if config.frozen_norms:
        freeze_norms(clip)
    cast(Any, model.encoder).to(memory_format=torch.channels_last)
    head = nn.Linear(clip.text_projection.shape[1], len(vocabulary))
    optimizer = torch.optim.AdamW(_groups(clip, head, config), betas=(0.9, 0.98))
    pairs = Pairs(described, processor, vocabulary, config.seed)
    loader = DataLoader(pairs, batch_size=config.batch, num_workers=1, collate_fn=list)
    rng = random.Random(config.seed)
    started, progress = time.monotonic(), Progress("clip", out / "log.jsonl", config.minutes * 60)
    for step, batch in enumerate(loader):
        done = max((time.monotonic() - started) / (config.minutes * 60), step / config.steps if config.steps else 0.0)
        if done >= 1:
            break
        warm = min(1.0, (step + 1) / config.warmup_steps)
        for group in optimizer.param_groups:
            group["lr"] = group["factor"] * config.learning_rate * warm * (1 + math.cos(math.pi * done)) / 2
        pixels = processor.normalise(torch.from_numpy(np.stack([tile for tile, _, _ in batch])))
        image = clip.encode_image(pixels)
        losses = {"words": word_loss(head(image), [ids for _, _, ids in batch])}
        if step % config.contrast_every == 0:
            losses["contrast"] = _contrast(model, processor, image, [caption for _, caption, _ in batch])
        if config.rotation_weight:
            losses["turned"] = config.rotation_weight * rotation_loss(clip, pixels, image, rng)
        optimizer.zero_grad(set_to_none=True)
        sum(losses.values(), torch.zeros(())).backward()
        nn.utils.clip_grad_norm_(clip.parameters(), 1.0)
        optimizer.step()
        progress.step(step, pairs=config.batch, words=float(losses["words"].detach()))
    cast(Any, model.encoder).to(memory_format=torch.contiguous_format)
    save_checkpoint(model, processor, out / "model")


def _contrast(
    model: NadirForConditionalGeneration, processor: NadirProcessor, image_BD: torch.Tensor, captions: list[str]
) -> torch.Tensor:
    clip = model.encoder.clip
    text = functional.normalize(clip.encode_text(text_tokens(model.config, processor, captions)), dim=-1)
    same = same_captions(captions)
    scale = clip.logit_scale.exp().clamp(max=100)
    return contrastive_loss(functional.normalize(image_BD, dim=-1), text, scale, same)


def _groups(clip: CLIP, head: nn.Module, config: WordsConfig) -> list[dict[str, Any]]:
    """Split what is trained by learning rate, and leave vectors (norms, biases) without weight decay."""
    if config.encoder_groups is not None:
        cast(Any, clip.visual).lock(unlocked_groups=config.encoder_groups)
    slow = {id(parameter) for parameter in clip.visual.parameters()}
    return group_parameters(
        (
            parameter,
            config.encoder_rate if id(parameter) in slow else 1.0,
            config.weight_decay if parameter.ndim > 1 else 0.0,
        )
        for parameter in (*clip.parameters(), *head.parameters())
    )
