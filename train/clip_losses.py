"""What the towers go down at a step: contrast, and where they have a weight regions, patches and turned images."""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional

from train.captions import Batch
from train.contrast import rotation_loss, shared_contrast
from train.regions import Teacher, distil_loss, embed_boxes, pool_boxes, region_loss, see
from train.towers import Towers
from vlm.processor import normalise

MOST_SCALE = 100.0
"""Largest factor on similarities, as CLIP has it."""


@dataclass(frozen=True)
class Weights:
    """Say how much each loss counts beside the contrastive one, and how regions and crops are compared."""

    region: float = 0.0
    region_from: Literal["cut", "patches"] = "cut"
    region_prompt: str = "{}"
    distill: float = 0.0
    distill_cells: int = 1
    rotation: float = 0.0


class ClipLosses(nn.Module):
    """Give this process's parts of a step's losses; over the processes they add up to those of the whole step."""

    def __init__(
        self, towers: Towers, weights: Weights, *, teacher: Teacher | None, bf16: bool, rank: int = 0, ranks: int = 1
    ) -> None:
        super().__init__()
        self.encoder = towers.encoder
        self.weights, self.bf16, self.rank, self.ranks = weights, bf16, rank, ranks
        self._tokenise, self._frame, self.teacher = towers.tokenise, towers.frame, teacher

    def forward(self, batch: Batch, rng: random.Random) -> dict[str, torch.Tensor]:
        """Give the weighted losses by name; `rng` draws the same on every process."""
        device = next(self.encoder.parameters()).device
        clip: Any = self.encoder.clip
        names = gather_names(batch.names, self.ranks) if self.weights.region else []
        with torch.autocast(device.type, torch.bfloat16, enabled=self.bf16):
            pixels = self._pixels(batch.tiles, device)
            if self.teacher is None:
                image, patches = clip.encode_image(pixels), None
            else:
                image, patches = see(clip.visual, self.encoder.layers, pixels)
            text = clip.encode_text(self._tokenise(batch.captions).to(device))
            found = {"contrast": self._contrast(image, text, batch.captions)}
            if patches is not None:
                found["distill"] = self.weights.distill * self._distil(patches, batch, device) / self.ranks
            if self.weights.region:
                found["region"] = self.weights.region * self._name_regions(batch, pixels, names)
            if self.weights.rotation:
                turned = rotation_loss(clip, pixels, image, rng)
                found["turned"] = self.weights.rotation * turned / self.ranks
        return found

    def _pixels(self, tiles_NPP3: torch.Tensor, device: torch.device) -> torch.Tensor:
        return normalise(tiles_NPP3.to(device, non_blocking=True), self._frame.mean, self._frame.std)

    def _scale(self) -> torch.Tensor:
        scale: torch.Tensor = self.encoder.clip.logit_scale
        return scale.exp().clamp(max=MOST_SCALE)

    def _contrast(self, image: torch.Tensor, text: torch.Tensor, captions: Sequence[str]) -> torch.Tensor:
        with torch.autocast(image.device.type, enabled=False):
            seen, read = (functional.normalize(one.float(), dim=-1) for one in (image, text))
            return shared_contrast(seen, read, self._scale(), captions, rank=self.rank, ranks=self.ranks)

    def _distil(self, patches: torch.Tensor, batch: Batch, device: torch.device) -> torch.Tensor:
        assert self.teacher is not None
        teacher = self.teacher.patches(self._pixels(batch.crops.tiles, device))
        boxes, image = batch.crops.boxes.to(device), batch.crops.image.to(device)
        with torch.autocast(device.type, enabled=False):
            return distil_loss(pool_boxes(patches, boxes, image, self.weights.distill_cells), teacher)

    def _name_regions(self, batch: Batch, pixels: torch.Tensor, names: Sequence[str]) -> torch.Tensor:
        """Give the loss of this process's regions among the categories of all; zero where it has none."""
        clip, device = self.encoder.clip, pixels.device
        if not batch.names:
            return pixels.new_zeros(())
        known = sorted(set(names))
        texts = clip.encode_text(
            self._tokenise([self.weights.region_prompt.replace("{}", one) for one in known]).to(device)
        )
        if self.weights.region_from == "cut":
            shown = clip.encode_image(self._pixels(batch.regions.tiles, device))
        else:
            shown = embed_boxes(self.encoder, pixels, batch.regions.boxes.to(device), batch.regions.image.to(device))
        right = torch.tensor([known.index(name) for name in batch.names], device=device)
        with torch.autocast(device.type, enabled=False):
            return region_loss(shown, texts, self._scale(), right) / len(names)


def gather_names(names: Sequence[str], ranks: int) -> list[str]:
    """Give the names of the regions of all processes."""
    if ranks == 1:
        return list(names)
    parts: list[list[str]] = [[] for _ in range(ranks)]
    torch.distributed.all_gather_object(parts, list(names))
    return [name for part in parts for name in part]
