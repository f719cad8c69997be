"""A Nadir small enough to build in a second: real architecture, random weights, its own tokenizer."""

from __future__ import annotations

from typing import Any

import torch

from train.recipes import Recipe, build_model
from train.tokenizer import build_tokenizer
from vlm.model import NadirForConditionalGeneration
from vlm.processor import NadirProcessor

TEXTS = (
    "Where is the red car?", "How many ships are there?", "Describe the image in one sentence.",
    "What has changed?",
    "many planes are parked next to a long building in an airport", "<box>[[1,2,3,4],[5,6,7,8]]</box>",
    "Image 1: Image 2:",
)  # fmt: skip


def tiny_recipe(**sizes: Any) -> Recipe:
    """Give the sizes of the tiny model."""
    return Recipe(
        name="tiny",
        vocab_size=400,
        clip_config={
            "embed_dim": 16,
            "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "patch_size": 8, "head_width": 16},
            "text_cfg": {"context_length": 16, "width": 16, "heads": 2, "layers": 1, "pool_type": "eos", "eos_id": 2},
        },
        vision_layers=(-2, -1),
        qformer={
            "vocab_size": 1,
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 64,
            "cross_attention_frequency": 1,
            "encoder_hidden_size": 24,
            "max_position_embeddings": 64,
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
        },
        text={
            "model_type": "qwen3",
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 16,
            "max_position_embeddings": 2048,
            "tie_word_embeddings": True,
            "bos_token_id": None,
            "eos_token_id": 2,
            "pad_token_id": 0,
        },
        sizes={
            "tile_px": 32,
            "fit_factor": 1.0,
            "default_tiles": 5,
            "query_grid": 2,
            "free_queries": 1,
            "max_instruction_tokens": 24,
            "clip_tokenizer": "llm",
            "difference_dropout": 0.0,
            **sizes,
        },
        shares=(),
    )


def build_tiny(
    seed: int = 0, *, loud: bool = True, **sizes: Any
) -> tuple[NadirForConditionalGeneration, NadirProcessor]:
    """Build the tiny model; `loud` makes its random weights large enough that different questions get other answers."""
    torch.manual_seed(seed)
    model, processor = build_model(tiny_recipe(**sizes), build_tokenizer(TEXTS * 20, vocab_size=400))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if loud and parameter.ndim > 1 and "difference" not in name:
                parameter.normal_(std=0.2)
    return model.eval(), processor
