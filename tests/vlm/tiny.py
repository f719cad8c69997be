"""A Nadir small enough to build in a second: real architecture, random weights, its own tokenizer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from train.recipes import build_model, smoke
from train.tokenizer import build_tokenizer
from vlm.model import NadirForConditionalGeneration
from vlm.processor import NadirProcessor

TEXTS = (
    "Where is the red car?", "How many ships are there?", "Describe the image in one sentence.",
    "What has changed?",
    "many planes are parked next to a long building in an airport", "<box>[[1,2,3,4],[5,6,7,8]]</box>",
    "Image 1: Image 2:",
)  # fmt: skip


def build_tiny(seed: int = 0, **sizes: Any) -> tuple[NadirForConditionalGeneration, NadirProcessor]:
    """Build the untrained tiny model."""
    torch.manual_seed(seed)
    recipe = smoke()
    recipe = replace(recipe, sizes={**recipe.sizes, **sizes})
    model, processor = build_model(recipe, build_tokenizer(TEXTS * 20, vocab_size=400))
    return model.eval(), processor
