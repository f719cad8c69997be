"""The processor: images -> tiles -> tensors, messages -> token ids with one placeholder run an image, and batches.

Legend: T tiles of one image, P tile side in pixels, N tiles of a batch, B samples, S tokens.
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image as PILImage
from transformers import BatchFeature, ProcessorMixin

from vlm.config import CLIP_MEAN, CLIP_STD
from vlm.errors import SpliceError
from vlm.geometry.shapes import Window
from vlm.prompts import CHAT_TEMPLATE, Message, escape_control_tokens
from vlm.raster import Pixels, span
from vlm.tiling import TilePlan, TokenBudget, plan_tiles


class PixelSource(Protocol):
    """Read a window of original pixels as 8-bit RGB of a given size, with a validity mask."""

    def read(self, window: Window, size: tuple[int, int], rendering: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class ArrayImage:
    """Offer an (H, W, 3) uint8 array as a pixel source, with the same reading rule as a raster."""

    rgb: np.ndarray

    def read(self, window: Window, size: tuple[int, int], rendering: Any = None) -> Pixels:
        """Read a window, averaged when shrunk and bilinear when enlarged; what sticks out of the array is invalid."""
        height, width = self.rgb.shape[:2]
        col, cols, x, w = span(window.x, window.w, size[0], width)
        row, rows, y, h = span(window.y, window.h, size[1], height)
        rgb, valid = np.zeros((size[1], size[0], 3), np.uint8), np.zeros((size[1], size[0]), bool)
        if cols > 0 and rows > 0:
            left, top, right, bottom = math.floor(x), math.floor(y), math.ceil(x + w), math.ceil(y + h)
            part = PILImage.fromarray(self.rgb[top:bottom, left:right])
            method = PILImage.Resampling.BOX if w > cols or h > rows else PILImage.Resampling.BILINEAR
            box = (x - left, y - top, x + w - left, y + h - top)
            rgb[row : row + rows, col : col + cols] = np.asarray(part.resize((cols, rows), method, box=box))
            valid[row : row + rows, col : col + cols] = True
        return Pixels(rgb, valid)


@dataclass(frozen=True, slots=True)
class TiledImage:
    """Hold one image (one date in one rendering) as the model sees it: `pixels` (T, P, P, 3) uint8 and its plan.

    `width` and `height` are those of the frame in which boxes are normalised: the image, or the window asked for, whose
    top-left corner is `origin` in original-image pixels. `partner` is the index, within the prompt, of the image whose
    tiles these are compared with (None for a single date).
    """

    pixels: np.ndarray
    plan: TilePlan
    width: int
    height: int
    origin: tuple[int, int] = (0, 0)
    date: int = 0
    rendering: int = 0
    partner: int | None = None


class NadirProcessor(ProcessorMixin):
    """Prepare prompts and tiles for NadirForConditionalGeneration."""

    def __init__(
        self,
        tokenizer: Any = None,
        chat_template: str | None = None,
        tile_px: int = 224,
        fit_factor: float = 1.25,
        default_tiles: int = 7,
        tokens_per_tile: int = 18,
        max_instruction_tokens: int = 64,
        image_mean: Sequence[float] = CLIP_MEAN,
        image_std: Sequence[float] = CLIP_STD,
    ) -> None:
        super().__init__(tokenizer, chat_template=chat_template or CHAT_TEMPLATE)
        self.tile_px, self.fit_factor, self.default_tiles = tile_px, fit_factor, default_tiles
        self.tokens_per_tile, self.max_instruction_tokens = tokens_per_tile, max_instruction_tokens
        self.image_mean, self.image_std = list(image_mean), list(image_std)

    @property
    def image_token_id(self) -> int:
        return self.tokenizer.convert_tokens_to_ids("<image>")

    def plan(
        self, width: int, height: int, *, budget: TokenBudget | None = None, window: Window | None = None
    ) -> TilePlan:
        """Plan the tiles of a `width` x `height` image with this checkpoint's tile size and default budget."""
        return plan_tiles(
            width,
            height,
            tile_px=self.tile_px,
            tokens_per_tile=self.tokens_per_tile,
            budget=budget or TokenBudget(self.default_tiles),
            fit_factor=self.fit_factor,
            window=window,
        )

    def tile(
        self,
        source: PixelSource,
        plan: TilePlan,
        *,
        window: Window | None = None,
        rendering: Any = None,
        date: int = 0,
        rendering_index: int = 0,
        partner: int | None = None,
    ) -> TiledImage:
        """Read a plan's tiles from a source; invalid pixels, and those outside the window, get the mean colour."""
        frame = window or Window(0, 0, plan.width, plan.height)
        pixels = np.stack([self._read(source, tile.window, rendering, window) for tile in plan.tiles])
        return TiledImage(pixels, plan, frame.w, frame.h, (frame.x, frame.y), date, rendering_index, partner)

    def _read(self, source: PixelSource, tile: Window, rendering: Any, area: Window | None) -> np.ndarray:
        pixels = source.read(tile, (self.tile_px, self.tile_px), rendering)
        shown = pixels.valid if area is None else pixels.valid & _inside(tile, area, self.tile_px)
        mean = np.round(np.asarray(self.image_mean) * 255).astype(np.uint8)
        return np.where(shown[..., None], pixels.rgb, mean)

    def escape(self, text: str) -> str:
        """Make every control token in a user's text harmless."""
        return escape_control_tokens(text, [*self.tokenizer.all_special_tokens, "<image>"])

    def encode(
        self, messages: Sequence[Message], images: Sequence[TiledImage] = (), *, with_labels: bool = False
    ) -> dict[str, torch.Tensor]:
        """Encode one conversation and its images, in the order of their placeholders, as unpadded tensors.

        Without `with_labels` the assistant's header is appended, ready to generate. With it, `labels` hold the
        assistant's tokens and -100 elsewhere. Raises SpliceError when the numbers of placeholders and images differ.
        """
        text = self.apply_chat_template(list(messages), add_generation_prompt=not with_labels, tokenize=False)
        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        instructions = self.image_instructions(ids, len(images))
        ids = self._expand(ids, [len(image.plan.tiles) * self.tokens_per_tile for image in images])
        encoded = {"input_ids": torch.tensor(ids), **self.image_tensors(images, instructions)}
        if with_labels:
            encoded["labels"] = torch.tensor(self._labels(ids))
        return encoded

    def image_instructions(self, ids: Sequence[int], images: int) -> list[list[int]]:
        """Give, for each image placeholder, the other tokens of the turn that holds it: the Q-former's instruction.

        Of a turn with more than `max_instruction_tokens` of them, those after its last image: the notes are left out.
        """
        found = []
        for turn in self._turns(ids):
            words = [token for token in turn if token != self.image_token_id]
            if len(words) > self.max_instruction_tokens and self.image_token_id in turn:
                words = turn[len(turn) - turn[::-1].index(self.image_token_id) :]
            found += [words[: self.max_instruction_tokens]] * turn.count(self.image_token_id)
        if len(found) != images:
            raise SpliceError(f"the prompt holds {len(found)} image placeholders, but {images} images were given")
        return found

    def date_pictures(self, ids: Sequence[int], sizes: Sequence[tuple[int, int]]) -> list[tuple[int, int | None]]:
        """Say of each picture which date it is, and which picture of the prompt it is compared with (None: none).

        Pictures of one turn that have one size, (width, height), are dates of one place; all others stand alone.
        Raises SpliceError when the numbers of placeholders and sizes differ.
        """
        counts = [turn.count(self.image_token_id) for turn in self._turns(ids)]
        if sum(counts) != len(sizes):
            raise SpliceError(f"the prompt holds {sum(counts)} image placeholders, but {len(sizes)} images were given")
        found: list[tuple[int, int | None]] = []
        for count in counts:
            first, own = len(found), set(sizes[len(found) : len(found) + count])
            dates = count if len(own) == 1 else 1
            for date in range(count):
                partner = partner_of(date, dates=dates)
                found.append((0, None) if partner is None else (date, first + partner))
        return found

    def _turns(self, ids: Sequence[int]) -> list[list[int]]:
        """Split a prompt at the tokens that begin and end a turn."""
        start, end = (self.tokenizer.convert_tokens_to_ids(token) for token in ("<|im_start|>", "<|im_end|>"))
        turns: list[list[int]] = [[]]
        for token in ids:
            if token in (start, end):
                turns.append([])
            else:
                turns[-1].append(token)
        return turns

    def _expand(self, ids: Sequence[int], lengths: Sequence[int]) -> list[int]:
        runs = iter(lengths)
        expanded: list[int] = []
        for token in ids:
            expanded += [token] * (next(runs) if token == self.image_token_id else 1)
        return expanded

    def _labels(self, ids: Sequence[int]) -> list[int]:
        """Keep the tokens after each assistant header up to and with "<|im_end|>"; -100 for all others."""
        header = self.tokenizer("<|im_start|>assistant\n", add_special_tokens=False)["input_ids"]
        end = self.tokenizer.convert_tokens_to_ids("<|im_end|>")
        labels, inside = [-100] * len(ids), False
        for index, token in enumerate(ids):
            inside = inside or list(ids[index - len(header) : index]) == header
            if inside:
                labels[index] = token
                inside = token != end
        return labels

    def image_tensors(self, images: Sequence[TiledImage], instructions: list[list[int]]) -> dict[str, torch.Tensor]:
        """Give the tensors of images and of the instruction of each, unpadded over the tiles."""
        if not images:
            return {}
        first = np.cumsum([0, *(len(image.plan.tiles) for image in images)])
        frames, meta, partner = [], [], []
        for image in images:
            area = Window(*image.origin, image.width, image.height)
            for index, tile in enumerate(image.plan.tiles):
                frames.append(tile.frame(area))
                meta.append((tile.level, image.date, image.rendering))
                partner.append(-1 if image.partner is None else int(first[image.partner]) + index)
        words, mask = _pad(instructions, self.tokenizer.pad_token_id or 0, self.max_instruction_tokens)
        return {
            "pixels": torch.from_numpy(np.concatenate([image.pixels for image in images])),
            "tile_frames": torch.tensor(frames, dtype=torch.float32),
            "tile_meta": torch.tensor(meta),
            "tile_partner": torch.tensor(partner),
            "num_tiles": torch.tensor([len(image.plan.tiles) for image in images]),
            "qformer_input_ids": words,
            "qformer_attention_mask": mask,
        }

    def collate(self, samples: Sequence[dict[str, torch.Tensor]], *, side: str = "left") -> BatchFeature:
        """Join encoded samples: sequences padded on `side`, tiles flat over the batch, partners renumbered."""
        length = max(len(sample["input_ids"]) for sample in samples)
        pad = self.tokenizer.pad_token_id or 0
        fill = {"input_ids": pad, "labels": -100}
        batch = {
            key: torch.stack([_pad_to(sample[key], length, value, side) for sample in samples])
            for key, value in fill.items()
            if key in samples[0]
        }
        masks = [torch.ones(len(sample["input_ids"]), dtype=torch.long) for sample in samples]
        batch["attention_mask"] = torch.stack([_pad_to(mask, length, 0, side) for mask in masks])
        return BatchFeature({**batch, **self._join_images([sample for sample in samples if "pixels" in sample])})

    def _join_images(self, samples: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
        if not samples:
            return {}
        joined = {
            key: torch.cat([sample[key] for sample in samples])
            for key in ("tile_frames", "tile_meta", "num_tiles", "qformer_input_ids", "qformer_attention_mask")
        }
        offsets = np.cumsum([0, *(len(sample["tile_partner"]) for sample in samples)])
        partners = [
            torch.where(sample["tile_partner"] < 0, -1, sample["tile_partner"] + int(offset))
            for sample, offset in zip(samples, offsets, strict=False)
        ]
        joined["tile_partner"] = torch.cat(partners)
        longest = max(1, int(joined["qformer_attention_mask"].sum(1).max()))
        for key in ("qformer_input_ids", "qformer_attention_mask"):
            joined[key] = joined[key][:, :longest]
        return {"pixel_values": self.normalise(torch.cat([sample["pixels"] for sample in samples])), **joined}

    def normalise(self, pixels_NPP3: torch.Tensor) -> torch.Tensor:
        """Turn (N, P, P, 3) uint8 into (N, 3, P, P) float32 by the encoder's mean and standard deviation."""
        return normalise(pixels_NPP3, self.image_mean, self.image_std)

    def __call__(self, images: Any = None, text: Any = None, **kwargs: Any) -> BatchFeature:
        """Encode rendered prompts (with one "<image>" an image) and their PIL images or arrays, flat over the batch.

        Pictures of one turn that have one size are dates of one place (date_pictures).
        """
        texts = [text] if isinstance(text, str) else list(text)
        pictures = [] if images is None else list(images) if isinstance(images, list | tuple) else [images]
        pending = iter(pictures)
        samples = []
        for prompt in texts:
            ids = self.tokenizer(prompt, add_special_tokens=False)["input_ids"]
            arrays = [_as_array(picture) for picture in islice(pending, ids.count(self.image_token_id))]
            own = self.tile_arrays(ids, arrays)
            expanded = self._expand(ids, [len(image.plan.tiles) * self.tokens_per_tile for image in own])
            tensors = self.image_tensors(own, self.image_instructions(ids, len(own)))
            samples.append({"input_ids": torch.tensor(expanded), **tensors})
        return self.collate(samples)

    def tile_arrays(self, ids: Sequence[int], arrays: Sequence[np.ndarray]) -> list[TiledImage]:
        """Plan and tile the pictures of one prompt, (H, W, 3) uint8 each, as dates where they are dates."""
        dates = self.date_pictures(ids, [(rgb.shape[1], rgb.shape[0]) for rgb in arrays])
        return [
            self.tile_array(rgb, date=date, partner=partner) for rgb, (date, partner) in zip(arrays, dates, strict=True)
        ]

    def tile_array(
        self, rgb: np.ndarray, *, budget: TokenBudget | None = None, date: int = 0, partner: int | None = None
    ) -> TiledImage:
        """Plan and tile an (H, W, 3) uint8 array."""
        plan = self.plan(rgb.shape[1], rgb.shape[0], budget=budget)
        return self.tile(ArrayImage(rgb), plan, date=date, partner=partner)


def normalise(pixels_NPP3: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """Turn (N, P, P, 3) uint8 into (N, 3, P, P) float32 by a mean and a standard deviation a channel."""
    middle, spread = (torch.tensor(values, device=pixels_NPP3.device, dtype=torch.float32) for values in (mean, std))
    return ((pixels_NPP3.float() / 255 - middle) / spread).permute(0, 3, 1, 2).contiguous()


def partner_of(date: int, *, dates: int, rendering: int = 0, renderings: int = 1) -> int | None:
    """Give the number of the image that a date is compared with: the date before it; for the first, the second."""
    if dates == 1:
        return None
    return (date - 1 if date else 1) * renderings + rendering


def _as_array(picture: Any) -> np.ndarray:
    return np.asarray(picture.convert("RGB") if isinstance(picture, PILImage.Image) else picture)


def _inside(tile: Window, area: Window, side: int) -> np.ndarray:
    """Say which of a tile's side x side cells have their centre in an area of the image: (side, side) bool."""
    at = (np.arange(side) + 0.5) / side
    x, y = tile.x + at * tile.w, tile.y + at * tile.h
    rows, cols = (y >= area.y) & (y < area.y + area.h), (x >= area.x) & (x < area.x + area.w)
    return np.asarray(rows[:, None] & cols)


def _pad(rows: list[list[int]], value: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.tensor([row + [value] * (length - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows])
    return ids, mask


def _pad_to(row: torch.Tensor, length: int, value: int, side: str) -> torch.Tensor:
    missing = (length - len(row), 0) if side == "left" else (0, length - len(row))
    return torch.nn.functional.pad(row, missing, value=value)
