"""The loss that teaches the pointer (vlm/pointer.py) where the regions of an answer lie.

The answer needs none of this; from the loss of its tokens alone a small model learns where things are very slowly.
Heat is CenterNet's (Zhou et al., 2019): one at the cell of a region's centre, a Gaussian around it, and a focal loss
that forgives near misses. What the candidates say having looked at each other is taught by what they overlap.

Legend: T tiles, R x C cells of a tile, A = R * C.
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import math
import random
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional
from torchvision.ops import box_iou

from data_engine.templates import NONE
from vlm.geometry.convert import to_hbb, to_obb
from vlm.geometry.shapes import OBB
from vlm.model import NadirForConditionalGeneration
from vlm.pointer import CENTRE, CHANNELS, FINE, HEAT, NUMBERS, SIDES, SIZE, TURN, Candidates, Pointer, cell_size
from vlm.positions import grid_points
from vlm.records import Region, Turn

KNOWN, HELD, TURNED = CHANNELS, CHANNELS + 1, CHANNELS + 2
"""Channels of the targets after those of vlm/pointer.py (whose heat here is in [0, 1]): is the answer about places at
all, does a box belong to this cell, and is its angle known."""
SPREAD = 0.18
"""Standard deviation of the Gaussian around a centre, in sides of the box."""
LEAST_SPREAD = 0.4
"""Its least value in cells."""
HELD_FROM = 0.6
"""Heat from which a cell is also asked for the box."""
NEAR = 0.1
"""Error in cells (or in the logarithm of a length) from which the box's loss is linear."""
CERTAINTY = (0.25, 0.9)
"""Range of the certainties with which the truth is told."""
ORACLE = 0.75
"""Share of the answers about places for which the truth is told."""
LEAST_SIDE = 0.05
"""Least side of a box in cells."""
MOST_REGIONS = 64
"""Regions of an answer that are taught and told, the first of them."""
RIGHT, WRONG = 0.5, 0.4
"""Overlap (IoU) with a region from which a candidate is right, and below which with all of them it is wrong."""


def pointer_cells(model: NadirForConditionalGeneration) -> int:
    """Give the cells a side of a tile that the model's pointer speaks of; 0 for a model without a pointer."""
    if model.pointer is None:
        return 0
    side = model.config.tile_px
    with torch.no_grad():
        _, grid = model.encoder(torch.zeros(1, 3, side, side, device=model.device))
    return FINE * grid[0]


def pointer_targets(turn: Turn, sizes: Sequence[tuple[int, int]], frames_T4: torch.Tensor, cells: int) -> torch.Tensor:
    """Give what each of the cells x cells of each tile should say about the answer of a turn, (T, A, 12).

    `sizes` are (width, height) in pixels of the images that the regions are measured in; `frames_T4` are the tiles,
    normalised by them. All zeros where the answer names no place. A cell belongs to the region that heats it most.
    """
    targets = torch.zeros(len(frames_T4), cells * cells, CHANNELS + 3)
    targets[..., KNOWN] = float(bool(turn.answer.regions) or turn.answer.template == NONE)
    regions = turn.answer.regions[:MOST_REGIONS]
    if not regions:
        return targets
    wanted_B9 = torch.tensor([describe(region, sizes[region.image]) for region in regions])
    step = cell_size(frames_T4, cells, cells)[:, None, None]
    away = (wanted_B9[:, :2] - grid_points(frames_T4, cells, cells)[:, :, None]) / step
    sides = (wanted_B9[:, 2:4] / step).clamp(min=LEAST_SIDE).expand_as(away)
    long_short = (wanted_B9[:, 4:6] / step.amin(-1, keepdim=True)).clamp(min=LEAST_SIDE).expand_as(away)
    outside = (away.abs() - 0.5).clamp(min=0)
    heat, owner = torch.exp(-0.5 * (outside / (SPREAD * sides).clamp(min=LEAST_SPREAD)).square().sum(-1)).max(-1)
    pick = owner[..., None, None].expand(-1, -1, 1, 2)
    targets[..., HEAT] = heat
    for channels, values in ((CENTRE, away), (SIZE, sides.log()), (SIDES, long_short.log())):
        targets[..., channels] = values.gather(2, pick)[:, :, 0]
    targets[..., TURN] = wanted_B9[owner][..., 6:8]
    targets[..., HELD] = heat >= HELD_FROM
    targets[..., TURNED] = targets[..., HELD] * wanted_B9[owner][..., 8]
    return targets


