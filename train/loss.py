"""The training loss: next-token cross-entropy, with soft targets on coordinates.

Legend: V vocabulary, M supervised tokens, K integers 0..1000.
"""

from __future__ import annotations

import torch
from torch.nn import functional

COARSE = 10.0
"""How much wider than `sigma` the second half of a soft target is."""


def answer_loss(
    logits_MV: torch.Tensor,
    labels_M: torch.Tensor,
    number_ids_K: torch.Tensor | None = None,
    sigma: float = 0.0,
    *,
    soft_M: torch.Tensor | None = None,
    weights_M: torch.Tensor | None = None,
) -> torch.Tensor:
    """Give the mean of `token_losses`, weighted if `weights_M` is given."""
    losses_M = token_losses(logits_MV, labels_M, number_ids_K, sigma, soft_M=soft_M)
    return losses_M.mean() if weights_M is None else (losses_M * weights_M).sum() / weights_M.sum()


def token_losses(
    logits_MV: torch.Tensor,
    labels_M: torch.Tensor,
    number_ids_K: torch.Tensor | None = None,
    sigma: float = 0.0,
    *,
    soft_M: torch.Tensor | None = None,
) -> torch.Tensor:
    """Give the loss of each of the logits, which predict the label of the same row, (M,).

    With `sigma` > 0 a target that is one of `number_ids_K` (the tokens of 0, 1, ..., K-1) and, if given, marked in
    `soft_M`, is spread over its neighbours, half as a Gaussian of `sigma` units and half as one ten times as wide
    (label distribution learning: Geng, 2016): a box that is one unit off is hardly wrong, and one that is on the right
    side of the image is less wrong than one that is not.
    """
    logits_MV = logits_MV.float()
    if number_ids_K is None or sigma <= 0 or len(number_ids_K) == 0:
        return functional.cross_entropy(logits_MV, labels_M, reduction="none")
    log_probs = functional.log_softmax(logits_MV, dim=-1)
    losses = -log_probs.gather(1, labels_M[:, None])[:, 0]
    value = torch.full((logits_MV.shape[1],), -1, device=labels_M.device)
    value[number_ids_K] = torch.arange(len(number_ids_K), device=value.device)
    numbers = value[labels_M] >= 0
    numbers = numbers if soft_M is None else numbers & soft_M
    if bool(numbers.any()):
        steps = torch.arange(len(number_ids_K), device=value.device)
        away = (steps[None] - value[labels_M[numbers]][:, None]).float()
        target = (
            torch.softmax(-0.5 * (away / sigma) ** 2, 1) + torch.softmax(-0.5 * (away / sigma / COARSE) ** 2, 1)
        ) / 2
        losses = losses.masked_scatter(numbers, -(target * log_probs[numbers][:, number_ids_K]).sum(1))
    return losses


def inside_brackets(labels_M: torch.Tensor, opening: int, closing: int) -> torch.Tensor:
    """Mark the tokens between brackets, (M,) bool: numbers there are coordinates, elsewhere counts and run lengths."""
    return (labels_M == opening).cumsum(0) > (labels_M == closing).cumsum(0)


def answer_weights(answered_BS: torch.Tensor) -> torch.Tensor:
    """Give each supervised token 1 / the length of its answer, (M,): a word weighs as much as a list of boxes.

    `answered_BS` marks the supervised tokens; an answer is a run of them.
    """
    number_M = answer_numbers(answered_BS)
    return 1.0 / torch.bincount(number_M)[number_M]


def answer_numbers(answered_BS: torch.Tensor) -> torch.Tensor:
    """Give the number, from 0, of the answer that each supervised token belongs to, row by row: (M,)."""
    starts = answered_BS & ~functional.pad(answered_BS[:, :-1], (1, 0))
    return starts.flatten().cumsum(0)[answered_BS.flatten()] - 1
