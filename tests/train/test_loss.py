"""The loss: cross-entropy where it says so, and soft targets that forgive a neighbouring coordinate."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from train.loss import COARSE, answer_loss, answer_weights, inside_brackets

NUMBERS = torch.arange(10, 60)


def test_without_soft_targets_it_is_cross_entropy() -> None:
    logits, labels = torch.randn(7, 64), torch.randint(0, 64, (7,))
    torch.testing.assert_close(answer_loss(logits, labels), functional.cross_entropy(logits, labels))
    torch.testing.assert_close(answer_loss(logits, labels, NUMBERS, 0.0), functional.cross_entropy(logits, labels))


def test_words_keep_hard_targets_beside_numbers() -> None:
    logits, labels = torch.randn(2, 64), torch.tensor([3, 5])
    torch.testing.assert_close(answer_loss(logits, labels, NUMBERS, 4.0), functional.cross_entropy(logits, labels))


@pytest.mark.parametrize("sigma", [1.0, 4.0])
def test_soft_targets_are_two_gaussians_over_the_numbers(sigma: float) -> None:
    labels = torch.tensor([10 + 25])
    steps = torch.arange(50, dtype=torch.float32)
    fine, coarse = (torch.exp(-0.5 * ((steps - 25) / width) ** 2) for width in (sigma, COARSE * sigma))
    spread = (fine / fine.sum() + coarse / coarse.sum()) / 2
    logits = torch.full((1, 64), -30.0)
    logits[0, NUMBERS] = torch.log(spread)
    entropy = -(spread * torch.log(spread)).sum()
    torch.testing.assert_close(answer_loss(logits, labels, NUMBERS, sigma), entropy, rtol=1e-3, atol=1e-3)


def test_a_near_miss_costs_less_than_a_far_one() -> None:
    labels = torch.tensor([10 + 25])
    losses = []
    for guess in (25, 28, 45):
        logits = torch.zeros(1, 64)
        logits[0, 10 + guess] = 8.0
        losses.append(float(answer_loss(logits, labels, NUMBERS, 4.0)))
    assert losses[0] < losses[1] < losses[2]


def test_every_answer_weighs_the_same_however_long() -> None:
    answered = torch.tensor([[0, 1, 1, 0, 1], [1, 1, 1, 1, 0]], dtype=torch.bool)
    torch.testing.assert_close(answer_weights(answered), torch.tensor([0.5, 0.5, 1.0, 0.25, 0.25, 0.25, 0.25]))
    logits, labels = torch.randn(3, 64), torch.tensor([1, 2, 3])
    losses = functional.cross_entropy(logits, labels, reduction="none")
    weighted = answer_loss(logits, labels, weights_M=torch.tensor([0.5, 0.5, 1.0]))
    torch.testing.assert_close(weighted, ((losses[0] + losses[1]) / 2 + losses[2]) / 2)


def test_counts_and_run_lengths_keep_hard_targets() -> None:
    """A count of 3 is not nearly a count of 5: only numbers between brackets are coordinates."""
    opening, closing = 1, 2
    labels = torch.tensor([10 + 3, opening, opening, 10 + 7, 5, 10 + 9, closing, closing, 10 + 4])
    places = inside_brackets(labels, opening, closing)
    assert places.nonzero().flatten().tolist() == [1, 2, 3, 4, 5, 6]
    logits = torch.randn(len(labels), 64)
    losses = [
        answer_loss(logits, labels, NUMBERS, 4.0, soft_M=places, weights_M=torch.eye(len(labels))[index])
        for index in range(len(labels))
    ]
    hard = functional.cross_entropy(logits, labels, reduction="none")
    soft = [index for index in range(len(labels)) if not torch.isclose(losses[index], hard[index])]
    assert soft == [3, 5]