def describe(region: Region, size: tuple[int, int]) -> list[float]:
    """Give centre and size normalised by the image, sides by its longer side, sine and cosine of 2 a, angle known."""
    width, height = size
    box = to_hbb(region.geometry)
    upright = [(box.x1 + box.x2) / 2 / width, (box.y1 + box.y2) / 2 / height]
    upright += [(box.x2 - box.x1) / width, (box.y2 - box.y1) / height]
    if not isinstance(region.geometry, OBB):
        return [*upright, 0.0, 0.0, 0.0, 0.0, 0.0]
    obb, longer = to_obb(region.geometry), max(width, height)
    twice = math.radians(2 * obb.angle_deg)
    return [*upright, obb.w / longer, obb.h / longer, math.sin(twice), math.cos(twice), 1.0]


def true_numbers(
    turn: Turn,
    sizes: Sequence[tuple[int, int]],
    rng: random.Random,
    *,
    share: float = ORACLE,
    ordered: bool = False,
) -> torch.Tensor:
    """Give what a pointer that is right tells of each of the images, (I, MOST_REGIONS, 11): how surely, and in any
    order, or in that of the answer.

    Nine numbers as of vlm.pointer.read_boxes, the certainty, and 1 where this is told instead of what was found: for
    `share` of the answers that are about places. The sides of an upright box are its own, its angle the longer one's.
    """
    told = torch.zeros(len(sizes), MOST_REGIONS, NUMBERS + 2)
    about_places = bool(turn.answer.regions) or turn.answer.template == NONE
    told[..., -1] = float(about_places and rng.random() < share)
    for image in range(len(sizes)):
        regions = [region for region in turn.answer.regions if region.image == image]
        if not ordered:
            rng.shuffle(regions)
        sure = sorted((rng.uniform(*CERTAINTY) for _ in regions), reverse=True)
        for number, region in enumerate(regions[:MOST_REGIONS]):
            box, obb = to_hbb(region.geometry), to_obb(region.geometry)
            width, height = sizes[image]
            values = [box.x1 / width, box.y1 / height, box.x2 / width, box.y2 / height]
            values += [obb.cx / width, obb.cy / height, obb.w / max(width, height), obb.h / max(width, height)]
            clipped = [min(max(value, 0.0), 1.0) for value in values]
            told[image, number, :-1] = torch.tensor([*clipped, obb.angle_deg / 1000, sure[number]])
    return told


