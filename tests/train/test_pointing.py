"""The pointer's targets lie where the regions lie, on any tile of any image, and its loss falls where it is told."""

from __future__ import annotations

import math
import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.vlm.tiny import build_tiny
from train.pointing import (
    HELD,
    KNOWN,
    ORACLE,
    TURNED,
    PointerLoss,
    focal_loss,
    pointer_cells,
    pointer_targets,
    true_numbers,
)
from vlm.geometry import to_obb
from vlm.geometry.shapes import HBB, OBB
from vlm.pointer import HEAT, Candidates, cell_size, read_boxes
from vlm.positions import grid_points
from vlm.records import Answer, Region, Turn

CELLS = 8
WIDTH, HEIGHT = 640, 512
SIZES = [(WIDTH, HEIGHT)]
FRAMES = torch.tensor([[0.0, 0.0, 1.0, 1.25], [0.0, 0.0, 0.4, 0.5], [0.3, 0.0, 0.7, 0.5], [0.6, 0.5, 1.0, 1.0]])


def where(*shapes: HBB | OBB) -> Turn:
    return Turn("Where?", Answer("{box:0}", tuple(Region(shape) for shape in shapes), task="ground"))


def told(targets: torch.Tensor) -> torch.Tensor:
    """Read the boxes of the cells that are asked for one, (M, 9)."""
    cells = cell_size(FRAMES, CELLS, CELLS)[:, None].expand(-1, CELLS * CELLS, -1)
    numbers = read_boxes(targets, grid_points(FRAMES, CELLS, CELLS), cells)
    return numbers[targets[..., HELD] > 0]


@given(
    st.floats(20, WIDTH - 20), st.floats(20, HEIGHT - 20), st.floats(6, 90), st.floats(6, 90), st.integers(-180, 179)
)
def test_a_cell_that_says_its_target_tells_the_oriented_box(x: float, y: float, w: float, h: float, a: int) -> None:
    obb = to_obb(OBB(x, y, w, h, float(a)))
    numbers = told(pointer_targets(where(obb), SIZES, FRAMES, CELLS))
    assert len(numbers), "the overview sees every box"
    wanted = torch.tensor([[x / WIDTH, y / HEIGHT, obb.w / WIDTH, obb.h / WIDTH]]).expand(len(numbers), -1)
    torch.testing.assert_close(numbers[:, 4:8], wanted, atol=1e-4, rtol=0)
    off = (numbers[:, 8] * 1000 - obb.angle_deg + 90) % 180 - 90
    torch.testing.assert_close(off, torch.zeros(len(off)), atol=1e-2, rtol=0)


@given(st.floats(1, WIDTH - 60), st.floats(1, HEIGHT - 60), st.floats(4, 50), st.floats(4, 50))
def test_a_cell_that_says_its_target_tells_the_corners(x: float, y: float, w: float, h: float) -> None:
    targets = pointer_targets(where(HBB(x, y, x + w, y + h)), SIZES, FRAMES, CELLS)
    corners = told(targets)[:, :4]
    wanted = torch.tensor([[x / WIDTH, y / HEIGHT, (x + w) / WIDTH, (y + h) / HEIGHT]])
    torch.testing.assert_close(corners, wanted.expand_as(corners), atol=1e-4, rtol=0)
    assert not targets[..., TURNED].any(), "an upright box says nothing of an angle"


def test_heat_is_one_at_the_centre_alone_and_falls_away_from_it() -> None:
    targets = pointer_targets(where(HBB(100, 110, 300, 230)), SIZES, FRAMES[:1], CELLS)
    heat = targets[0, :, HEAT].reshape(CELLS, CELLS)
    assert (heat == 1).nonzero().tolist() == [[2, 2]]
    assert heat[2, 3] > heat[2, 4] > heat[2, 5] and heat[2, 3] > heat[3, 3]


def test_nothing_found_is_known_and_words_are_not() -> None:
    none = pointer_targets(Turn("Where?", Answer("none", task="ground")), SIZES, FRAMES, CELLS)
    words = pointer_targets(Turn("What?", Answer("a port", task="caption")), SIZES, FRAMES, CELLS)
    assert bool((none[..., KNOWN] == 1).all()) and not none[..., HELD].any()
    assert not words.any()


def test_a_cell_belongs_to_the_region_that_heats_it_most() -> None:
    near, far = HBB(40, 40, 60, 60), HBB(440, 40, 470, 70)
    for shapes in ((near, far), (far, near)):
        targets = pointer_targets(where(*shapes), SIZES, FRAMES[:1], CELLS)[0]
        peaks = targets[targets[:, HEAT] == 1]
        assert sorted(peaks[:, 3].exp().mul(WIDTH / CELLS).tolist()) == pytest.approx([20, 30], rel=1e-4)


