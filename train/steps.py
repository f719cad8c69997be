"""One optimizer step: its pieces forward and backward, on every process, and what of it is worth a line in the log."""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import BatchFeature

from train.engine import Engine
from train.guard import Guard
from train.objective import COUNTS, Objective, name_tasks
from train.packing import IGNORED
from vlm.records import TASKS


@dataclass(frozen=True)
class StepResult:
    """Hold what a step, over all processes, came to."""

    loss: float
    """Of the answers."""
    pointer: float
    tasks: dict[str, float]
    """Loss of the answers by task."""
    norm: float
    """Of the gradient before it was clipped."""
    tokens: int
    """Without padding."""
    padding: int
    """Tokens that are padding."""
    tiles: int
    answered: int
    """Tokens that are learned."""


def seed_step(seed: int, step: int, rank: int) -> None:
    """Make all that is drawn in a step depend on the seed, the step and the process alone: going on needs no more."""
    random.seed(f"{seed}/{step}/{rank}")
    torch.manual_seed(random.getrandbits(62))


def take_step(
    engine: Engine, objective: Objective, pieces: Sequence[BatchFeature], guard: Guard, step: int
) -> StepResult:
    """Go one step down the loss of the pieces; those that are no number or a spike are left out on all processes."""
    held = torch.stack([_measure(piece, objective) for piece in pieces]).sum(0).to(engine.device)
    sums = engine.total(held)
    counts, sizes = sums[:COUNTS], [int(size) for size in sums[COUNTS:].tolist()]
    found = torch.zeros(2 + 2 * len(TASKS), device=engine.device)
    passed = 0
    for piece in pieces:
        part = objective(engine.model, piece, counts)
        loss = float(engine.total(part.loss.detach()))
        if guard.passes(loss * len(pieces)):
            engine.backward(part.loss)
            passed += 1
        found += torch.cat((part.words[None], part.pointer[None], part.by_task_2T.flatten()))
    norm = engine.step() if passed else float("nan")
    words, pointer, *by_task = engine.total(found).tolist()
    whole = passed == len(pieces) and norm < float("inf")
    guard.note(step, words + objective.pointer_weight * pointer, whole=whole)
    tasks = name_tasks(torch.tensor(by_task).view(2, len(TASKS)))
    return StepResult(words, pointer, tasks, norm, *sizes)


def _measure(piece: BatchFeature, objective: Objective) -> torch.Tensor:
    """Give the counts of a piece that its loss is divided by, and its tokens, padding, tiles and learned tokens."""
    mask = piece.get("attention_mask")
    padding = int(piece["padding"] if mask is None else (mask == 0).sum())
    learned = int((piece["labels"][:, 1:] != IGNORED).sum())
    sizes = [piece["input_ids"].numel() - padding, padding, len(piece.get("tile_frames", ())), learned]
    return torch.cat((objective.count(piece).float(), torch.tensor(sizes)))
