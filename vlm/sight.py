"""From tiles to visual tokens: the one path that training, transformers' generate and vLLM take.

A mixin, so that a model of transformers and a model of vLLM hold the same modules under the same names and read the
same checkpoint.

Legend: N tiles, I images (dates and renderings count one each), T instruction tokens, P tile side in pixels, L patches,
C channels of a patch, K key width, E LLM width.
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

from typing import Any, cast

import torch
from torch import nn

from vlm.config import NadirConfig
from vlm.difference import GatedDifference
from vlm.encoder import Encoder
from vlm.pointer import Candidates, Pointer
from vlm.qformer import AnchoredQFormer

Grid = tuple[int, int]


class Sight(nn.Module):
    """Hold encoder, difference, Q-former and pointer, and turn tiles into what the language model reads.

    Inputs are flat over the tiles in the order of their placeholders: `pixel_values` (N, 3, P, P); `tile_frames`
    (N, 4), the tile's canvas normalised by its image; `tile_meta` (N, 3) level, date, rendering; `tile_partner` (N,),
    the same tile at the partner date or -1; `num_tiles` (I,); `qformer_input_ids` and `qformer_attention_mask` (I, T),
    the text of the user turn that holds the image.
    """

    def add_sight(self, config: NadirConfig) -> None:
        """Add the modules of the visual side to a model that is being built."""
        self.encoder = Encoder(config.clip_config, tuple(config.vision_layers))
        width, llm_width = config.qformer_config.hidden_size, config.text_config.hidden_size
        keys = config.qformer_config.encoder_hidden_size
        self.keys = nn.Sequential(nn.Linear(self.encoder.width, keys), nn.LayerNorm(keys))
        self.difference = GatedDifference(keys, config.difference_dropout)
        self.qformer = AnchoredQFormer(
            config.qformer_config,
            llm_width=llm_width,
            query_grid=config.query_grid,
            free_queries=config.free_queries,
            levels=config.max_levels,
            dates=config.max_dates,
            renderings=config.max_renderings,
        )
        self.projector = nn.Linear(width, llm_width)
        self.place = nn.Linear(width, llm_width, bias=False)
        self.pointer = Pointer(keys, config.pointer_width, llm_width) if config.pointer_width else None

    def embed_words(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Embed token ids (..., E) as the language model does."""
        raise NotImplementedError

    def embed_images(
        self,
        pixel_values: torch.Tensor,
        tile_frames: torch.Tensor,
        tile_meta: torch.Tensor,
        tile_partner: torch.Tensor,
        num_tiles: torch.Tensor,
        qformer_input_ids: torch.Tensor,
        qformer_attention_mask: torch.Tensor,
    ) -> list[torch.Tensor]:
        """Give each image's visual tokens, tile by tile (L, E): the one path from pixels to the language model."""
        patches, grid = self.encode_tiles(pixel_values)
        visual = self.compare_dates(patches, tile_meta, tile_partner)
        return self.tell_images(
            visual, grid, tile_frames, tile_meta, num_tiles, qformer_input_ids, qformer_attention_mask
        )

    def encode_tiles(self, pixel_values: torch.Tensor) -> tuple[torch.Tensor, Grid]:
        """Give the patches of tiles, (N, L, C), and their grid: what does not depend on the instruction."""
        patches, grid = self.encoder(pixel_values.to(next(self.encoder.parameters()).dtype))
        return patches, grid

    def compare_dates(
        self, patches_NLC: torch.Tensor, tile_meta: torch.Tensor, tile_partner: torch.Tensor
    ) -> torch.Tensor:
        """Give the keys of the patches, (N, L, K), with what changed since the partner date."""
        compared: torch.Tensor = self.difference(self.keys(patches_NLC), tile_partner, tile_meta[:, 1])
        return compared

    def tell_images(
        self,
        visual_NLK: torch.Tensor,
        grid: Grid,
        tile_frames: torch.Tensor,
        tile_meta: torch.Tensor,
        num_tiles: torch.Tensor,
        qformer_input_ids: torch.Tensor,
        qformer_attention_mask: torch.Tensor,
    ) -> list[torch.Tensor]:
        """Give each image's visual tokens for its instruction, what the pointer tells included."""
        words, words_mask = self._hear(num_tiles, qformer_input_ids, qformer_attention_mask)
        queries, carried = self.qformer(visual_NLK, grid, tile_frames, tile_meta, words, words_mask)
        tokens = self.projector(queries) + self.place(carried)
        if self.pointer is not None:
            told = self.pointer(visual_NLK, grid, tile_frames, num_tiles, words, words_mask)
            tokens = torch.cat((tokens, told), dim=1)
        return [part.flatten(0, 1) for part in tokens.split(num_tiles.tolist())]

    def point(
        self,
        pixel_values: torch.Tensor,
        tile_frames: torch.Tensor,
        tile_meta: torch.Tensor,
        tile_partner: torch.Tensor,
        num_tiles: torch.Tensor,
        qformer_input_ids: torch.Tensor,
        qformer_attention_mask: torch.Tensor,
    ) -> Candidates:
        """Give what the pointer finds in each image, of a model that has one; nothing else is run."""
        patches, grid = self.encode_tiles(pixel_values)
        visual = self.compare_dates(patches, tile_meta, tile_partner)
        words, words_mask = self._hear(num_tiles, qformer_input_ids, qformer_attention_mask)
        return cast(Pointer, self.pointer).point(visual, grid, tile_frames, num_tiles, words, words_mask)

    def _hear(self, num_tiles: torch.Tensor, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        """Give the words of each tile's instruction, embedded (N, T, E), and their mask (N, T)."""
        owner = torch.repeat_interleave(torch.arange(len(num_tiles), device=num_tiles.device), num_tiles)
        return self.embed_words(input_ids)[owner], attention_mask[owner]
