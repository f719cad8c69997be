"""The model: tiles + token ids -> logits. Training, generate and serving call the same `embed_images` and `splice`.

Legend: N tiles of the batch, I images (dates and renderings count one each), B samples, S tokens, Q queries, E LLM
width.
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import math
from typing import Any, cast

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, GenerationMixin, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import CausalLMOutputWithPast

from vlm.config import NadirConfig
from vlm.encoder import CLIP
from vlm.sight import Sight
from vlm.splice import splice


class NadirForConditionalGeneration(Sight, PreTrainedModel, GenerationMixin):
    """Join the visual side, whose inputs vlm.sight.Sight describes, and a language model of transformers."""

    config_class = NadirConfig
    config: NadirConfig
    base_model_prefix = "nadir"
    main_input_name = "input_ids"
    _supports_sdpa = True
    _supports_flash_attn = True
    _no_split_modules = []
    _keys_to_ignore_on_load_unexpected = [r"qformer\.locate\."]
    """A head that earlier checkpoints carry and that nothing reads."""

    def __init__(self, config: NadirConfig) -> None:
        super().__init__(config)
        self.add_sight(config)
        self.language_model = AutoModelForCausalLM.from_config(config.text_config)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Initialise what the sub-models do not, so that a load onto the meta device leaves no garbage behind.

        Linear layers keep the size of what passes through them: at BERT's fixed 0.02 a narrow connector lets a
        thousandth of the image's signal through to the language model, and back. A layer that starts otherwise carries
        its function as `start`: transformers never visits an owner that has no parameter of its own.
        """
        super()._init_weights(module)
        if isinstance(module, nn.Linear):
            init.normal_(module.weight, std=module.in_features**-0.5)
        if isinstance(module, nn.Conv2d):
            init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if callable(start := getattr(module, "start", None)):
            start(module)
        if isinstance(module, CLIP):
            _init_clip(module)

    def get_input_embeddings(self) -> nn.Module:
        return self.language_model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.language_model.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module:
        return self.language_model.get_output_embeddings()

    def set_output_embeddings(self, new_embeddings: nn.Module) -> None:
        self.language_model.set_output_embeddings(new_embeddings)

    def embed_words(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Embed token ids (..., E)."""
        embedded: torch.Tensor = self.get_input_embeddings()(input_ids)
        return embedded

    def embed_inputs(self, input_ids: torch.Tensor, **images: Any) -> torch.Tensor:
        """Give the embeddings (B, S, E) of a prompt with its images spliced in; without images, of the text alone."""
        embeds = self.get_input_embeddings()(input_ids)
        features = self.embed_images(**images) if images.get("pixel_values") is not None else []
        return splice(embeds, input_ids, features, self.config.image_token_id)

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        logits_at: torch.Tensor | None = None,
        point_only: bool = False,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Give logits (B, S, V) and, with `labels`, the mean next-token loss over labels that are not -100.

        With `logits_at` (B, S) bool, logits are (M, V) of those M positions alone: visual and instruction tokens,
        most of a training sequence, then cost no vocabulary-wide product. With `point_only` what the pointer needs is
        run and nothing else, to train it; there are no logits.
        """
        images = {key: kwargs.pop(key) for key in IMAGE_INPUTS[1:] if key in kwargs}
        if point_only:
            self.point(cast(torch.Tensor, pixel_values), **images)
            return CausalLMOutputWithPast()
        if inputs_embeds is None:
            inputs_embeds = self.embed_inputs(cast(torch.Tensor, input_ids), pixel_values=pixel_values, **images)
        if logits_at is not None:
            body = self.language_model.get_decoder()
            hidden = body(inputs_embeds=inputs_embeds, attention_mask=attention_mask, **kwargs).last_hidden_state
            return CausalLMOutputWithPast(logits=self.get_output_embeddings()(hidden[logits_at]))
        return self.language_model(inputs_embeds=inputs_embeds, attention_mask=attention_mask, labels=labels, **kwargs)

    @torch.no_grad()
    def generate(self, input_ids: torch.Tensor, **kwargs: Any) -> torch.Tensor:  # type: ignore[override]
        """Generate as transformers does, with the images embedded once; gives the prompt's ids and the new ones.

        The image's placeholder is never generated: it stands for pixels, and there are none in an answer.
        """
        kwargs.setdefault("suppress_tokens", [self.config.image_token_id])
        images = {key: kwargs.pop(key) for key in IMAGE_INPUTS if key in kwargs}
        embeds = self.embed_inputs(input_ids, **images)
        parent = cast(Any, super())
        return parent.generate(input_ids=input_ids, inputs_embeds=embeds, **kwargs)

    def visual_tokens(self, tiles: int) -> int:
        """Give the number of visual tokens of an image of `tiles` tiles."""
        return tiles * self.config.tokens_per_tile

    def flops_per_image(self, tiles: int, instruction_tokens: int = 32) -> int:
        """Count the floating-point operations of encoder, Q-former and projector for an image of `tiles` tiles.

        Counted by torch's FlopCounterMode on one tile; every one of these costs is linear in the tiles.
        """
        side, device = self.config.tile_px, self.device
        ones = torch.ones(1, instruction_tokens, dtype=torch.long, device=device)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            self.embed_images(
                pixel_values=torch.zeros(1, 3, side, side, device=device),
                tile_frames=torch.tensor([[0.0, 0.0, 1.0, 1.0]], device=device),
                tile_meta=torch.zeros(1, 3, dtype=torch.long, device=device),
                tile_partner=torch.full((1,), -1, device=device),
                num_tiles=torch.ones(1, dtype=torch.long, device=device),
                qformer_input_ids=ones,
                qformer_attention_mask=ones,
            )
        return tiles * counter.get_total_flops()

    def kv_bytes_per_token(self) -> int:
        """Give the bytes that one token holds in the language model's key-value cache."""
        text = self.config.text_config
        heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
        head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
        return 2 * text.num_hidden_layers * heads * head * self.dtype.itemsize


IMAGE_INPUTS = (
    "pixel_values",
    "tile_frames",
    "tile_meta",
    "tile_partner",
    "num_tiles",
    "qformer_input_ids",
    "qformer_attention_mask",
)


def _init_clip(clip: CLIP) -> None:
    """Initialise the bare parameters and buffers of open_clip's towers, on CLIP's scales."""
    init.constant_(clip.logit_scale, math.log(1 / 0.07))
    init.normal_(clip.positional_embedding, std=0.01)
    if isinstance(clip.text_projection, nn.Parameter):
        init.normal_(clip.text_projection, std=clip.transformer.width**-0.5)
    if clip.attn_mask is not None:
        init.copy_(clip.attn_mask, torch.full(clip.attn_mask.shape, float("-inf")).triu_(1))
    for name in ("class_embedding", "positional_embedding", "proj"):
        table = getattr(clip.visual, name, None)
        if isinstance(table, nn.Parameter):
            init.normal_(table, std=table.shape[-1] ** -0.5)
    for tower in (clip.transformer, getattr(clip.visual, "transformer", None)):
        for module in tower.modules() if tower is not None else ():
            if isinstance(module, nn.MultiheadAttention):
                init.normal_(module.in_proj_weight, std=module.embed_dim**-0.5)
                init.zeros_(module.in_proj_bias)


AutoConfig.register("nadir", NadirConfig, exist_ok=True)
AutoModelForImageTextToText.register(NadirConfig, NadirForConditionalGeneration, exist_ok=True)
