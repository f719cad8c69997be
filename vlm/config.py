"""The one configuration of a Nadir checkpoint: encoder, tiling, Q-former, difference and language model."""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

from typing import Any, ClassVar

from transformers import AutoConfig, InstructBlipQFormerConfig, PreTrainedConfig

BOX_NUMBERS = 9
"""Numbers that the pointer tells of a box: x1, y1, x2, y2, centre x and y, long and short side, angle."""
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


class NadirConfig(PreTrainedConfig):
    """Hold the sizes of every part.

    `clip_config` is open_clip's own JSON ({"embed_dim", "vision_cfg", "text_cfg", ...}); `vision_layers` names the
    blocks or stages whose patch tokens are used (several are brought to the finest grid and concatenated).
    `query_grid` x `query_grid` anchored queries and `free_queries` unanchored ones stand for each tile. `tile_px` is
    the side of a tile in pixels; an image of at most `fit_factor * tile_px` pixels fits one tile; `default_tiles` is
    the budget when none is given. `pointer_width` is the width of the dense head that points (vlm/pointer.py) and tells
    one box a tile in BOX_NUMBERS tokens of its own; 0 goes without one.
    """

    model_type = "nadir"
    sub_configs: ClassVar[dict[str, Any]] = {"text_config": AutoConfig, "qformer_config": InstructBlipQFormerConfig}

    clip_config: Any = None
    clip_tokenizer: str = "open_clip"
    vision_layers: tuple[int, ...] | list[int] = (-2,)
    image_mean: tuple[float, ...] | list[float] = CLIP_MEAN
    image_std: tuple[float, ...] | list[float] = CLIP_STD
    qformer_config: Any = None
    text_config: Any = None
    tile_px: int = 224
    fit_factor: float = 1.25
    default_tiles: int = 7
    query_grid: int = 4
    free_queries: int = 2
    pointer_width: int = 0
    max_levels: int = 8
    max_dates: int = 8
    max_renderings: int = 8
    max_instruction_tokens: int = 64
    image_token_id: int = 0
    turn_start_id: int = 1
    turn_end_id: int = 2
    dialect: str = "nadir"
    difference_dropout: float = 0.5
    tie_word_embeddings: bool = False

    def __post_init__(self, **kwargs: Any) -> None:
        if self.clip_config is None:
            self.clip_config = _VIT_L_14
        if self.qformer_config is None:
            self.qformer_config = InstructBlipQFormerConfig()
        elif isinstance(self.qformer_config, dict):
            self.qformer_config = InstructBlipQFormerConfig(**self.qformer_config)
        if self.text_config is None:
            self.text_config = AutoConfig.for_model("qwen3")
        elif isinstance(self.text_config, dict):
            fields = dict(self.text_config)
            self.text_config = AutoConfig.for_model(fields.pop("model_type", "qwen3"), **fields)
        self.tie_word_embeddings = self.text_config.tie_word_embeddings
        super().__post_init__(**kwargs)

    @property
    def tokens_per_tile(self) -> int:
        """Give the number of visual tokens of one tile: its queries, and the numbers of the box that it tells."""
        return self.query_grid**2 + self.free_queries + (BOX_NUMBERS if self.pointer_width else 0)


_VIT_L_14 = {
    "embed_dim": 768,
    "vision_cfg": {"image_size": 224, "layers": 24, "width": 1024, "patch_size": 14},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 768, "heads": 12, "layers": 12},
}
