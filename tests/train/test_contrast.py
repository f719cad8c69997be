"""Contrast is open_clip's loss where captions differ, and shared out to processes it is that of one."""

from __future__ import annotations

import multiprocessing
import socket
from pathlib import Path

import pytest
import torch
from open_clip.loss import ClipLoss
from torch.nn import functional

from train.contrast import contrastive_loss, same_captions, shared_contrast

CAPTIONS = ["a ship", "a pier", "a ship", "two tanks", "a road", "a field"]
PAIRS, WIDTH, RANKS = len(CAPTIONS), 5, 2
TIMEOUT_S = 240


def make_features() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Give weights that make images, inputs of images, and texts."""
    torch.manual_seed(3)
    return torch.randn(WIDTH, WIDTH), torch.randn(PAIRS, WIDTH), functional.normalize(torch.randn(PAIRS, WIDTH), dim=-1)


def measure(weight: torch.Tensor, inputs: torch.Tensor, texts: torch.Tensor, rank: int, ranks: int) -> torch.Tensor:
    own = slice(rank * PAIRS // ranks, (rank + 1) * PAIRS // ranks)
    images = functional.normalize(inputs[own] @ weight, dim=-1)
    return shared_contrast(images, texts[own], torch.tensor(7.0), CAPTIONS[own], rank=rank, ranks=ranks)


def share(rank: int, port: int, out: Path) -> None:
    """Compute one process's part of loss and gradient, and write the sums over the processes."""
    torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=RANKS)
    weight, inputs, texts = make_features()
    weight.requires_grad_()
    loss = measure(weight, inputs, texts, rank, RANKS)
    loss.backward()
    assert weight.grad is not None
    found = torch.cat((loss.detach()[None], weight.grad.flatten()))
    torch.distributed.all_reduce(found)
    torch.save(found, out / f"{rank}.pt")


def test_different_captions_give_open_clips_loss() -> None:
    weight, inputs, texts = make_features()
    images = functional.normalize(inputs @ weight, dim=-1)
    names = [f"caption {number}" for number in range(PAIRS)]
    found = shared_contrast(images, texts, torch.tensor(7.0), names)
    torch.testing.assert_close(found, ClipLoss()(images, texts, torch.tensor(7.0)))


def test_pairs_with_the_same_caption_belong_together() -> None:
    weight, inputs, texts = make_features()
    images = functional.normalize(inputs @ weight, dim=-1)
    expected = contrastive_loss(images, texts, torch.tensor(7.0), same_captions(CAPTIONS))
    torch.testing.assert_close(shared_contrast(images, texts, torch.tensor(7.0), CAPTIONS), expected)


def test_two_processes_have_loss_and_gradient_of_one(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=share, args=(rank, port, tmp_path)) for rank in range(RANKS)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(TIMEOUT_S)
    assert [process.exitcode for process in processes] == [0] * RANKS
    weight, inputs, texts = make_features()
    weight.requires_grad_()
    loss = measure(weight, inputs, texts, 0, 1)
    loss.backward()
    assert weight.grad is not None
    for rank in range(RANKS):
        found = torch.load(tmp_path / f"{rank}.pt")
        assert float(found[0]) == pytest.approx(float(loss.detach()), rel=1e-5)
        torch.testing.assert_close(found[1:], weight.grad.flatten())