def test_the_focal_loss_is_least_when_the_heat_is_said() -> None:
    heat = torch.zeros(1, 64)
    heat[0, 20] = 1.0
    right = torch.full((1, 64), -9.0)
    right[0, 20] = 9.0
    wrong = right.flip(1)
    assert focal_loss(right, heat) < 1e-3 < focal_loss(torch.zeros(1, 64), heat) < focal_loss(wrong, heat)


def test_the_truth_is_what_a_pointer_that_is_right_tells() -> None:
    shapes = (HBB(64, 128, 192, 256), OBB(320, 256, 64, 32, -30.0))
    told = [true_numbers(where(*shapes), SIZES, random.Random(seed)) for seed in range(100)]
    share = sum(float(truth[0, 0, -1]) for truth in told) / len(told)
    assert share < 1 and abs(share - ORACLE) < 0.12, "not always the truth is told"
    assert len({float(truth[0, 0, 0]) for truth in told}) == 2, "either box comes first"
    (truth,) = told[0]
    box, obb = sorted(truth[:2].tolist())
    assert box[:8] == pytest.approx([0.1, 0.25, 0.3, 0.5, 0.2, 0.375, 0.2, 0.2])
    assert obb[4:9] == pytest.approx([0.5, 0.5, 0.1, 0.05, -0.03])
    assert truth[0, 9] >= truth[1, 9] > 0 and not truth[2:, :10].any()


def test_words_are_never_told_a_truth_and_nothing_there_is_one() -> None:
    said = [Turn("What?", Answer(text, task="ground")) for text in ("a port", "none")]
    port, none = ([true_numbers(turn, SIZES, random.Random(seed))[0, 0, -1] for seed in range(20)] for turn in said)
    assert not any(port) and any(none)


def test_the_truth_comes_in_the_place_of_what_was_found_where_it_is_told() -> None:
    model, _ = build_tiny()
    assert model.pointer is not None
    loss = PointerLoss(model.pointer)
    truth = torch.zeros(2, 16, 11)
    truth[1, 0] = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.2, 0.3, 0.2, 0.2, 0.0, 0.9, 1.0])
    truth[1, 1:, -1] = 1.0
    counts = torch.tensor([1, 2])
    candidates = Candidates(torch.rand(2, 32, 9), torch.randn(2, 32), torch.ones(2, 32) > 0)
    found = model.pointer.choose(candidates, counts)
    loss.truth = truth
    told = model.pointer.choose(candidates, counts)
    assert all(torch.equal(a, b) for a, b in zip(found[0], told[0], strict=True))
    numbers, certainty = told[1]
    assert len(numbers) == len(found[1][0]) == 2
    assert numbers[0].tolist() == pytest.approx(truth[1, 0, :9].tolist()) and not numbers[1:].any()
    assert certainty.tolist() == pytest.approx([0.9, 0.0])


def compared(*logits: float, regions: tuple[HBB, ...] = (HBB(64, 128, 192, 256),), known: bool = True) -> float:
    """Give the loss of three candidates: one that is right, one that overlaps by 0.45, one that is nowhere near."""
    model, _ = build_tiny()
    assert model.pointer is not None
    loss = PointerLoss(model.pointer)
    loss.truth = true_numbers(where(*regions), SIZES, random.Random(0))
    numbers = torch.zeros(1, 3, 9)
    numbers[0, :, :4] = torch.tensor([[0.1, 0.25, 0.3, 0.5], [0.1, 0.25, 0.3, 0.3625], [0.7, 0.7, 0.8, 0.8]])
    found = torch.tensor([[True, True, True]])
    loss._compared = Candidates(numbers, torch.tensor([logits]), found), torch.tensor([1])
    return float(loss._compare_loss(torch.tensor([known])))


def test_a_candidate_is_right_by_what_it_overlaps() -> None:
    assert compared(9.0, 0.0, -9.0) < 1e-3
    assert compared(-9.0, 0.0, 9.0) > 17
    assert compared(9.0, 9.0, -9.0) < 1e-3, "neither right nor wrong"
    assert compared(9.0, 0.0, -9.0, regions=()) > 8, "none is right where there is nothing"
    assert compared(-9.0, 0.0, 9.0, known=False) == 0, "an answer about no place teaches nothing"


def test_the_pointer_learns_to_say_where() -> None:
    model, processor = build_tiny()
    torch.manual_seed(0)
    assert model.pointer is not None
    loss, cells = PointerLoss(model.pointer), pointer_cells(model)
    optimizer = torch.optim.AdamW(model.pointer.parameters(), lr=1e-2)
    pixels = torch.randint(0, 255, (48, 48, 3), dtype=torch.uint8).numpy()
    image = processor.tile_array(pixels)
    batch = processor.collate([processor.encode([{"role": "user", "content": [{"type": "image"}]}], [image])])
    targets = pointer_targets(where(HBB(30, 4, 40, 14)), [(48, 48)], batch["tile_frames"], cells)
    values = []
    for _ in range(40):
        model(**batch, use_cache=False)
        value = loss(targets)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(float(value.detach()))
    assert math.isfinite(values[0]) and values[-1] < 0.4 * values[0]