class PointerLoss:
    """Listen to a pointer, score what it said in the latest forward pass, and now and then tell the truth for it.

    `truth` (I, MOST_REGIONS, 11) holds the `true_numbers` of the images of the next forward pass, in order; None leaves
    all as found. With the truth in its place what is told is worth copying from the first step on, long before the
    pointer is right.
    """

    def __init__(self, pointer: Pointer) -> None:
        self.truth: torch.Tensor | None = None
        self._said: torch.Tensor | None = None
        self._compared: tuple[Candidates, torch.Tensor] | None = None
        pointer.said.register_forward_hook(self._keep)
        pointer.compare.register_forward_hook(self._keep_compared)
        pointer.choose.register_forward_hook(self._tell_truth)

    def _keep(self, module: nn.Module, inputs: Sequence[torch.Tensor], output: torch.Tensor) -> None:
        del module, inputs
        self._said = output

    def _keep_compared(self, module: nn.Module, inputs: Sequence[torch.Tensor], output: Candidates) -> None:
        del module
        self._compared = output, inputs[-1]

    def _tell_truth(
        self, module: nn.Module, inputs: Sequence[torch.Tensor], output: list[tuple[torch.Tensor, torch.Tensor]]
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        del module, inputs
        if self.truth is None:
            return output
        told = []
        for (numbers, certainty), truth in zip(output, self.truth.to(output[0][0]), strict=True):
            if truth[0, -1] > 0:
                truth = functional.pad(truth, (0, 0, 0, max(0, len(numbers) - len(truth))))[: len(numbers)]
                numbers, certainty = truth[:, :NUMBERS], truth[:, NUMBERS]
            told.append((numbers, certainty))
        return told

    def __call__(self, targets_TAC: torch.Tensor, counts_3: torch.Tensor | None = None) -> torch.Tensor:
        """Give the focal loss of the heat, per region's cell, plus smooth L1 of place, size and angle.

        Where the truth is there, plus the cross entropy of what the candidates say of themselves, per region's cell.

        The means are over `counts_3` where given: those of a whole step, of which these targets are one process's part.
        """
        assert self._said is not None and self._compared is not None
        said = self._said.float().flatten(2).transpose(1, 2)
        known = targets_TAC[..., KNOWN].amax(1) > 0
        if not bool(known.any()):
            return 0.0 * (said.sum() + self._compared[0].logits.sum())
        peaks, boxes, turns = (count_targets(targets_TAC) if counts_3 is None else counts_3).clamp(min=1)
        compared = self._compare_loss(known) / peaks
        said, meant = said[known], targets_TAC[known]
        held, turned = meant[..., HELD] > 0, meant[..., TURNED] > 0
        loss = focal_loss(said[..., HEAT], meant[..., HEAT], peaks)
        if bool(held.any()):
            loss = loss + (_away(said[held], meant[held], CENTRE) + _away(said[held], meant[held], SIZE)) / boxes
        if bool(turned.any()):
            loss = loss + (_away(said[turned], meant[turned], SIDES) + _away(said[turned], meant[turned], TURN)) / turns
        return loss + compared

    def _compare_loss(self, known_T: torch.Tensor) -> torch.Tensor:
        """Sum the cross entropies of the candidates of images that the answer is about, by what they overlap."""
        assert self._compared is not None
        (numbers_IM9, logits_IM, found_IM), num_tiles = self._compared
        if self.truth is None:
            return 0.0 * logits_IM.sum()
        truth = self.truth.to(numbers_IM9)
        about_I = torch.stack([part.any() for part in known_T.split(num_tiles.tolist())])
        overlap_IM = torch.stack(
            [box_iou(*pair).amax(1) for pair in zip(numbers_IM9[..., :4], truth[..., :4], strict=True)]
        )
        overlap_IM = overlap_IM.nan_to_num()
        counted = found_IM & about_I[:, None] & ((overlap_IM >= RIGHT) | (overlap_IM < WRONG))
        right = (overlap_IM >= RIGHT).to(logits_IM)
        return functional.binary_cross_entropy_with_logits(logits_IM[counted], right[counted], reduction="sum")


def count_targets(targets_TAC: torch.Tensor) -> torch.Tensor:
    """Count what the means of the loss are over: peaks of heat, cells with a box, cells with an angle; (3,)."""
    meant = targets_TAC[targets_TAC[..., KNOWN].amax(1) > 0]
    peaks, boxes, turns = meant[..., HEAT] >= 1, meant[..., HELD] > 0, meant[..., TURNED] > 0
    return torch.stack([marked.sum().float() for marked in (peaks, boxes, turns)])


def _away(said: torch.Tensor, meant: torch.Tensor, channels: slice) -> torch.Tensor:
    """Sum the smooth L1 losses of cells, each the mean of its two channels."""
    return functional.smooth_l1_loss(said[:, channels], meant[:, channels], reduction="sum", beta=NEAR) / 2


def focal_loss(logits: torch.Tensor, heat: torch.Tensor, count: torch.Tensor | None = None) -> torch.Tensor:
    """Give CenterNet's penalty-reduced focal loss (equation 1 with alpha 2 and beta 4), over its number of peaks."""
    p = logits.sigmoid()
    peaks = (heat >= 1).float()
    hit = peaks * (1 - p).square() * functional.logsigmoid(logits)
    miss = (1 - peaks) * (1 - heat).pow(4) * p.square() * functional.logsigmoid(-logits)
    return -(hit + miss).sum() / (peaks.sum().clamp(min=1) if count is None else count)
