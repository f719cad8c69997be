"""An auxiliary loss that tells the Q-former where the answer lies: each anchored query says whether it holds it.

From the loss of the answer's tokens alone, which reaches the Q-former through the language model, a small model learns
where things are very slowly. Here every anchored query is asked directly, as the cells of a one-stage detector are
(YOLO: Redmon et al., 2016): does the centre of a region of the answer lie in your cell, where in it, and how large is
it? The answer needs none of this; the head is `AnchoredQFormer.locate`.

Legend: T tiles, G anchors a side, Q queries.
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from data_engine.templates import NONE
from vlm.geometry.convert import to_hbb
from vlm.positions import grid_points
from vlm.qformer import AnchoredQFormer
from vlm.records import Turn

KNOWN, HOLDS, BOX = 0, 1, slice(2, 6)
"""Channels of the targets: is the answer about places at all, is the place here, (dx, dy, log w, log h) in cells."""
POSITIVE_WEIGHT = 6.0


def anchor_targets(turn: Turn, size: tuple[int, int], frames_T4: torch.Tensor, grid: int) -> torch.Tensor:
    """Give what each anchor of each tile should say about the answer of a turn, (T, G * G, 6).

    `size` is (width, height) in pixels of the image that the regions are measured in; `frames_T4` are its tiles,
    normalised by it. All zeros where the answer names no place. Of several regions in a cell the largest counts.
    """
    centres = grid_points(frames_T4, grid, grid)
    cells = (frames_T4[:, None, 2:] - frames_T4[:, None, :2]) / grid
    targets = torch.zeros(*centres.shape[:2], 6)
    targets[..., KNOWN] = float(bool(turn.answer.regions) or turn.answer.template == NONE)
    boxes = [to_hbb(region.geometry) for region in turn.answer.regions]
    for box in sorted(boxes, key=lambda box: (box.x2 - box.x1) * (box.y2 - box.y1)):
        middle = torch.tensor([(box.x1 + box.x2) / 2 / size[0], (box.y1 + box.y2) / 2 / size[1]])
        extent = torch.tensor([(box.x2 - box.x1) / size[0], (box.y2 - box.y1) / size[1]]).clamp(min=1e-3)
        offset = (middle - centres) / cells
        holds = (offset.abs() <= 0.5).all(-1)
        targets[holds] = torch.cat(
            (torch.ones(len(targets[holds]), 2), offset[holds], (extent / cells).log().expand_as(offset)[holds]), 1
        )
    return targets


class AnchorLoss:
    """Listen to a Q-former and score its anchored queries after each forward pass."""

    def __init__(self, qformer: AnchoredQFormer) -> None:
        self.qformer = qformer
        self._queries: torch.Tensor | None = None
        qformer.register_forward_hook(self._keep)

    def _keep(self, module: nn.Module, inputs: Sequence[torch.Tensor], output: Sequence[torch.Tensor]) -> None:
        del module, inputs
        self._queries = output[0]

    def __call__(self, targets_TA6: torch.Tensor) -> torch.Tensor:
        """Give binary cross-entropy of "it is here" plus smooth L1 of place and size, of the latest forward pass."""
        assert self._queries is not None
        said = self.qformer.locate(self._queries[:, : targets_TA6.shape[1]]).float()
        known = targets_TA6[..., KNOWN] > 0
        if not bool(known.any()):
            return 0.0 * said.sum()
        holds = targets_TA6[..., HOLDS][known]
        weight = said.new_tensor(POSITIVE_WEIGHT)
        here = functional.binary_cross_entropy_with_logits(said[..., 0][known], holds, pos_weight=weight)
        boxes, meant = said[..., 1:][known][holds > 0], targets_TA6[..., BOX][known][holds > 0]
        return here + (functional.smooth_l1_loss(boxes, meant) if len(boxes) else 0.0)
