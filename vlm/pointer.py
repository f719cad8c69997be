"""The pointer: a small dense detector that the instruction steers, and that tells the language model what it found.

A language model of any size learns slowly to read a place out of visual tokens, a small one not at all in an hour. So
each quarter of a patch is asked directly whether the centre of what the instruction asks for lies in it and how the
box around it lies (CenterNet: Zhou et al., 2019; the words steer by scale and shift: FiLM, Perez et al., 2018). The
best boxes of an image, as many as it has tiles, are then told in visual tokens of their own, surest first: nine numbers
a box, one a token, each as the sine code of its value, which tokens of integers start from too. Writing a box then is
copying; told on top of other visual tokens, numbers drown in them.
train/pointing.py trains the detector; the language model's loss does not reach it.

Legend: N tiles, I images, L patches, K key width, T instruction tokens, E LLM width, H width of the head, R x C fine
cells (two by two to a patch), M boxes.
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import math
from typing import cast

import torch
from torch import nn
from torch.nn import functional
from torchvision.ops import box_iou
from transformers import initialization as init

from vlm.config import BOX_NUMBERS as NUMBERS
from vlm.positions import grid_points, sine_code

HEAT, CENTRE, SIZE, SIDES, TURN = 0, slice(1, 3), slice(3, 5), slice(5, 7), slice(7, 9)
"""Channels of what a cell says: logit of "it is centred here"; (dx, dy) of the centre from the cell's; log (w, h) of
the upright box; log (long, short) of the oriented one; (sin, cos) of twice its angle. Lengths are in cells."""
CHANNELS = 9
FINE = 2
"""Cells to a side of a patch."""
CODE = 40
"""Numbers that encode the place of a cell: ten octaves a coordinate."""
PRIOR = 0.02
"""Share of the cells that an untrained head thinks right."""
SURE = 1 / 3
"""Certainty from which a box is told in full; a less certain one in proportion."""
SAME = 0.3
"""Overlap (IoU) from which the less certain of two boxes is taken for the same thing."""
CANDIDATES = 64
"""Peaks of an image that are compared."""


class Pointer(nn.Module):
    """Say what lies where, for the instruction, and tell it in visual tokens."""

    def __init__(self, keys: int, width: int, llm_width: int) -> None:
        super().__init__()
        self.fine = nn.Linear(keys, FINE * FINE * width)
        self.place = nn.Linear(CODE, width, bias=False)
        self.matters = nn.Linear(llm_width, 1, bias=False)
        self.words = nn.Linear(llm_width, width)
        self.steer = nn.Linear(width, 2 * width)
        self.near = nn.Conv2d(width, width, 3, padding=1)
        self.far = nn.Conv2d(width, width, 3, padding=1)
        self.say = nn.Conv2d(width, CHANNELS, 1)
        self.said = nn.Identity()
        self.tell = nn.Linear(llm_width, llm_width, bias=False)
        self.about = nn.Embedding(NUMBERS, llm_width)
        self.certain = nn.Linear(1, llm_width, bias=False)
        self.negative = nn.Linear(1, llm_width, bias=False)
        self.choose = Choice()
        setattr(self.say, "start", doubt)  # noqa: B010
        setattr(self.place, "start", nothing)  # noqa: B010
        setattr(self.about, "start", tell_apart)  # noqa: B010

    def forward(
        self,
        keys_NLK: torch.Tensor,
        grid: tuple[int, int],
        frames_N4: torch.Tensor,
        num_tiles: torch.Tensor,
        words_NTE: torch.Tensor,
        mask_NT: torch.Tensor,
    ) -> torch.Tensor:
        """Give the tokens that tell a box, (N, 9, E): tile by tile the best boxes of its image."""
        said = self.find(keys_NLK, grid, frames_N4, words_NTE, mask_NT).detach().float()
        numbers, certainty = (torch.cat(found) for found in zip(*self.choose(said, frames_N4, num_tiles), strict=True))
        return self._tell(numbers, certainty, keys_NLK.dtype)

    def find(
        self,
        keys_NLK: torch.Tensor,
        grid: tuple[int, int],
        frames_N4: torch.Tensor,
        words_NTE: torch.Tensor,
        mask_NT: torch.Tensor,
    ) -> torch.Tensor:
        """Say of every fine cell whether what is asked for is centred in it, and how its box lies: (N, 9, R, C)."""
        cells = functional.pixel_shuffle(self.fine(keys_NLK).transpose(1, 2).unflatten(2, grid), FINE)
        rows, cols = cells.shape[2:]
        where = self.place(sine_code(grid_points(frames_N4, rows, cols), CODE).to(cells.dtype))
        cells = cells + where.transpose(1, 2).unflatten(2, (rows, cols))
        weight = self.matters(words_NTE).masked_fill(mask_NT.unsqueeze(-1) == 0, -math.inf).softmax(1).nan_to_num()
        asked = functional.gelu((weight * self.words(words_NTE)).sum(1))
        scale, shift = self.steer(asked)[..., None, None].chunk(2, dim=1)
        steered = functional.gelu(cells) * (1 + scale) + shift
        near = functional.gelu(self.near(steered))
        said: torch.Tensor = self.said(self.say(near + functional.gelu(self.far(near))))
        return said

    def _tell(self, numbers_M9: torch.Tensor, certainty_M: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """Write boxes as embeddings, one a number, (M, 9, E)."""
        values = numbers_M9.abs().unsqueeze(-1)
        code = sine_code(values.expand(-1, -1, 2), self.tell.in_features).to(dtype)
        minus = self.negative((numbers_M9 < 0).to(dtype).unsqueeze(-1))
        sure = certainty_M[:, None, None].to(dtype)
        written: torch.Tensor = self.tell(code) + minus + self.certain(sure)
        return (sure / SURE).clamp(max=1) * written + self.about(torch.arange(NUMBERS, device=code.device))


class Choice(nn.Module):
    """Choose the best boxes of each image; a module of its own so that training can put the truth in their place."""

    def forward(
        self, said_N9RC: torch.Tensor, frames_N4: torch.Tensor, num_tiles: torch.Tensor
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Give `best_boxes` of each of the I images, one for each of its tiles."""
        counts = num_tiles.tolist()
        return [
            best_boxes(said, frames, len(said))
            for said, frames in zip(said_N9RC.split(counts), frames_N4.split(counts), strict=True)
        ]


