"""The anchors' targets lie where the regions lie, on any tile of any image, and the loss falls where they are told."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.vlm.tiny import build_tiny
from train.anchors import BOX, HOLDS, KNOWN, AnchorLoss, anchor_targets
from vlm.geometry.shapes import HBB
from vlm.positions import grid_points
from vlm.records import Answer, Region, Turn

GRID = 4
WIDTH, HEIGHT = 640, 512
FRAMES = torch.tensor([[0.0, 0.0, 1.0, 1.25], [0.0, 0.0, 0.4, 0.5], [0.3, 0.0, 0.7, 0.5], [0.6, 0.5, 1.0, 1.0]])


def where(*boxes: HBB) -> Turn:
    return Turn("Where?", Answer("{box:0}", tuple(Region(box) for box in boxes), task="ground"))


@given(st.floats(1, WIDTH - 60), st.floats(1, HEIGHT - 60), st.floats(2, 50), st.floats(2, 50))
def test_an_anchor_that_holds_a_box_gives_it_back(x: float, y: float, w: float, h: float) -> None:
    box = HBB(x, y, x + w, y + h)
    targets = anchor_targets(where(box), (WIDTH, HEIGHT), FRAMES, GRID)
    centres = grid_points(FRAMES, GRID, GRID)
    cells = ((FRAMES[:, 2:] - FRAMES[:, :2]) / GRID)[:, None].expand_as(centres)
    held = targets[..., HOLDS] > 0
    assert held[0].sum() >= 1, "the overview sees every box"
    offset, size = targets[held][:, BOX].split(2, dim=1)
    middle = (centres[held] + offset * cells[held]) * torch.tensor([WIDTH, HEIGHT])
    extent = size.exp() * cells[held] * torch.tensor([WIDTH, HEIGHT])
    torch.testing.assert_close(middle, torch.tensor([[x + w / 2, y + h / 2]]).expand_as(middle), atol=0.01, rtol=0)
    torch.testing.assert_close(extent, torch.tensor([[w, h]]).expand_as(extent), atol=0.01, rtol=1e-3)


def test_nothing_found_is_known_and_words_are_not() -> None:
    none = anchor_targets(Turn("Where?", Answer("none", task="ground")), (WIDTH, HEIGHT), FRAMES, GRID)
    words = anchor_targets(Turn("What?", Answer("a port", task="caption")), (WIDTH, HEIGHT), FRAMES, GRID)
    assert bool((none[..., KNOWN] == 1).all()) and not none[..., HOLDS].any()
    assert not words.any()


def test_the_largest_of_two_boxes_in_a_cell_counts() -> None:
    small, large = HBB(10, 10, 14, 14), HBB(4, 4, 24, 24)
    for boxes in ((small, large), (large, small)):
        targets = anchor_targets(where(*boxes), (WIDTH, HEIGHT), FRAMES[:1], GRID)
        (held,) = targets[targets[..., HOLDS] > 0]
        assert float(held[4].exp()) * WIDTH / GRID == pytest.approx(20, rel=1e-4)


def test_the_queries_learn_to_say_where() -> None:
    model, processor = build_tiny()
    torch.manual_seed(0)
    loss = AnchorLoss(model.qformer)
    grid = model.config.query_grid
    optimizer = torch.optim.AdamW(model.qformer.parameters(), lr=3e-3)
    pixels = torch.randint(0, 255, (48, 48, 3), dtype=torch.uint8).numpy()
    image = processor.tile_array(pixels)
    batch = processor.collate([processor.encode([{"role": "user", "content": [{"type": "image"}]}], [image])])
    targets = anchor_targets(where(HBB(30, 4, 40, 14)), (48, 48), batch["tile_frames"], grid)
    values = []
    for _ in range(30):
        model(**batch, use_cache=False)
        value = loss(targets)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(float(value.detach()))
    assert values[-1] < 0.5 * values[0]
