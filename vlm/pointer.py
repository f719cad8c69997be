"""The pointer: a small dense detector that the instruction steers, and that tells the language model what it found.

A language model of any size learns slowly to read a place out of visual tokens, a small one not at all in an hour. So
each quarter of a patch is asked directly whether the centre of what the instruction asks for lies in it and how the
box around it lies (CenterNet: Zhou et al., 2019; the words steer by scale and shift: FiLM, Perez et al., 2018), and
the best of each anchor's cell is added to that anchor's visual token as the sine codes of its coordinates, scaled by
how certain it is. Tokens of integers start as the same codes: writing a box is then copying. train/pointing.py trains
it; the language model's loss does not reach it.

Legend: N tiles, L patches, K key width, T instruction tokens, E LLM width, H width of the head, R x C fine cells (two
by two to a patch), G anchors a side.
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import math
from typing import cast

import torch
from torch import nn
from torch.nn import functional
from transformers import initialization as init

from vlm.positions import grid_points, sine_code

HEAT, CENTRE, SIZE, SIDES, TURN = 0, slice(1, 3), slice(3, 5), slice(5, 7), slice(7, 9)
"""Channels of what a cell says: logit of "it is centred here"; (dx, dy) of the centre from the cell's; log (w, h) of
the upright box; log (long, short) of the oriented one; (sin, cos) of twice its angle. Lengths are in cells."""
CHANNELS = 9
FINE = 2
"""Cells to a side of a patch."""
CODE = 40
"""Numbers that encode two coordinates: ten octaves, each also among the sixty-four of an integer's token."""
PRIOR = 0.02
"""Share of the cells that an untrained head thinks right."""


class Pointer(nn.Module):
    """Say what lies where, for the instruction, and give each anchor's token the best of its cell."""

    def __init__(self, keys: int, width: int, llm_width: int, query_grid: int, free_queries: int) -> None:
        super().__init__()
        self.query_grid, self.free_queries = query_grid, free_queries
        self.fine = nn.Linear(keys, FINE * FINE * width)
        self.matters = nn.Linear(llm_width, 1)
        self.words = nn.Linear(llm_width, width)
        self.steer = nn.Linear(width, 2 * width)
        self.near = nn.Conv2d(width, width, 3, padding=1)
        self.far = nn.Conv2d(width, width, 3, padding=1)
        self.say = nn.Conv2d(width, CHANNELS, 1)
        setattr(self.say, "start", doubt)  # noqa: B010
        self.tell = nn.Linear(5 * CODE, llm_width, bias=False)

    def forward(
        self,
        keys_NLK: torch.Tensor,
        grid: tuple[int, int],
        frames_N4: torch.Tensor,
        words_NTE: torch.Tensor,
        mask_NT: torch.Tensor,
    ) -> torch.Tensor:
        """Give what is added to each visual token of a tile, (N, G * G + free queries, E)."""
        said = self.find(keys_NLK, grid, words_NTE, mask_NT)
        return functional.pad(self._tell(said.detach(), frames_N4), (0, 0, 0, self.free_queries))

    def find(
        self, keys_NLK: torch.Tensor, grid: tuple[int, int], words_NTE: torch.Tensor, mask_NT: torch.Tensor
    ) -> torch.Tensor:
        """Say of every fine cell whether what is asked for is centred in it, and how its box lies: (N, 9, R, C)."""
        cells = functional.pixel_shuffle(self.fine(keys_NLK).transpose(1, 2).unflatten(2, grid), FINE)
        weight = self.matters(words_NTE).masked_fill(mask_NT.unsqueeze(-1) == 0, -math.inf).softmax(1).nan_to_num()
        asked = functional.gelu((weight * self.words(words_NTE)).sum(1))
        scale, shift = self.steer(asked)[..., None, None].chunk(2, dim=1)
        steered = functional.gelu(cells) * (1 + scale) + shift
        near = functional.gelu(self.near(steered))
        said: torch.Tensor = self.say(near + functional.gelu(self.far(near)))
        return said

    def _tell(self, said_N9RC: torch.Tensor, frames_N4: torch.Tensor) -> torch.Tensor:
        """Write the best of each anchor's cell as an embedding, (N, G * G, E), scaled by its certainty."""
        rows, cols = said_N9RC.shape[2:]
        side = self.query_grid
        heat, best = functional.adaptive_max_pool2d(said_N9RC[:, HEAT : HEAT + 1], side, return_indices=True)
        best = best.reshape(len(best), 1, side * side)
        found = said_N9RC.float().flatten(2).gather(2, best.expand(-1, CHANNELS, -1)).transpose(1, 2)
        centres = grid_points(frames_N4, rows, cols).gather(1, best.transpose(1, 2).expand(-1, -1, 2))
        code = encode_boxes(found, centres, cell_size(frames_N4, rows, cols)[:, None])
        certainty = heat.reshape(len(heat), side * side, 1).sigmoid()
        told: torch.Tensor = certainty * self.tell(code.to(heat.dtype))
        return told


def doubt(say: nn.Conv2d) -> None:
    """Start a head that says PRIOR of every cell."""
    init.zeros_(say.weight)
    init.copy_(cast(torch.Tensor, say.bias), functional.one_hot(torch.tensor(HEAT), CHANNELS) * math.log(PRIOR / (1 - PRIOR)))


def cell_size(frames_N4: torch.Tensor, rows: int, cols: int) -> torch.Tensor:
    """Give the width and height of a cell of each tile's rows x cols grid, normalised by the image's: (N, 2)."""
    return (frames_N4[:, 2:] - frames_N4[:, :2]).float() / frames_N4.new_tensor((cols, rows), dtype=torch.float32)


def encode_boxes(found: torch.Tensor, centres: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    """Write boxes as sine codes, (..., 5 * CODE): two corners, the centre, the two sides, the angle twice.

    `found` (..., 9) is what cells of size `cells` (..., 2) around `centres` (..., 2) say. Coordinates are normalised
    by the image's width and height, sides by its longer side, angles by 180 degrees: as the nadir dialect writes them.
    Canvases are square in pixels, so the smaller of a cell's two sizes is the one normalised by the longer side.
    """
    middle = centres + found[..., CENTRE].clamp(-4, 4) * cells
    half = found[..., SIZE].clamp(-3, 4).exp() * cells / 2
    sides = found[..., SIDES].clamp(-3, 4).exp() * cells.amin(-1, keepdim=True)
    angle = torch.atan2(found[..., TURN.start], found[..., TURN.start + 1]) / (2 * math.pi) + 0.5
    pairs = (middle - half, middle + half, middle, sides, torch.stack((angle, angle), dim=-1))
    return torch.cat([sine_code(pair, CODE) for pair in pairs], dim=-1)
