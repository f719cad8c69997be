"""The pointer tells each anchor's token the best of its cell, in the image's frame, as the words ask."""

from __future__ import annotations

import torch

from vlm.answer import Nadir
from vlm.pointer import CENTRE, CHANNELS, CODE, HEAT, PRIOR, SIDES, SIZE, TURN, Pointer, encode_boxes
from vlm.positions import sine_code

KEYS, LLM, GRID, FREE = 12, 16, 2, 1
FRAME = torch.tensor([[0.0, 0.0, 1.0, 1.25]])
"""An overview of a 640 x 512 px image: its canvas is square, so it reaches below the image."""


def build() -> Pointer:
    torch.manual_seed(0)
    return Pointer(KEYS, 8, LLM, query_grid=GRID, free_queries=FREE).eval()


def inputs(words: int = 5) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(1, 16, KEYS), torch.randn(1, words, LLM), torch.ones(1, words, dtype=torch.long)


def say(cell: tuple[int, int], heat: float) -> torch.Tensor:
    """Say on 8 x 8 cells that one cell holds a box as large as itself, centred half a cell to its right."""
    said = torch.full((1, CHANNELS, 8, 8), 0.0)
    said[:, HEAT] = -20.0
    said[0, :, cell[0], cell[1]] = torch.tensor([heat, 0.5, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0])
    return said


def test_the_anchor_over_a_cell_tells_its_box_and_the_others_are_silent() -> None:
    pointer = build()
    told = pointer._tell(say((1, 6), heat=20.0), FRAME)[0]
    assert told.abs().amax(-1).gt(1e-3).tolist() == [False, True, False, False], "row 1, column 6 is upper right"
    width, height = 1 / 8, 1.25 / 8
    middle = torch.tensor([7 * width, 1.5 * height])
    half = torch.tensor([width, height]) / 2
    sides = torch.tensor([torch.e, 1.0]) * min(width, height)
    angle = torch.tensor([0.75, 0.75])  # 2 a = 90 degrees, so a is 45, a quarter of 180 above the half for 0
    pairs = (middle - half, middle + half, middle, sides, angle)
    wanted = pointer.tell(torch.cat([sine_code(pair, CODE) for pair in pairs]))
    torch.testing.assert_close(told[1], wanted, atol=1e-4, rtol=0)


def test_what_is_told_grows_with_certainty() -> None:
    pointer = build()
    sure, unsure = (pointer._tell(say((1, 6), heat=heat), FRAME)[0, 1] for heat in (20.0, 0.0))
    torch.testing.assert_close(unsure, sure / 2, atol=1e-5, rtol=0)


def test_a_code_of_wild_numbers_is_finite() -> None:
    found = torch.full((1, 1, CHANNELS), 1e4)
    assert bool(encode_boxes(found, torch.zeros(1, 1, 2), torch.full((1, 1, 2), 0.1)).isfinite().all())
    assert found[..., CENTRE].shape[-1] == found[..., SIZE].shape[-1] == found[..., SIDES].shape[-1] == 2
    assert found[..., TURN].shape[-1] == 2


def test_words_steer_and_padding_is_not_heard() -> None:
    pointer = build()
    keys, words, mask = inputs()
    with torch.no_grad():
        asked = pointer.find(keys, (4, 4), words, mask)
        other = pointer.find(keys, (4, 4), words + 1, mask)
        padded = pointer.find(
            keys, (4, 4), torch.cat((words, torch.randn(1, 3, LLM)), 1), torch.cat((mask, 0 * mask[:, :3]), 1)
        )
        silent = pointer.find(keys, (4, 4), words, 0 * mask)
    assert asked.shape == (1, CHANNELS, 8, 8)
    assert (asked - other).abs().max() > 1e-3
    torch.testing.assert_close(asked, padded, atol=1e-6, rtol=0)
    assert bool(silent.isfinite().all())


def test_the_language_models_loss_does_not_reach_it(tiny: Nadir) -> None:
    pointer = tiny.model.pointer
    assert pointer is not None
    keys = torch.randn(1, 16, tiny.model.config.qformer_config.encoder_hidden_size, requires_grad=True)
    words = torch.randn(1, 5, tiny.model.config.text_config.hidden_size)
    told = pointer(keys, (4, 4), FRAME, words, torch.ones(1, 5, dtype=torch.long))
    assert told.shape == (1, tiny.model.config.tokens_per_tile, tiny.model.config.text_config.hidden_size)
    told.sum().backward()
    assert keys.grad is None and pointer.say.weight.grad is None and pointer.tell.weight.grad is not None


def test_an_untrained_pointer_thinks_every_cell_as_unlikely_as_it_is(tiny: Nadir) -> None:
    pointer = tiny.model.pointer
    assert pointer is not None
    keys = torch.randn(3, 16, tiny.model.config.qformer_config.encoder_hidden_size)
    words = torch.randn(3, 5, tiny.model.config.text_config.hidden_size)
    with torch.no_grad():
        said = pointer.find(keys, (4, 4), words, torch.ones(3, 5, dtype=torch.long))
    torch.testing.assert_close(said[:, HEAT].sigmoid(), torch.full((3, 8, 8), PRIOR))
