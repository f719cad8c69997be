"""The CLIP-style encoder: open_clip's own towers, with patch tokens from chosen layers and any tile size.

Legend: N tiles, P tile side in pixels, L patches, G patch grid side, C channels.
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

from difflib import get_close_matches
from pathlib import Path
from pickle import UnpicklingError
from types import MethodType
from typing import Any

import open_clip
import torch
from open_clip.model import CLIP
from open_clip.transformer import VisionTransformer
from torch import nn
from torch.nn import functional

from vlm.errors import CheckpointError


class Encoder(nn.Module):
    """Hold both towers of an open_clip model; the text tower serves zero-shot scores and the choice of tiles."""

    def __init__(self, clip_config: dict[str, Any], layers: tuple[int, ...]) -> None:
        super().__init__()
        fields = {key: value for key, value in clip_config.items() if key not in ("custom_text", "preprocess_cfg")}
        self.clip = CLIP(**fields, nonscalar_logit_scale=True)
        self.layers = list(layers)
        if isinstance(self.clip.visual, VisionTransformer):
            self.clip.visual._embeds = MethodType(_embed_any_size, self.clip.visual)

    def forward(self, pixels_N3PP: torch.Tensor) -> tuple[torch.Tensor, tuple[int, int]]:
        """Give patch tokens (N, L, C) and their grid (rows, cols), L = rows * cols, row by row.

        The first of `layers` sets the grid. A layer that is a whole number of times finer is folded into it (each
        patch carries its sub-patches side by side, so nothing is lost); any other is resized bilinearly.
        """
        visual = self.clip.visual
        extra = {"normalize_intermediates": True} if isinstance(visual, VisionTransformer) else {}
        found = visual.forward_intermediates(
            pixels_N3PP.contiguous(memory_format=torch.channels_last),
            indices=self.layers,
            output_fmt="NCHW",
            intermediates_only=True,
            **extra,
        )["image_intermediates"]
        first = sorted(self.layers).index(self.layers[0])
        grid = found[first].shape[-2:]
        tokens = torch.cat([_to_grid(features, grid) for features in found], dim=1).flatten(2).transpose(1, 2)
        return tokens, (int(grid[0]), int(grid[1]))

    @property
    def width(self) -> int:
        """Give C, the number of channels of a patch token."""
        visual = self.clip.visual
        if isinstance(visual, VisionTransformer):
            return int(visual.conv1.out_channels) * len(self.layers)
        info: Any = visual.trunk.feature_info  # type: ignore[union-attr]
        stages = [(info if isinstance(info, list) else info.info)[layer] for layer in self.layers]
        coarse = stages[0]["reduction"]
        return sum(stage["num_chs"] * max(1, coarse // stage["reduction"]) ** 2 for stage in stages)


def _to_grid(features_NCGG: torch.Tensor, grid: torch.Size) -> torch.Tensor:
    size = features_NCGG.shape[-2:]
    fold = size[0] // grid[0]
    if size == (fold * grid[0], fold * grid[1]):
        return functional.pixel_unshuffle(features_NCGG, fold)
    return functional.interpolate(features_NCGG, size=grid, mode="bilinear", align_corners=False)


def _embed_any_size(self: VisionTransformer, pixels_N3PP: torch.Tensor) -> torch.Tensor:
    """Embed patches as open_clip does, with the position table resized bicubically to the actual grid."""
    x = self.conv1(pixels_N3PP)
    rows, cols = x.shape[-2:]
    x = x.flatten(2).transpose(1, 2)
    x = torch.cat([self.class_embedding.to(x.dtype).expand(x.shape[0], 1, -1), x], dim=1)
    x = x + resize_positions(self.positional_embedding, self.grid_size, (rows, cols)).to(x.dtype)
    return self.ln_pre(self.patch_dropout(x))


def resize_positions(table_LC: torch.Tensor, old: tuple[int, int], new: tuple[int, int]) -> torch.Tensor:
    """Resize a (1 + rows * cols, C) position table, class position first, from an old to a new patch grid."""
    if tuple(old) == tuple(new):
        return table_LC
    head, body = table_LC[:1], table_LC[1:]
    body = body.reshape(1, old[0], old[1], -1).permute(0, 3, 1, 2).float()
    body = functional.interpolate(body, size=new, mode="bicubic", antialias=True, align_corners=False)
    return torch.cat([head, body.permute(0, 2, 3, 1).reshape(new[0] * new[1], -1).to(head.dtype)])


def named_clip_config(name: str) -> dict[str, Any]:
    """Give open_clip's configuration of a named architecture, such as "ViT-L-14".

    Raises CheckpointError with the close names when open_clip does not know it.
    """
    config = open_clip.get_model_config(name)
    if config is None:
        near = get_close_matches(name, open_clip.list_models(), n=8)
        raise CheckpointError(f"open_clip has no architecture {name!r}: close names are {', '.join(near) or 'none'}")
    return config


def load_clip_weights(encoder: Encoder, path: str | Path) -> None:
    """Load an open_clip checkpoint (RemoteCLIP, GeoRSCLIP, SkyCLIP, FarSLIP: a `.pt` state dict) into both towers.

    Raises CheckpointError when the file is missing or its tensors do not fit the architecture.
    """
    if not Path(path).is_file():
        raise CheckpointError(f"vision checkpoint {path} does not exist: give the path of an open_clip .pt file")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, UnpicklingError) as error:
        raise CheckpointError(f"vision checkpoint {path} cannot be read as a state dict: copy it again") from error
    state = state.get("state_dict", state)
    state = {key.removeprefix("module."): value for key, value in state.items()}
    if state.get("logit_scale") is not None:
        state["logit_scale"] = state["logit_scale"].reshape(1)
    try:
        encoder.clip.load_state_dict(state, strict=True)
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise CheckpointError(
            f"vision checkpoint {path} does not fit the architecture: {reason}; give the --vision it was trained with"
        ) from error
