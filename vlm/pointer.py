"""The pointer: a small dense detector that the instruction steers, and that tells the language model what it found.

A language model of any size learns slowly to read a place out of visual tokens, a small one not at all in an hour. So
each quarter of a patch is asked directly whether the centre of what the instruction asks for lies in it and how the
box around it lies (CenterNet: Zhou et al., 2019; the words steer by scale and shift: FiLM, Perez et al., 2018). A cell
sees one tile, so it cannot know which of the cars is the left-most: the best candidates of an image then look at each
other (relation networks: Hu et al., 2018) and say again how sure they are. The surest boxes, as many as the image has
tiles, are told in visual tokens of their own: nine numbers a box, one a token, each as the sine code of its value,
which tokens of integers start from too. Writing a box then is copying; told on top of other visual tokens, it drowns.
train/pointing.py trains the detector; the language model's loss does not reach it.

Legend: N tiles, I images, L patches, K key width, T instruction tokens, E LLM width, H width of the head, R x C fine
cells (two by two to a patch), M candidates of an image.
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import math
from typing import NamedTuple, cast

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
CANDIDATES = 32
"""Peaks of an image that are compared."""
RELATIONS = 2
"""Times that candidates look at each other."""
HEADS = 4
"""Attention heads with which they do."""
NEVER = -20.0
"""Logit of a candidate that is not there."""


class Candidates(NamedTuple):
    """Hold the best M boxes of each of the I images: numbers (I, M, 9) as of `read_boxes`, logits (I, M) of "this is
    asked for", and whether there is such a candidate at all, (I, M) bool."""

    numbers: torch.Tensor
    logits: torch.Tensor
    found: torch.Tensor


