"""Embeddings of images and texts in the encoder's shared space, for zero-shot scores and retrieval."""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

from collections.abc import Sequence

import open_clip
import torch
from torch.nn import functional

from vlm.config import NadirConfig
from vlm.model import NadirForConditionalGeneration
from vlm.processor import NadirProcessor, TiledImage


def text_tokens(config: NadirConfig, processor: NadirProcessor, texts: Sequence[str]) -> torch.Tensor:
    """Give the text tower's token ids (B, context length).

    `config.clip_tokenizer` says whose: "open_clip" for CLIP's own vocabulary, "llm" for a tower that shares the
    language model's.
    """
    length = config.clip_config["text_cfg"]["context_length"]
    if config.clip_tokenizer == "open_clip":
        return open_clip.SimpleTokenizer(context_length=length)(list(texts))
    end, pad = processor.tokenizer.eos_token_id, processor.tokenizer.pad_token_id
    ids = [[*processor.tokenizer(text, add_special_tokens=False)["input_ids"][: length - 1], end] for text in texts]
    return torch.tensor([row + [pad] * (length - len(row)) for row in ids])


@torch.no_grad()
def embed_texts(model: NadirForConditionalGeneration, processor: NadirProcessor, texts: Sequence[str]) -> torch.Tensor:
    """Give unit vectors (B, D) of texts."""
    tokens = text_tokens(model.config, processor, texts).to(model.device)
    return functional.normalize(model.encoder.clip.encode_text(tokens), dim=-1)


@torch.no_grad()
def embed_tiles(model: NadirForConditionalGeneration, processor: NadirProcessor, image: TiledImage) -> torch.Tensor:
    """Give unit vectors (T, D), one a tile."""
    pixels = processor.normalise(torch.from_numpy(image.pixels).to(model.device))
    return functional.normalize(model.encoder.clip.encode_image(pixels.to(model.dtype)), dim=-1)
