"""What a step of instruction tuning goes down: the loss of the answers by task, and the pointer's.

A step is cut into pieces, over processes and one after the other. The sums of each are divided by what the whole step
holds (`count`, summed over the pieces), so the pieces add up to the loss of one large batch.

Legend: R rows, S tokens of a row, M supervised tokens, V vocabulary, K integers, T tasks.
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional
from transformers import BatchFeature

from train.loss import answer_numbers, answer_weights, inside_brackets, token_losses
from train.packing import IGNORED, POINTER
from train.pointing import PointerLoss, count_targets
from train.tokenizer import number_ids
from vlm.processor import NadirProcessor
from vlm.records import TASKS

COUNTS = 4
"""Numbers that `count` gives: weight of the supervised tokens, and what the pointer's means are over."""


class PlaceTokens(NamedTuple):
    """Name the tokens that places are written with: both brackets and the integers 0, 1, ..., K-1."""

    opening: int
    closing: int
    numbers_K: torch.Tensor

    @classmethod
    def of(cls, processor: NadirProcessor, device: torch.device) -> PlaceTokens:
        """Find them in a processor's vocabulary."""
        opening, closing = processor.tokenizer.convert_tokens_to_ids(["[", "]"])
        return cls(opening, closing, torch.tensor(number_ids(processor.tokenizer), device=device))


class Answered(NamedTuple):
    """Hold the supervised tokens of a piece: where they are predicted, what they are, how much each counts."""

    at_RS: torch.Tensor
    labels_M: torch.Tensor
    places_M: torch.Tensor
    weights_M: torch.Tensor
    tasks_M: torch.Tensor


class PieceLoss(NamedTuple):
    """Hold a piece's part of a step's loss, and for the log the answers' loss, the pointer's, and both sums by task."""

    loss: torch.Tensor
    words: torch.Tensor
    pointer: torch.Tensor
    by_task_2T: torch.Tensor


@dataclass(frozen=True)
class Objective:
    """Give the loss of a piece of a step."""

    places: PlaceTokens
    pointing: PointerLoss | None
    sigma: float
    place_weight: float
    pointer_weight: float
    bf16: bool
    answers: bool = True
    """Whether answers are learned, or the pointer alone."""

    def answered(self, piece: BatchFeature) -> Answered:
        """Find what is supervised: an answer counts as much as another, and its coordinates more than its words."""
        labels_RS = piece["labels"][:, 1:]
        at_RS = functional.pad(labels_RS != IGNORED, (0, 1))
        labels_M = labels_RS[labels_RS != IGNORED]
        places_M = inside_brackets(labels_M, self.places.opening, self.places.closing)
        weights_M = answer_weights(at_RS) * torch.where(places_M, self.place_weight, 1.0)
        return Answered(at_RS, labels_M, places_M, weights_M, piece["answer_tasks"][answer_numbers(at_RS)])

    def count(self, piece: BatchFeature) -> torch.Tensor:
        """Count what the means of the loss are over, (COUNTS,)."""
        weight = self.answered(piece).weights_M.sum()[None]
        targets = piece.get("pointer_targets")
        return torch.cat((weight, weight.new_zeros(COUNTS - 1) if targets is None else count_targets(targets)))

    def __call__(self, model: nn.Module, piece: BatchFeature, counts: torch.Tensor) -> PieceLoss:
        """Run a piece forward; `counts` are those of the whole step."""
        inputs = {key: value.to(counts.device, non_blocking=True) for key, value in piece.items()}
        found = self.answered(BatchFeature(inputs))
        targets, truth = (inputs.pop(key, None) for key in POINTER)
        if self.pointing is not None:
            self.pointing.truth = truth
        for key in ("labels", "answer_tasks", "padding"):
            inputs.pop(key, None)
        with torch.autocast(counts.device.type, torch.bfloat16, enabled=self.bf16):
            asked = {"logits_at": found.at_RS, "use_cache": False} if self.answers else {"point_only": True}
            logits_MV = model(**inputs, **asked).logits
        pointer = (
            counts.new_zeros(()) if targets is None or self.pointing is None else self.pointing(targets, counts[1:])
        )
        sums = counts.new_zeros(2, len(TASKS))
        if not self.answers:
            return PieceLoss(self.pointer_weight * pointer, sums[0, 0], pointer.detach(), sums)
        losses_M = token_losses(logits_MV, found.labels_M, self.places.numbers_K, self.sigma, soft_M=found.places_M)
        weighted_M = losses_M * found.weights_M
        words = weighted_M.sum() / counts[0]
        sums.index_add_(1, found.tasks_M, torch.stack((weighted_M.detach(), found.weights_M.to(weighted_M.dtype))))
        return PieceLoss(words + self.pointer_weight * pointer, words.detach(), pointer.detach(), sums)


def name_tasks(by_task_2T: torch.Tensor) -> dict[str, float]:
    """Give the mean loss of each task that sums are there of."""
    sums, weights = by_task_2T.tolist()
    return {task: total / weight for task, total, weight in zip(TASKS, sums, weights, strict=True) if weight > 0}
