"""Alignment: Q-former, difference and pointer learn to speak to a language model that stands still.

    python -m train.align --data out/mine --start out/untrained --out out/align contrast_steps=500

First, if asked for, BLIP-2's contrastive loss (Li et al., 2023): a tile's queries and the words of its caption, each
through the Q-former alone, the best of the queries against the words. Then the language model's own loss, which reaches
the Q-former through its frozen layers, and the pointer's: `train/sft.py --recipe align --start out/align/model`.

Legend: B images, T words, Q queries, D width of the Q-former, S width of the shared space.
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import argparse
import logging
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader
from transformers.masking_utils import create_bidirectional_mask

from train.clip import Pairs, describe_images, same_captions, symmetric_loss
from train.modules import Rates, rate_groups
from train.overrides import override
from train.parameters import freeze_norms
from train.progress import Progress
from train.recipes import find_recipe, load_share
from vlm.checkpoint import load_checkpoint, save_checkpoint
from vlm.errors import DataError, NadirError
from vlm.model import NadirForConditionalGeneration
from vlm.processor import NadirProcessor
from vlm.records import Sample

LOG = logging.getLogger("nadir.train")
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
    shared: int = 256
    """Width of the space in which images and words meet."""
    seed: int = 0
    rates: Rates = field(default_factory=lambda: JOINING)


class Meeting(nn.Module):
    """Hold the two projections and the temperature of the contrastive loss, which nothing else uses."""

    def __init__(self, width: int, shared: int) -> None:
        super().__init__()
        self.image, self.text = nn.Linear(width, shared), nn.Linear(width, shared)
        self.scale = nn.Parameter(torch.tensor([1 / 0.07]).log())

    def forward(self, queries_BQD: torch.Tensor, text_BD: torch.Tensor) -> torch.Tensor:
        """Give scaled similarities (B, B) of images and texts, by each image's best query."""
        image_BQS = functional.normalize(self.image(queries_BQD), dim=-1)
        text_BS = functional.normalize(self.text(text_BD), dim=-1)
        best: torch.Tensor = torch.einsum("iqs,ts->itq", image_BQS, text_BS).amax(-1)
        return self.scale.exp().clamp(max=100) * best


def encode_tiles(model: NadirForConditionalGeneration, pixels_B3PP: torch.Tensor) -> torch.Tensor:
    """Give the Q-former's queries (B, Q, D) of one-tile images, without an instruction."""
    batch, device = len(pixels_B3PP), pixels_B3PP.device
    visual, grid = model.encoder(pixels_B3PP)
    frames = torch.tensor([[0.0, 0.0, 1.0, 1.0]], device=device).expand(batch, 4)
    meta = torch.zeros(batch, 3, dtype=torch.long, device=device)
    words = visual.new_zeros(batch, 1, model.config.text_config.hidden_size)
    seen = torch.zeros(batch, 1, dtype=torch.long, device=device)
    queries: torch.Tensor = model.qformer(model.keys(visual), grid, frames, meta, words, seen)[0]
    return queries


def encode_words(model: NadirForConditionalGeneration, ids_BT: torch.Tensor, mask_BT: torch.Tensor) -> torch.Tensor:
    """Give the Q-former's reading of texts (B, D), without an image: the mean over their words."""
    former = model.qformer.transformer
    words = model.qformer.placed(model.qformer.words(model.get_input_embeddings()(ids_BT)))
    embedded = former.embeddings.dropout(former.embeddings.layernorm(words))
    mask = create_bidirectional_mask(config=former.config, inputs_embeds=embedded, attention_mask=mask_BT)
    states = former.encoder(embedded, attention_mask=mask, query_length=0).last_hidden_state
    weight = mask_BT.unsqueeze(-1).to(states.dtype)
    mean: torch.Tensor = (states * weight).sum(1) / weight.sum(1)
    return mean


def train_contrast(
    model: NadirForConditionalGeneration,
    processor: NadirProcessor,
    samples: Iterable[Sample],
    config: AlignConfig,
    out: Path,
) -> list[float]:
    """Train what joins encoder and language model on captioned images; write `out/model` and give the losses.

    Raises DataError where no sample is a caption.
    """
    described = describe_images(samples)
    if not described:
        raise DataError("the contrastive part of alignment needs captions, and no sample is one: set contrast_steps=0")
    torch.manual_seed(config.seed)
    meeting = Meeting(model.config.qformer_config.hidden_size, config.shared).to(model.device)
    groups = rate_groups(model, config.rates, weight_decay=config.weight_decay)
    optimizer = torch.optim.AdamW([*groups, {"params": list(meeting.parameters()), "factor": 1.0}])
    loader = DataLoader(Pairs(described, processor, {}, config.seed), batch_size=config.batch, collate_fn=list)
    progress = Progress("align", out / "log.jsonl", None, total_steps=config.contrast_steps)
    model.train()
    freeze_norms(model)
    losses = []
    for step, batch in zip(range(config.contrast_steps), loader, strict=False):
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * group["factor"] * min(1.0, (step + 1) / config.warmup_steps)
        loss = contrast_step(model, processor, meeting, batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(float(loss.detach()))
        progress.step(step, pairs=len(batch), loss=losses[-1])
    save_checkpoint(model, processor, out / "model")
    return losses


def contrast_step(
    model: NadirForConditionalGeneration,
    processor: NadirProcessor,
    meeting: Meeting,
    batch: list[tuple[np.ndarray, str, list[int]]],
) -> torch.Tensor:
    """Give the contrastive loss of (pixels, caption) pairs; pairs with the same caption belong together."""
    pixels = processor.normalise(torch.from_numpy(np.stack([tile for tile, _, _ in batch])).to(model.device))
    captions = [caption for _, caption, _ in batch]
    rows = [processor.tokenizer(text, add_special_tokens=False)["input_ids"] for text in captions]
    rows = [row[: processor.max_instruction_tokens] for row in rows]
    length = max(map(len, rows))
    ids = torch.tensor([row + [0] * (length - len(row)) for row in rows], device=model.device)
    mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows], device=model.device)
    logits = meeting(encode_tiles(model, pixels), encode_words(model, ids, mask))
    return symmetric_loss(logits, same_captions(captions).to(model.device))


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
        model, processor = load_checkpoint(arguments.start)
        samples = [sample for share in recipe.shares for sample in load_share(share, arguments.data)]
        train_contrast(model, processor, samples, config, arguments.out)
    except NadirError as error:
        sys.exit(str(error))
    LOG.info("aligned model: %s", arguments.out / "model")


if __name__ == "__main__":
    main()
