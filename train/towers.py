"""The two towers that contrast trains: those of a model directory, of a recipe, or an open_clip architecture's alone.

Towers alone are written as open_clip writes them, `towers.pt`: `--vision-checkpoint` of train/sft.py and of this stage
takes it, and so does open_clip.
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import open_clip
import torch

from train.captions import Frame
from train.recipes import Parts, Recipe
from vlm.checkpoint import load_checkpoint, save_checkpoint
from vlm.config import CLIP_MEAN, CLIP_STD
from vlm.embed import text_tokens
from vlm.encoder import Encoder, load_clip_weights, named_clip_config
from vlm.errors import CheckpointError
from vlm.model import NadirForConditionalGeneration
from vlm.processor import NadirProcessor

FILE: Final = "towers.pt"
LAYERS: Final = (-2,)
"""The layers whose patches a Nadir of pretrained parts sees."""


@dataclass(frozen=True)
class Towers:
    """Hold an encoder, how it reads texts and pictures, and how what holds it is written to a folder."""

    encoder: Encoder
    tokenise: Callable[[Sequence[str]], torch.Tensor]
    frame: Frame
    write: Callable[[Path], None]


def towers_of_model(model: NadirForConditionalGeneration, processor: NadirProcessor) -> Towers:
    """Give the towers of a Nadir, which is written whole."""

    def tokenise(texts: Sequence[str]) -> torch.Tensor:
        return text_tokens(model.config, processor, texts)

    def write(folder: Path) -> None:
        save_checkpoint(model, processor, folder)

    frame = Frame(processor.tile_px, tuple(processor.image_mean), tuple(processor.image_std))
    return Towers(model.encoder, tokenise, frame, write)


def towers_alone(parts: Parts) -> Towers:
    """Build an open_clip architecture's towers, with the weights that the parts name.

    Raises CheckpointError for an unknown architecture, one whose text tower is no CLIP's, and weights of another.
    """
    config = plain_config(parts.vision)
    encoder = Encoder(config, LAYERS)
    if parts.vision_checkpoint is not None:
        load_clip_weights(encoder, parts.vision_checkpoint)
    read = open_clip.SimpleTokenizer(context_length=config["text_cfg"].get("context_length", 77))

    def tokenise(texts: Sequence[str]) -> torch.Tensor:
        found: torch.Tensor = read(list(texts))
        return found

    def write(folder: Path) -> None:
        torch.save(plain_weights(encoder), folder / FILE)

    shown = config.get("preprocess_cfg", {})
    side = config["vision_cfg"].get("image_size", 224)
    frame = Frame(
        side if isinstance(side, int) else side[0],
        tuple(shown.get("mean", CLIP_MEAN)),
        tuple(shown.get("std", CLIP_STD)),
    )
    return Towers(encoder, tokenise, frame, write)


def plain_config(vision: str) -> dict[str, Any]:
    """Give open_clip's configuration of an architecture; CheckpointError where its text tower is another library's."""
    config = named_clip_config(vision)
    if "hf_model_name" in config["text_cfg"] or "hf_tokenizer_name" in config["text_cfg"]:
        raise CheckpointError(
            f"{vision} reads texts by a tower or tokenizer of transformers, and Nadir's encoder holds CLIP's own: "
            "choose an architecture with CLIP's text tower, such as ViT-B-16 or ViT-L-14"
        )
    return config


def plain_weights(encoder: Encoder) -> dict[str, torch.Tensor]:
    """Give the towers' weights as open_clip names and shapes them."""
    weights = {name: one.detach().cpu() for name, one in encoder.clip.state_dict().items()}
    return weights | {"logit_scale": weights["logit_scale"].reshape(())}


def open_towers(recipe: Recipe, parts: Parts | None, data: Path, out: Path, start: Path | None) -> Towers:
    """Give the towers to go on from: of a model directory, of pretrained parts, or of the recipe's own sizes."""
    if start is not None:
        return towers_of_model(*load_checkpoint(start))
    if parts is not None:
        return towers_alone(parts)
    from train.nano import start_model

    return towers_of_model(*start_model(recipe, data, out, None))