class Pointer(nn.Module):
    """Say what lies where, for the instruction, and tell it in visual tokens. `width` is a multiple of HEADS."""

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
        self.compare = Comparison(width)
        self.choose = Choice()
        self.tell = nn.Linear(llm_width, llm_width, bias=False)
        self.about = nn.Embedding(NUMBERS, llm_width)
        self.certain = nn.Linear(1, llm_width, bias=False)
        self.negative = nn.Linear(1, llm_width, bias=False)
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
        candidates = self.point(keys_NLK, grid, frames_N4, num_tiles, words_NTE, mask_NT)
        numbers, certainty = (torch.cat(told) for told in zip(*self.choose(candidates, num_tiles), strict=True))
        return self._tell(numbers, certainty, keys_NLK.dtype)

    def point(
        self,
        keys_NLK: torch.Tensor,
        grid: tuple[int, int],
        frames_N4: torch.Tensor,
        num_tiles: torch.Tensor,
        words_NTE: torch.Tensor,
        mask_NT: torch.Tensor,
    ) -> Candidates:
        """Give the best candidates of each image and how sure they are, having looked at each other."""
        asked_NH = self.hear(words_NTE, mask_NT)
        said, seen = self.find(keys_NLK, grid, frames_N4, asked_NH)
        candidates: Candidates = self.compare(said.detach().float(), seen, asked_NH, frames_N4, num_tiles)
        return candidates

    def find(
        self, keys_NLK: torch.Tensor, grid: tuple[int, int], frames_N4: torch.Tensor, asked_NH: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Say of every fine cell whether what is asked for is centred in it and how its box lies, (N, 9, R, C).

        Also gives what is seen there, (N, H, R, C).
        """
        cells = functional.pixel_shuffle(self.fine(keys_NLK).transpose(1, 2).unflatten(2, grid), FINE)
        rows, cols = cells.shape[2:]
        where = self.place(sine_code(grid_points(frames_N4, rows, cols), CODE).to(cells.dtype))
        cells = cells + where.transpose(1, 2).unflatten(2, (rows, cols))
        scale, shift = self.steer(asked_NH)[..., None, None].chunk(2, dim=1)
        steered = functional.gelu(cells) * (1 + scale) + shift
        near = functional.gelu(self.near(steered))
        seen = near + functional.gelu(self.far(near))
        return self.said(self.say(seen)), seen

    def hear(self, words_NTE: torch.Tensor, mask_NT: torch.Tensor) -> torch.Tensor:
        """Give what the words ask for, (N, H)."""
        weight = self.matters(words_NTE).masked_fill(mask_NT.unsqueeze(-1) == 0, -math.inf).softmax(1).nan_to_num()
        return functional.gelu((weight * self.words(words_NTE)).sum(1))

    def _tell(self, numbers_M9: torch.Tensor, certainty_M: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """Write boxes as embeddings, one a number, (M, 9, E)."""
        values = numbers_M9.abs().unsqueeze(-1)
        code = sine_code(values.expand(-1, -1, 2), self.tell.in_features).to(dtype)
        minus = self.negative((numbers_M9 < 0).to(dtype).unsqueeze(-1))
        sure = certainty_M[:, None, None].to(dtype)
        written: torch.Tensor = self.tell(code) + minus + self.certain(sure)
        return (sure / SURE).clamp(max=1) * written + self.about(torch.arange(NUMBERS, device=code.device))


class Comparison(nn.Module):
    """Let the candidates of an image look at each other and say how sure each of them is."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.lies = nn.Linear(NUMBERS + 1, width)
        self.asked = nn.Linear(width, width)
        self.relations = nn.ModuleList(Relation(width) for _ in range(RELATIONS))
        self.norm = nn.LayerNorm(width)
        self.surer = nn.Linear(width, 1)
        setattr(self.surer, "start", nothing)  # noqa: B010

    def forward(
        self,
        said_N9RC: torch.Tensor,
        seen_NHRC: torch.Tensor,
        asked_NH: torch.Tensor,
        frames_N4: torch.Tensor,
        num_tiles: torch.Tensor,
    ) -> Candidates:
        """Give the candidates of the I images from what the cells of their N tiles say."""
        counts = num_tiles.tolist()
        peaks = [find_peaks(*parts) for parts in zip(said_N9RC.split(counts), frames_N4.split(counts), strict=True)]
        numbers, logits, cells = (torch.stack(parts) for parts in zip(*peaks, strict=True))
        found = logits > -math.inf
        logits = torch.where(found, logits, NEVER)
        seen = [part.movedim(1, -1).flatten(0, 2) for part in seen_NHRC.split(counts)]
        seen_IMH = torch.stack([part[cell] for part, cell in zip(seen, cells, strict=True)])
        asked_IH = torch.stack([part[0] for part in asked_NH.split(counts)])
        lies = torch.cat((numbers, logits.unsqueeze(-1) / -NEVER), dim=-1).to(seen_IMH.dtype)
        thought = seen_IMH + self.lies(lies) + self.asked(asked_IH).unsqueeze(1)
        for relation in self.relations:
            thought = relation(thought, found)
        return Candidates(numbers, logits + self.surer(self.norm(thought)).squeeze(-1).float(), found)


class Relation(nn.Module):
    """Attend among the candidates of each image, then think about each: a transformer layer, normalised before."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.before = nn.LayerNorm(width)
        self.mix = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.after = nn.LayerNorm(width)
        self.widen = nn.Linear(width, 2 * width)
        self.narrow = nn.Linear(2 * width, width)

    def forward(self, thought_IMH: torch.Tensor, found_IM: torch.Tensor) -> torch.Tensor:
        """Give the thoughts (I, M, H) of candidates; those that are not `found_IM` are not looked at."""
        mixed = self.mix(self.before(thought_IMH)).unflatten(-1, (3, HEADS, -1))
        query, key, value = mixed.permute(2, 0, 3, 1, 4)
        looked = functional.scaled_dot_product_attention(query, key, value, attn_mask=found_IM[:, None, None])
        thought = thought_IMH + self.out(looked.transpose(1, 2).flatten(2))
        result: torch.Tensor = thought + self.narrow(functional.gelu(self.widen(self.after(thought))))
        return result


class Choice(nn.Module):
    """Choose the boxes of each image that are told; a module of its own so that training can tell the truth instead."""

    def forward(self, candidates: Candidates, num_tiles: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Give `best_boxes` of each of the I images, one for each of its tiles."""
        certainty = candidates.logits.detach().sigmoid() * candidates.found
        return [best_boxes(*parts) for parts in zip(candidates.numbers, certainty, num_tiles.tolist(), strict=True)]


def find_peaks(said_N9RC: torch.Tensor, frames_N4: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Give an image's CANDIDATES highest peaks of heat, in order: numbers (M, 9), logits (M,) and cells (M,).

    Where there are fewer, the logits of the rest are -inf. A cell is its number among those of all tiles.
    """
    heat = said_N9RC[:, HEAT]
    top = functional.max_pool2d(heat, 3, stride=1, padding=1)
    logits, cell = heat.where(heat == top, -math.inf).flatten().topk(min(CANDIDATES, heat.numel()))
    rows, cols = heat.shape[1:]
    found = said_N9RC.movedim(1, -1).reshape(-1, CHANNELS)[cell]
    centres = grid_points(frames_N4, rows, cols).reshape(-1, 2)[cell]
    numbers = read_boxes(found, centres, cell_size(frames_N4, rows, cols)[cell // (rows * cols)])
    more = CANDIDATES - len(cell)
    return (
        functional.pad(numbers, (0, 0, 0, more)),
        functional.pad(logits, (0, more), value=-math.inf),
        functional.pad(cell, (0, more)),
    )


def best_boxes(numbers_M9: torch.Tensor, certainty_M: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Give the surest of an image's boxes, (count, 9) numbers and (count,) certainties, zeros where none is left.

    Of boxes that overlap by more than SAME the surest stays (fast non-maximum suppression: Bolya et al., YOLACT, 2019).
    """
    certainty, order = certainty_M.sort(descending=True, stable=True)
    numbers = numbers_M9[order]
    overlap = box_iou(numbers[:, :4], numbers[:, :4]).nan_to_num().triu(1)
    kept = ((overlap.amax(0) <= SAME) & (certainty > 0)).nonzero()[:count, 0]
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
    if layer.bias is not None:
        init.zeros_(layer.bias)


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
