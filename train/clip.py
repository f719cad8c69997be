"""Contrastive pre-training of the encoder's two towers on image-caption pairs (CLIP: Radford et al., 2021).

python -m train.clip --recipe nano --data DIR --out out/nano/clip
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset

from train.pictures import is_spatial, jitter, load_rgb, random_crop, random_move
from train.progress import Progress
from vlm.embed import text_tokens
from vlm.model import NadirForConditionalGeneration
from vlm.processor import NadirProcessor
from vlm.records import Sample
from vlm.tiling import TokenBudget


@dataclass(frozen=True)
class ClipConfig:
    """Settings of the contrastive stage."""

    batch: int = 64
    """Pairs a step."""
    minutes: float = 12.0
    """Wall-clock length of the stage."""
    learning_rate: float = 1.5e-3
    """Peak of the cosine schedule."""
    weight_decay: float = 0.05
    warmup_steps: int = 50
    seed: int = 0


class Pairs(IterableDataset):
    """Yield (pixels (P, P, 3) uint8, caption) for ever, augmented; one tile an image."""

    def __init__(self, samples: Sequence[Sample], processor: NadirProcessor, seed: int) -> None:
        self.samples, self.processor, self.seed = samples, processor, seed

    def __iter__(self) -> Iterator[tuple[np.ndarray, str]]:
        worker = torch.utils.data.get_worker_info()
        rng = random.Random(f"{self.seed}/{worker.id if worker else 0}")
        while True:
            sample = rng.choice(self.samples)
            rgb = load_rgb(sample.images[0])
            if not is_spatial(sample.turns):
                rgb = random_move(rng).apply(rgb)
            tile = self.processor.tile_array(random_crop(rgb, rng), budget=TokenBudget(1)).pixels[0]
            yield jitter(tile, rng), sample.turns[0].answer.template


def contrastive_loss(
    images_BD: torch.Tensor, texts_BD: torch.Tensor, scale: torch.Tensor, same_BB: torch.Tensor
) -> torch.Tensor:
    """Give the symmetric cross-entropy in which every pair with the same caption counts as positive."""
    logits = scale * images_BD @ texts_BD.T
    target = same_BB / same_BB.sum(1, keepdim=True)
    rows = -(target * functional.log_softmax(logits, dim=1)).sum(1).mean()
    columns = -(target * functional.log_softmax(logits.T, dim=1)).sum(1).mean()
    return (rows + columns) / 2


def train_clip(
    model: NadirForConditionalGeneration,
    processor: NadirProcessor,
    samples: Sequence[Sample],
    config: ClipConfig,
    out: Path,
) -> None:
    """Train both towers for `config.minutes` and write their weights to `out/encoder.pt`."""
    clip = model.encoder.clip.train()
    groups = [
        {"params": [p for p in clip.parameters() if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in clip.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98))
    loader = DataLoader(Pairs(samples, processor, config.seed), batch_size=config.batch, num_workers=1, collate_fn=list)
    started, progress = time.monotonic(), Progress("clip", out / "log.jsonl", config.minutes * 60)
    for step, pairs in enumerate(loader):
        done = (time.monotonic() - started) / (config.minutes * 60)
        if done >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = (
                config.learning_rate * min(1.0, (step + 1) / config.warmup_steps) * (1 + np.cos(np.pi * done)) / 2
            )
        captions = [caption for _, caption in pairs]
        pixels = processor.normalise(torch.from_numpy(np.stack([tile for tile, _ in pairs])))
        image = functional.normalize(clip.encode_image(pixels), dim=-1)
        text = functional.normalize(clip.encode_text(text_tokens(model.config, processor, captions)), dim=-1)
        same = torch.tensor([[float(a == b) for b in captions] for a in captions])
        loss = contrastive_loss(image, text, clip.logit_scale.exp().clamp(max=100), same)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(clip.parameters(), 1.0)
        optimizer.step()
        progress.step(step, loss=float(loss), pairs=config.batch)
    torch.save(clip.state_dict(), out / "encoder.pt")
