"""How vLLM prepares a prompt with pictures: tiles and instructions as vlm.processor makes them, and hashes to cache by.

Every cache of vLLM knows a picture by a hash. What the Q-former makes of it depends on the instruction too, and on the
picture of the date that it is compared with: both are folded into the hash, so that nothing stale is ever served, and
questions that were asked before are answered from the caches all the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from PIL import Image as PILImage
from transformers import BatchFeature
from vllm.multimodal.hasher import MultiModalHasher
from vllm.multimodal.inputs import MultiModalFieldConfig
from vllm.multimodal.parse import ImageProcessorItems
from vllm.multimodal.processing import (
    BaseDummyInputsBuilder,
    BaseMultiModalProcessor,
    BaseProcessingInfo,
    PromptReplacement,
)

from vlm.config import NadirConfig
from vlm.errors import NadirError
from vlm.geometry.shapes import Window
from vlm.processor import NadirProcessor, TiledImage
from vlm.sheet import as_sheet, is_sheet, unpack_sheet
from vlm.tiling import Tile, TilePlan

MOST_TILES = 64
"""Tiles of one image that are taken: what serve.settings.Limits lets through."""
_ASKED = "asked"


@dataclass(frozen=True, slots=True)
class Asked:
    """Hold what is asked of one picture: the instruction's ids, its date, the picture it is compared with, and the
    hashes of both pictures alone."""

    words: tuple[int, ...]
    date: int
    key: str
    partner: PILImage.Image | None = None
    partner_key: str = ""


class NadirInfo(BaseProcessingInfo):
    """Tell vLLM the sizes of a checkpoint."""

    def get_hf_config(self) -> NadirConfig:
        """Give the configuration."""
        config: NadirConfig = self.ctx.get_hf_config(NadirConfig)
        return config

    def get_hf_processor(self, **kwargs: object) -> NadirProcessor:
        """Give the processor; what a request says never reaches the cache of processors."""
        processor: NadirProcessor = self.ctx.get_hf_processor(NadirProcessor)
        return processor

    def get_supported_mm_limits(self) -> Mapping[str, int | None]:
        """Allow any number of images; --limit-mm-per-prompt sets one."""
        return {"image": None}

    def get_mm_max_tokens_per_item(self, seq_len: int, mm_counts: Mapping[str, int]) -> Mapping[str, int]:
        """Give the visual tokens of the largest image."""
        return {"image": self.most_tiles * self.get_hf_config().tokens_per_tile}

    @property
    def most_tiles(self) -> int:
        """Give the most tiles of one image: MOST_TILES, or as many as the prompt has room for."""
        config = self.get_hf_config()
        room = self.ctx.model_config.max_model_len // config.tokens_per_tile
        return max(1, min(max(MOST_TILES, config.default_tiles), room))


class NadirDummyInputs(BaseDummyInputsBuilder[NadirInfo]):
    """Make the largest image, for vLLM's measure of memory."""

    def get_dummy_text(self, mm_counts: Mapping[str, int]) -> str:
        """Give one placeholder an image."""
        return "<image>" * mm_counts.get("image", 0)

    def get_dummy_mm_data(self, seq_len: int, mm_counts: Mapping[str, int], mm_options: Any) -> dict[str, Any]:
        """Give sheets of the most tiles."""
        config, tiles = self.info.get_hf_config(), self.info.most_tiles
        side = config.tile_px
        whole = tuple(Tile(0, 0, 0, Window(0, 0, side, side), side, "dummy") for _ in range(tiles))
        plan = TilePlan(side, side, side, config.tokens_per_tile, whole)
        sheet = as_sheet(TiledImage(np.zeros((tiles, side, side, 3), np.uint8), plan, side, side))
        return {"image": [sheet] * mm_counts.get("image", 0)}


