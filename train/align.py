"""Alignment: Q-former, difference and pointer learn to speak to a language model that stands still.

    python -m train.align --data out/mine --start out/untrained --out out/align contrast_steps=500

First, if asked for, BLIP-2's contrastive loss (Li et al., 2023): a tile's queries and the words of its caption, each
through the Q-former alone, the best of the queries against the words. With `matching=1` its matching loss as well: the
queries see image and words together and say whether they belong, beside the wrong ones that are most alike. Then the
language model's own loss, which reaches the Q-former through its frozen layers, and the pointer's:
`train/sft.py --recipe align --start out/align/model`.

Legend: B images, N pairs, L patches, T words, Q queries, K width of the keys, D of the Q-former, E of the language
model, S of the shared space.
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import argparse
import logging
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader
from transformers.masking_utils import create_bidirectional_mask

from train.contrast import same_captions, symmetric_loss
from train.modules import Rates, rate_groups
from train.needs import check_tasks
from train.overrides import override
from train.parameters import freeze_norms
from train.progress import Progress
from train.recipes import find_recipe, load_share
from train.words import MAKE_CAPTIONS, Pairs, describe_images
from vlm.checkpoint import load_checkpoint, save_checkpoint
from vlm.errors import DataError, NadirError
from vlm.model import NadirForConditionalGeneration
from vlm.processor import NadirProcessor
from vlm.records import Sample

LOG = logging.getLogger("nadir.train")
STAGE = "the contrastive part of alignment"
LEAST = 1e-4
"""Weight of a wrong pair that is not alike at all."""
JOINING = Rates(encoder=0.0, llm=0.0)
"""What this stage trains: all that joins encoder and language model."""


@dataclass(frozen=True)
class AlignConfig:
    """Settings of the contrastive part."""

    contrast_steps: int = 500
    """Steps of the contrastive loss; 0 goes without."""
    batch: int = 64
    """Pairs a step: each is told from all others."""
    learning_rate: float = 1e-4
    warmup_steps: int = 50
    weight_decay: float = 0.05
    matching: float = 0.0
    """Weight of the matching loss beside the contrastive one, such as 1; 0 goes without."""
    shared: int = 256
    """Width of the space in which images and words meet."""
    seed: int = 0
    rates: Rates = field(default_factory=lambda: JOINING)


class Meeting(nn.Module):
    """Hold what only these losses use: two projections and the temperature of one, the verdict of the other."""

    def __init__(self, width: int, shared: int) -> None:
        super().__init__()
        self.image, self.text = nn.Linear(width, shared), nn.Linear(width, shared)
        self.scale = nn.Parameter(torch.tensor([1 / 0.07]).log())
        self.belong = nn.Linear(width, 2)

    def forward(self, queries_BQD: torch.Tensor, text_BD: torch.Tensor) -> torch.Tensor:
        """Give scaled similarities (B, B) of images and texts, by each image's best query."""
        image_BQS = functional.normalize(self.image(queries_BQD), dim=-1)
        text_BS = functional.normalize(self.text(text_BD), dim=-1)
        best: torch.Tensor = torch.einsum("iqs,ts->itq", image_BQS, text_BS).amax(-1)
        return self.scale.exp().clamp(max=100) * best

    def match(self, queries_NQD: torch.Tensor) -> torch.Tensor:
        """Give what the queries of pairs, having seen image and words, say on average: no or yes, logits (N, 2)."""
        said: torch.Tensor = self.belong(queries_NQD).mean(1)
        return said


class Seen(NamedTuple):
    """Hold the keys (B, L, K) of one-tile images, and the rows and columns that their patches stand in."""

    keys: torch.Tensor
    grid: tuple[int, int]


class Words(NamedTuple):
    """Hold texts: embedded tokens (B, T, E), and which of these are no padding, (B, T)."""

    embedded: torch.Tensor
    mask: torch.Tensor


