"""One checkpoint directory: config, safetensors, processor and tokenizer; and how one is built from parts."""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, InstructBlipQFormerConfig

from vlm.config import NadirConfig
from vlm.encoder import load_clip_weights, named_clip_config
from vlm.errors import CheckpointError
from vlm.model import NadirForConditionalGeneration
from vlm.model_dir import model_dir, read_tile_sizes
from vlm.processor import NadirProcessor
from vlm.qformer import load_qformer_weights

CONTROL_TOKENS = ("<|im_start|>", "<|im_end|>", "<image>")


def load_checkpoint(
    path: str | Path | None = None, *, dtype: str = "float32", **options: Any
) -> tuple[NadirForConditionalGeneration, NadirProcessor]:
    """Load model and processor from a directory; without one, the built-in nadir-nano.

    Raises CheckpointError when the directory is missing, has no weights, holds another architecture, or is damaged.
    """
    folder = model_dir(path)
    read_tile_sizes(folder)
    number = getattr(torch, dtype, None)
    if not isinstance(number, torch.dtype):
        raise CheckpointError(f"dtype {dtype!r} is unknown: expected float32, bfloat16 or float16")
    try:
        loaded: Any = NadirForConditionalGeneration.from_pretrained(
            folder, dtype=number, output_loading_info=True, **options
        )
        model, report = loaded
        processor = NadirProcessor.from_pretrained(folder)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0]
        raise CheckpointError(
            f"model directory {folder} cannot be loaded ({reason}): copy the checkpoint again"
        ) from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise CheckpointError(
            f"model directory {folder} lacks {len(missing)} tensors, such as {missing[0]}: copy the checkpoint again"
        )
    return model, processor


def save_checkpoint(model: NadirForConditionalGeneration, processor: NadirProcessor, folder: str | Path) -> None:
    """Write model, processor and tokenizer so that load_checkpoint gives them back bit for bit."""
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def build_from_parts(
    *,
    llm: str | Path,
    vision: str = "ViT-L-14",
    vision_checkpoint: str | Path | None = None,
    qformer_checkpoint: str | Path | None = None,
    qformer: dict[str, Any] | None = None,
    dtype: str = "float32",
    **sizes: Any,
) -> tuple[NadirForConditionalGeneration, NadirProcessor]:
    """Join a pretrained language model (hub name or directory) and an open_clip encoder into an untrained Nadir.

    `sizes` are further fields of NadirConfig. The weights are copied after construction, since transformers initialises
    every module when a model is built.
    """
    tokenizer = AutoTokenizer.from_pretrained(llm)
    tokenizer.add_special_tokens(
        {"additional_special_tokens": list(CONTROL_TOKENS)}, replace_extra_special_tokens=False
    )
    language_model = AutoModelForCausalLM.from_pretrained(llm, dtype=getattr(torch, dtype))
    if len(tokenizer) > language_model.config.vocab_size:
        language_model.resize_token_embeddings(len(tokenizer))
    config = build_config(
        tokenizer,
        clip_config=named_clip_config(vision),
        qformer=qformer,
        text_config=language_model.config.to_dict(),
        **sizes,
    )
    model = NadirForConditionalGeneration(config).to(getattr(torch, dtype))
    model.language_model.load_state_dict(language_model.state_dict())
    if vision_checkpoint is not None:
        load_clip_weights(model.encoder, vision_checkpoint)
    if qformer_checkpoint is not None:
        load_qformer_weights(model.qformer, qformer_checkpoint)
    return model, build_processor(config, tokenizer)


def build_config(
    tokenizer: Any,
    *,
    clip_config: dict[str, Any],
    text_config: dict[str, Any],
    qformer: dict[str, Any] | None = None,
    **sizes: Any,
) -> NadirConfig:
    """Join the parts' configurations, with the control tokens' ids taken from the tokenizer."""
    start, end, image = (tokenizer.convert_tokens_to_ids(token) for token in CONTROL_TOKENS)
    return NadirConfig(
        clip_config=clip_config,
        qformer_config=InstructBlipQFormerConfig(**(qformer or {"vocab_size": 1})),
        text_config=text_config,
        image_token_id=image,
        turn_start_id=start,
        turn_end_id=end,
        **sizes,
    )


def build_processor(config: NadirConfig, tokenizer: Any) -> NadirProcessor:
    """Build the processor that fits a configuration."""
    return NadirProcessor(
        tokenizer=tokenizer,
        tile_px=config.tile_px,
        fit_factor=config.fit_factor,
        default_tiles=config.default_tiles,
        tokens_per_tile=config.tokens_per_tile,
        max_instruction_tokens=config.max_instruction_tokens,
        image_mean=config.image_mean,
        image_std=config.image_std,
    )