class NadirVllmProcessor(BaseMultiModalProcessor[NadirInfo]):
    """Prepare prompts with pictures, or with sheets of tiles that were cut elsewhere."""

    def apply(self, inputs: Any, timing_ctx: Any) -> Any:
        """Prepare one prompt: here alone its ids are known, so here each picture learns what is asked of it."""
        if inputs.mm_data_items.get_all_counts().get("image", 0):
            asked = _refusing(self._ask, inputs)
            inputs = replace(inputs, hf_processor_mm_kwargs={**inputs.hf_processor_mm_kwargs, _ASKED: asked})
        return super().apply(inputs, timing_ctx)

    def _ask(self, inputs: Any) -> list[Asked]:
        """Say what is asked of each picture of a prompt."""
        items = inputs.mm_data_items.get_items("image", ImageProcessorItems)
        pictures = [items.get(index) for index in range(items.get_count())]
        if None in pictures:
            raise ValueError("a picture was named by its uuid alone: send the picture too")
        processor = self.info.get_hf_processor()
        words = processor.image_instructions(inputs.prompt, len(pictures))
        dates = processor.date_pictures(inputs.prompt, [picture.size for picture in pictures])
        keys = super()._get_mm_hashes(inputs)["image"]
        asked = []
        for picture, own_words, own, key in zip(pictures, words, dates, keys, strict=True):
            date, partner = self._date_of_sheet(picture, len(pictures)) if is_sheet(picture) else own
            other = {} if partner is None else {"partner": pictures[partner], "partner_key": keys[partner]}
            asked.append(Asked(tuple(own_words), date, key, **other))
        return asked

    def _date_of_sheet(self, picture: PILImage.Image, pictures: int) -> tuple[int, int | None]:
        sheet = self._unpacked(picture)
        if sheet.partner is not None and not 0 <= sheet.partner < pictures:
            raise ValueError(f"a sheet is compared with picture {sheet.partner + 1}, but {pictures} were sent")
        return sheet.date, sheet.partner

    def _get_mm_hashes(self, inputs: Any) -> Any:
        """Fold what is asked of each picture into its hash."""
        asked: Sequence[Asked] | None = inputs.hf_processor_mm_kwargs.get(_ASKED)
        if asked is None:
            return super()._get_mm_hashes(inputs)
        algorithm = self.info.ctx.get_mm_config().mm_hasher_algorithm
        return {
            "image": [
                MultiModalHasher.hash_kwargs(
                    algorithm, picture=one.key, words=list(one.words), date=one.date, partner=one.partner_key
                )
                for one in asked
            ]
        }

    def _get_cache_missing_processor_kwargs(self, inputs: Any, mm_is_cached: Mapping[str, list[bool]]) -> Any:
        """Keep what is asked of the pictures that no cache has."""
        options = dict(inputs.hf_processor_mm_kwargs)
        if _ASKED in options:
            hits = mm_is_cached.get("image", [])
            options[_ASKED] = [one for one, hit in zip(options[_ASKED], hits, strict=True) if not hit]
        return options

    def _call_hf_processor(self, hf_data: Mapping[str, Any], hf_kwargs: Mapping[str, Any]) -> BatchFeature:
        """Cut pictures into tiles and give each its tensors; called without vLLM's cast of all that is a fraction."""
        rows = [
            _refusing(self._tensors, picture, asked)
            for picture, asked in zip(hf_data["images"], hf_kwargs[_ASKED], strict=True)
        ]
        return BatchFeature({name: torch.cat([row[name] for row in rows]) for name in rows[0]})

    def _tensors(self, picture: PILImage.Image, asked: Asked) -> dict[str, torch.Tensor]:
        """Give the tensors of one picture; the tiles of its partner date follow its own."""
        own = self._tiled(picture, asked.date)
        tensors = self.info.get_hf_processor().image_tensors([replace(own, partner=None)], [list(asked.words)])
        del tensors["tile_partner"]
        other = None if asked.partner is None else self._tiled(asked.partner, 0)
        if other is not None and len(other.pixels) != len(own.pixels):
            raise ValueError(
                f"dates of one place have {len(own.pixels)} and {len(other.pixels)} tiles: expected one plan"
            )
        read = [own.pixels] if other is None else [own.pixels, other.pixels]
        tensors["pixels"] = torch.from_numpy(np.concatenate(read))
        tensors["partner_tiles"] = torch.tensor([0 if other is None else len(other.pixels)])
        tensors["picture_keys"] = torch.tensor([[_numbers(asked.key), _numbers(asked.partner_key)]])
        return tensors

    def _tiled(self, picture: PILImage.Image, date: int) -> TiledImage:
        """Cut a picture into tiles, or take those of a sheet."""
        if is_sheet(picture):
            return self._unpacked(picture)
        if date >= (most := self.info.get_hf_config().max_dates):
            raise ValueError(f"got more than {most} pictures of one size in a turn: this model takes {most} dates")
        return self.info.get_hf_processor().tile_array(np.asarray(picture.convert("RGB")), date=date)

    def _unpacked(self, picture: PILImage.Image) -> TiledImage:
        """Read a sheet; ValueError where it has more of anything than the model knows."""
        config = self.info.get_hf_config()
        sheet = unpack_sheet(picture, tile_px=config.tile_px, tokens_per_tile=config.tokens_per_tile)
        levels = max(tile.level for tile in sheet.plan.tiles)
        got = (len(sheet.plan.tiles), levels, sheet.date, sheet.rendering)
        most = (self.info.most_tiles, config.max_levels - 1, config.max_dates - 1, config.max_renderings - 1)
        if any(one > bound for one, bound in zip(got, most, strict=True)):
            raise ValueError(f"a sheet has tiles, level, date, rendering {got}: this model takes at most {most}")
        return sheet

    def _get_mm_fields_config(
        self, hf_inputs: BatchFeature, hf_processor_mm_kwargs: Mapping[str, object]
    ) -> Mapping[str, MultiModalFieldConfig]:
        """Say which rows of each tensor belong to which picture."""
        tiles = hf_inputs.get("num_tiles", torch.empty(0, dtype=torch.long))
        read = tiles + hf_inputs.get("partner_tiles", torch.zeros_like(tiles))
        rows = {"pixels": read, "tile_frames": tiles, "tile_meta": tiles}
        return {
            **{name: MultiModalFieldConfig.flat_from_sizes("image", sizes) for name, sizes in rows.items()},
            **{
                name: MultiModalFieldConfig.batched("image", keep_on_cpu=True)
                for name in ("num_tiles", "partner_tiles", "picture_keys")
            },
            "qformer_input_ids": MultiModalFieldConfig.batched("image"),
            "qformer_attention_mask": MultiModalFieldConfig.batched("image"),
        }

    def _get_prompt_updates(self, mm_items: Any, hf_processor_mm_kwargs: Any, out_mm_kwargs: Any) -> Sequence[Any]:
        """Replace each placeholder by as many as its picture has visual tokens."""
        config, tiles = self.info.get_hf_config(), out_mm_kwargs.get_data().get("num_tiles", [])

        def run(index: int) -> list[int]:
            return [config.image_token_id] * (int(tiles[index]) * config.tokens_per_tile)

        return [PromptReplacement(modality="image", target=[config.image_token_id], replacement=run)]


def _refusing(step: Any, *arguments: Any) -> Any:
    """Run a step; what it refuses becomes the ValueError that vLLM answers with status 400."""
    try:
        return step(*arguments)
    except NadirError as error:
        raise ValueError(str(error)) from error


def _numbers(key: str) -> list[int]:
    """Turn a hash, or whatever a client calls a picture, into two numbers that travel as a tensor."""
    digest = blake2b(key.encode(), digest_size=16).digest()
    return [int.from_bytes(digest[at : at + 8], "little", signed=True) for at in (0, 8)]