class Aligned(NamedTuple):
    """Hold the losses of each step, and what told pairs apart, which is no part of the model."""

    contrast: list[float]
    matching: list[float]
    meeting: Meeting


def see_tiles(model: NadirForConditionalGeneration, pixels_B3PP: torch.Tensor) -> Seen:
    """Give what the Q-former sees of one-tile images."""
    visual, grid = model.encoder(pixels_B3PP)
    return Seen(model.keys(visual), grid)


def ask_tiles(model: NadirForConditionalGeneration, seen: Seen, words: Words | None = None) -> torch.Tensor:
    """Give the Q-former's queries (B, Q, D) of images, each beside its words, or without any."""
    batch, device = len(seen.keys), seen.keys.device
    frames = torch.tensor([[0.0, 0.0, 1.0, 1.0]], device=device).expand(batch, 4)
    meta = torch.zeros(batch, 3, dtype=torch.long, device=device)
    if words is None:
        nothing = seen.keys.new_zeros(batch, 1, model.config.text_config.hidden_size)
        words = Words(nothing, torch.zeros(batch, 1, dtype=torch.long, device=device))
    queries: torch.Tensor = model.qformer(seen.keys, seen.grid, frames, meta, *words)[0]
    return queries


def read_words(model: NadirForConditionalGeneration, words: Words) -> torch.Tensor:
    """Give the Q-former's reading of texts (B, D), without an image: the mean over their words."""
    former = model.qformer.transformer
    placed = model.qformer.placed(model.qformer.words(words.embedded))
    embedded = former.embeddings.dropout(former.embeddings.layernorm(placed))
    mask = create_bidirectional_mask(config=former.config, inputs_embeds=embedded, attention_mask=words.mask)
    states = former.encoder(embedded, attention_mask=mask, query_length=0).last_hidden_state
    weight = words.mask.unsqueeze(-1).to(states.dtype)
    mean: torch.Tensor = (states * weight).sum(1) / weight.sum(1)
    return mean