def best_boxes(said_N9RC: torch.Tensor, frames_N4: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Give the surest boxes of an image's tiles, (count, 9) numbers and (count,) certainties, zeros where none is left.

    Peaks of the heat, in order; of boxes that overlap by more than SAME the surest stays (fast non-maximum
    suppression: Bolya et al., YOLACT, 2019).
    """
    heat = said_N9RC[:, HEAT].sigmoid()
    peaks = heat * (heat == functional.max_pool2d(heat, 3, stride=1, padding=1))
    certainty, cell = peaks.flatten().topk(min(CANDIDATES, peaks.numel()))
    rows, cols = heat.shape[1:]
    found = said_N9RC.movedim(1, -1).reshape(-1, CHANNELS)[cell]
    centres = grid_points(frames_N4, rows, cols).reshape(-1, 2)[cell]
    numbers = read_boxes(found, centres, cell_size(frames_N4, rows, cols)[cell // (rows * cols)])
    overlap = box_iou(numbers[:, :4], numbers[:, :4]).nan_to_num().triu(1)
    kept = (overlap.amax(0) <= SAME).nonzero()[:count, 0]
    more = count - len(kept)
    return functional.pad(numbers[kept], (0, 0, 0, more)), functional.pad(certainty[kept], (0, more))


def doubt(say: nn.Conv2d) -> None:
    """Start a head that says PRIOR of every cell."""
    init.zeros_(say.weight)
    start = functional.one_hot(torch.tensor(HEAT), CHANNELS) * math.log(PRIOR / (1 - PRIOR))
    init.copy_(cast(torch.Tensor, say.bias), start)


def tell_apart(about: nn.Embedding) -> None:
    """Start codes that are as loud as what the Q-former says of a tile."""
    init.normal_(about.weight)


def nothing(layer: nn.Linear) -> None:
    """Start a layer that adds nothing."""
    init.zeros_(layer.weight)


def cell_size(frames_N4: torch.Tensor, rows: int, cols: int) -> torch.Tensor:
    """Give the width and height of a cell of each tile's rows x cols grid, normalised by the image's: (N, 2)."""
    return (frames_N4[:, 2:] - frames_N4[:, :2]).float() / frames_N4.new_tensor((cols, rows), dtype=torch.float32)


def read_boxes(found: torch.Tensor, centres: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    """Give the nine numbers of boxes, (..., 9), as the nadir dialect writes them, in thousandths / 1000.

    `found` (..., 9) is what cells of size `cells` (..., 2) around `centres` (..., 2) say. Coordinates are normalised
    by the image's width and height and lie in it, sides are normalised by its longer side, the angle is in degrees /
    1000. Canvases are square in pixels, so the smaller of a cell's two sizes is the one normalised by the longer side.
    """
    middle = centres + found[..., CENTRE].clamp(-4, 4) * cells
    half = found[..., SIZE].clamp(-3, 4).exp() * cells / 2
    sides = found[..., SIDES].clamp(-3, 4).exp() * cells.amin(-1, keepdim=True)
    degrees = torch.rad2deg(torch.atan2(found[..., TURN.start], found[..., TURN.start + 1])) / 2
    corners = torch.cat((middle - half, middle + half, middle), dim=-1).clamp(0, 1)
    return torch.cat((corners, sides.clamp(0, 1), degrees.unsqueeze(-1) / 1000), dim=-1)
