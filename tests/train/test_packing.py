"""Packing keeps every conversation and changes no loss; what a step holds depends on its number alone."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.vlm.tiny import build_tiny
from train.mixture import Mixture, group_feed
from train.objective import Objective, PlaceTokens
from train.packing import MOST_PADDING, Pieces, collate, collate_packed, pack_rows
from vlm.records import Sample

lengths = st.lists(st.integers(1, 400), min_size=1, max_size=60)


@given(lengths, st.sampled_from([0, 64, 512, 4096]))
def test_every_conversation_is_in_one_row_and_hardly_anything_is_padding(sizes: list[int], row_tokens: int) -> None:
    rows = pack_rows(sizes, row_tokens)
    assert sorted(index for row in rows for index in row) == list(range(len(sizes)))
    longest = max(sum(sizes[index] for index in row) for row in rows)
    assert sum(sizes) >= (1 - MOST_PADDING) * longest * len(rows)


def build(samples: list[Sample], batch: int = 6, **sizes: Any) -> tuple[Any, Mixture]:
    model, processor = build_tiny(**sizes)
    return model, Mixture([(group_feed(samples), 1.0)], processor, batch, seed=5)


def loss_of(model: Any, mixture: Mixture, piece: Any) -> torch.Tensor:
    objective = Objective(PlaceTokens.of(mixture.processor, torch.device("cpu")), None, 4.0, 3.0, 1.0, bf16=False)
    return objective(model, piece, objective.count(piece)).loss


@pytest.mark.parametrize("row_tokens", [0, 120])
def test_the_packed_loss_and_its_gradient_are_the_padded_ones(samples: list[Sample], row_tokens: int) -> None:
    model, mixture = build(samples)
    items = [mixture.draw(number) for number in range(7)]
    packed = collate_packed(mixture.processor, items, row_tokens)
    assert len(packed["input_ids"]) < len(items)
    assert int((packed["position_ids"] == 0).sum()) >= len(items)
    found = []
    for piece in (collate(mixture.processor, items), packed):
        model.zero_grad()
        loss = loss_of(model, mixture, piece)
        loss.backward()
        gradient = torch.cat([one.grad.flatten() for one in model.parameters() if one.grad is not None])
        found.append((loss.detach(), gradient))
    torch.testing.assert_close(found[0], found[1], atol=1e-5, rtol=1e-5)


def flat(steps: list[list[Any]]) -> list[tuple[int, ...]]:
    """List the conversations of steps by their tokens, without padding, in any order."""
    rows = [
        row[mask > 0] for piece in steps for row, mask in zip(piece["input_ids"], piece["attention_mask"], strict=True)
    ]
    return sorted(tuple(row.tolist()) for row in rows)


def test_a_step_holds_the_same_on_any_number_of_processes(samples: list[Sample]) -> None:
    _, mixture = build(samples, batch=4)
    alone = next(iter(Pieces(mixture, first=5)))
    shared = [
        next(iter(Pieces(mixture, first=5, rank=rank, ranks=2, accumulate=accumulate)))
        for rank, accumulate in ((0, 2), (1, 2))
    ]
    assert len(alone) == len(shared[0]) == 3, "step 5 is the second of its window of four"
    for step, parts in zip(alone, zip(*shared, strict=True), strict=True):
        assert flat(step) == flat([piece for part in parts for piece in part])
        assert all(len(piece["input_ids"]) == 1 for part in parts for piece in part)


@pytest.mark.parametrize("pack_tokens", [None, 0])
def test_loader_workers_change_nothing(samples: list[Sample], pack_tokens: int | None) -> None:
    _, mixture = build(samples, batch=2)
    taken = []
    for workers in (0, 2):
        loader = torch.utils.data.DataLoader(
            Pieces(mixture, 1, pack_tokens=pack_tokens), batch_size=None, num_workers=workers
        )
        windows = iter(loader)
        taken.append([piece for _ in range(3) for step in next(windows) for piece in step])
    assert len(taken[0]) == len(taken[1])
    for one, other in zip(*taken, strict=True):
        assert all(torch.equal(one[key], other[key]) for key in one)


def test_a_blank_pair_runs_every_module_and_teaches_nothing(samples: list[Sample]) -> None:
    model, mixture = build(samples)
    items = [item for item in map(mixture.draw, range(40)) if "pixels" not in item][:1]
    assert items, "some conversations are blind"
    alone, beside = (collate(mixture.processor, both) for both in (items, [*items, mixture.blank_pair()]))
    torch.testing.assert_close(loss_of(model, mixture, alone), loss_of(model, mixture, beside))
    ran = set()
    for name, part in model.named_modules():
        part.register_forward_hook(lambda *_, name=name: ran.add(name))
    loss_of(model, mixture, beside)
    assert {"encoder", "difference.mix", "qformer", "projector"} <= ran


def test_padding_on_a_mix_of_lengths_is_small(samples: list[Sample], tmp_path: Path) -> None:
    _, mixture = build(samples, batch=24)
    items = [mixture.draw(number) for number in range(24)]
    random.Random(0).shuffle(items)
    packed = collate_packed(mixture.processor, items, 512)
    assert float(packed["padding"]) / packed["input_ids"].numel() < 0.05