def draw_wrong(logits_BB: torch.Tensor, same_BB: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw a wrong text for every image: the likelier the more alike they are; hard negatives (ALBEF: Li et al., 2021).

    Gives the images that have one and their texts; where all captions are the same, there is none.
    """
    weights = (logits_BB.detach().softmax(1) + LEAST).masked_fill(same_BB > 0, 0.0)
    images = weights.sum(1).nonzero().flatten()
    return images, torch.multinomial(weights[images], 1).flatten() if len(images) else images


def matching_loss(
    model: NadirForConditionalGeneration,
    meeting: Meeting,
    seen: Seen,
    words: Words,
    logits_BB: torch.Tensor,
    same_BB: torch.Tensor,
) -> torch.Tensor:
    """Give the cross-entropy of telling pairs from images with wrong texts, and texts with wrong images."""
    every = torch.arange(len(logits_BB), device=logits_BB.device)
    images, wrong_texts = draw_wrong(logits_BB, same_BB)
    texts, wrong_images = draw_wrong(logits_BB.T, same_BB.T)
    shown, told = torch.cat((every, images, wrong_images)), torch.cat((every, wrong_texts, texts))
    target = torch.zeros_like(shown)
    target[: len(every)] = 1
    pairs = ask_tiles(model, Seen(seen.keys[shown], seen.grid), Words(words.embedded[told], words.mask[told]))
    return functional.cross_entropy(meeting.match(pairs).float(), target)


def train_contrast(
    model: NadirForConditionalGeneration,
    processor: NadirProcessor,
    samples: Iterable[Sample],
    config: AlignConfig,
    out: Path,
) -> Aligned:
    """Train what joins encoder and language model on captioned images; write `out/model` and give the losses.

    Raises DataError where no sample is a caption.
    """
    described = describe_images(samples)
    if not described and config.contrast_steps:
        raise DataError(f"{STAGE} needs captions, and no sample is one: set contrast_steps=0")
    torch.manual_seed(config.seed)
    meeting = Meeting(model.config.qformer_config.hidden_size, config.shared).to(model.device)
    groups = rate_groups(model, config.rates, weight_decay=config.weight_decay)
    optimizer = torch.optim.AdamW([*groups, {"params": list(meeting.parameters()), "factor": 1.0}])
    loader = DataLoader(Pairs(described, processor, {}, config.seed), batch_size=config.batch, collate_fn=list)
    progress = Progress("align", out / "log.jsonl", None, total_steps=config.contrast_steps)
    model.train()
    freeze_norms(model)
    aligned = Aligned([], [], meeting)
    for step, batch in zip(range(config.contrast_steps), loader, strict=False):
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * group["factor"] * min(1.0, (step + 1) / config.warmup_steps)
        contrast, matching = align_step(model, processor, meeting, batch, matching=config.matching)
        optimizer.zero_grad(set_to_none=True)
        (contrast + config.matching * matching).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        aligned.contrast.append(float(contrast.detach()))
        aligned.matching.append(float(matching.detach()))
        told = {"loss": aligned.contrast[-1]} | ({"matching": aligned.matching[-1]} if config.matching else {})
        progress.step(step, pairs=len(batch), rates=None, **told)
    save_checkpoint(model, processor, out / "model")
    return aligned


def align_step(
    model: NadirForConditionalGeneration,
    processor: NadirProcessor,
    meeting: Meeting,
    batch: list[tuple[np.ndarray, str, list[int]]],
    *,
    matching: float = 0.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Give the contrastive loss of (pixels, caption) pairs, and the matching one where it has a weight.

    Pairs with the same caption belong together.
    """
    pixels = processor.normalise(torch.from_numpy(np.stack([tile for tile, _, _ in batch])).to(model.device))
    captions = [caption for _, caption, _ in batch]
    seen, words = see_tiles(model, pixels), embed_captions(model, processor, captions)
    logits, same = meeting(ask_tiles(model, seen), read_words(model, words)), same_captions(captions).to(model.device)
    contrast = symmetric_loss(logits, same)
    if not matching:
        return contrast, contrast.new_zeros(())
    return contrast, matching_loss(model, meeting, seen, words, logits, same)


def embed_captions(model: NadirForConditionalGeneration, processor: NadirProcessor, captions: list[str]) -> Words:
    """Embed texts as the Q-former takes them, as long as the longest."""
    rows = [processor.tokenizer(text, add_special_tokens=False)["input_ids"] for text in captions]
    rows = [row[: processor.max_instruction_tokens] for row in rows]
    length = max(map(len, rows))
    ids = torch.tensor([row + [0] * (length - len(row)) for row in rows], device=model.device)
    mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows], device=model.device)
    return Words(model.get_input_embeddings()(ids), mask)


def main() -> None:
    """Run the contrastive part and leave the model that instruction tuning goes on from."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="align", help="whose data and table of modules")
    parser.add_argument("--data", type=Path, required=True, help="folder of a store, or of the recipe's stores")
    parser.add_argument("--start", type=Path, required=True, help="model directory to start from")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("settings", nargs="*", metavar="key=value", help="settings, such as contrast_steps=500")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        recipe = find_recipe(arguments.recipe)
        (config,) = override([AlignConfig()], arguments.settings)
        if config.contrast_steps:
            advice = f"{MAKE_CAPTIONS}, or set contrast_steps=0"
            check_tasks(recipe, arguments.data, STAGE, ["caption"], advice)
        model, processor = load_checkpoint(arguments.start)
        samples = [sample for share in recipe.shares for sample in load_share(share, arguments.data)]
        train_contrast(model, processor, samples, config, arguments.out)
    except NadirError as error:
        sys.exit(str(error))
    LOG.info("aligned model: %s", arguments.out / "model")


if __name__ == "__main__":
    main()
