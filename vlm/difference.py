"""The gated difference of two dates (CSRM of DeltaVLM), per tile position and date pair, for two dates or more.

Legend: N tiles of all dates, L patches, C channels.
"""

from __future__ import annotations

import torch
from torch import nn
from transformers import initialization as init


class GatedDifference(nn.Module):
    """Mix into each date's features what differs from its partner date.

    d = F_late - F_early; c = tanh(W_c1 d + W_c2 F); g = sigmoid(W_g1 d + W_g2 F); F' = g * c;
    output = W_3 [F; d; F'] (Deng et al., DeltaVLM, the change semantic relation measuring module). W_3 starts as
    [I, 0, 0], so that an untrained module leaves single-date features as they are.
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.candidate_delta = nn.Linear(width, width, bias=False)
        self.candidate_self = nn.Linear(width, width)
        self.gate_delta = nn.Linear(width, width, bias=False)
        self.gate_self = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        self.mix = nn.Linear(3 * width, width)
        setattr(self.mix, "start", pass_own)  # noqa: B010  (mypy takes attributes of modules for modules)

    def forward(self, visual_NLC: torch.Tensor, partner_N: torch.Tensor, date_N: torch.Tensor) -> torch.Tensor:
        """Replace the features of tiles that have a partner.

        `partner_N` holds for each tile the index of the same tile at its partner date, or -1; `date_N` the date's
        index.
        """
        paired = partner_N >= 0
        if not bool(paired.any()):
            return visual_NLC
        mixed = visual_NLC.clone()
        mixed[paired] = self._mix(visual_NLC[paired], delta(visual_NLC, partner_N, date_N)[paired]).to(mixed.dtype)
        return mixed

    def _mix(self, own: torch.Tensor, change: torch.Tensor) -> torch.Tensor:
        candidate = torch.tanh(self.candidate_delta(change) + self.candidate_self(own))
        gate = torch.sigmoid(self.gate_delta(change) + self.gate_self(own))
        return self.mix(torch.cat((own, change, self.dropout(gate * candidate)), dim=-1))


def pass_own(mix: nn.Linear) -> None:
    """Start W_3 as [I, 0, 0] and no bias."""
    init.copy_(mix.weight, torch.eye(*mix.weight.shape))
    init.zeros_(mix.bias)


def delta(visual_NLC: torch.Tensor, partner_N: torch.Tensor, date_N: torch.Tensor) -> torch.Tensor:
    """Give later minus earlier features for each tile with a partner, zeros for the others.

    The first date is compared with the second, every later date with the one before it.
    """
    paired = (partner_N >= 0).view(-1, 1, 1)
    other = visual_NLC[partner_N.clamp(min=0)]
    sign = torch.where(date_N == 0, 1.0, -1.0).to(visual_NLC.dtype).view(-1, 1, 1)
    return torch.where(paired, sign * (other - visual_NLC), torch.zeros_like(visual_NLC))
