"""The pointer tells the surest boxes of an image in tokens of their own, in the image's frame, as the words ask."""

from __future__ import annotations

import torch

from vlm.answer import Nadir
from vlm.pointer import CANDIDATES, CHANNELS, HEAT, NUMBERS, PRIOR, Comparison, Pointer, best_boxes, find_peaks
from vlm.positions import sine_code

KEYS, LLM = 12, 16
FRAMES = torch.tensor([[0.0, 0.0, 1.0, 1.25], [0.5, 0.0, 1.0, 0.625]])
"""An overview of a 640 x 512 px image, whose square canvas reaches below the image, and the tile of its upper right."""
ONE = torch.tensor([1])


def build() -> Pointer:
    torch.manual_seed(0)
    return Pointer(KEYS, 8, LLM).eval()


def say(*cells: tuple[int, int, int, float], tiles: int = 1) -> torch.Tensor:
    """Say on 8 x 8 cells of each tile that some, (tile, row, column, heat), hold a box as large as a cell.

    It is centred half a cell to the right of the cell's centre, e cells long and turned by 45 degrees.
    """
    said = torch.zeros(tiles, CHANNELS, 8, 8)
    said[:, HEAT] = -20.0
    for tile, row, column, heat in cells:
        said[tile, :, row, column] = torch.tensor([heat, 0.5, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0])
    return said


def choose(said: torch.Tensor, frames: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Give the best boxes of one image by the heat alone."""
    numbers, logits, _ = find_peaks(said, frames)
    return best_boxes(numbers, logits.sigmoid(), count)


def inputs(words: int = 5) -> tuple[torch.Tensor, tuple[int, int], torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return (
        torch.randn(1, 16, KEYS),
        (4, 4),
        FRAMES[:1],
        torch.randn(1, words, LLM),
        torch.ones(1, words, dtype=torch.long),
    )


def test_a_box_is_read_in_the_frame_of_the_image() -> None:
    numbers, certainty = choose(say((0, 1, 6, 20.0)), FRAMES[:1], count=2)
    width, height = 1 / 8, 1.25 / 8
    x, y = 7 * width, 1.5 * height
    wanted = [x - width / 2, y - height / 2, x + width / 2, y + height / 2, x, y, torch.e * width, width, 0.045]
    torch.testing.assert_close(numbers[0], torch.tensor(wanted))
    assert certainty[0] == 1 and certainty[1] < 1e-6


def test_the_surest_come_first_and_the_same_thing_in_two_tiles_comes_once() -> None:
    here, there = (0, 1, 6, 2.0), (0, 5, 1, 3.0)
    apart, _ = choose(say(here, there), FRAMES[:1], count=4)
    assert apart[:, 5].tolist()[:2] == [5.5 * 1.25 / 8, 1.5 * 1.25 / 8]
    said = say((0, 1, 6, 2.0), tiles=2)
    said[1, :, 2, 5] = torch.tensor([3.0, 0.0, 0.5, 0.6, 0.6, 1.0, 0.0, 1.0, 0.0])
    once, certainty = choose(said, FRAMES, count=4)
    assert certainty.gt(0.5).sum() == 1 and certainty[0] == torch.tensor(3.0).sigmoid()
    assert abs(float(once[0, 4]) - 0.85) < 0.01


def test_each_number_is_told_in_a_token_of_its_own_as_loud_as_it_is_certain() -> None:
    pointer = build()
    numbers, _ = choose(say((0, 1, 6, 20.0)), FRAMES[:1], count=2)
    with torch.no_grad():
        sure, unsure = (
            pointer._tell(numbers, torch.tensor([certainty, 0.0]), torch.float32) for certainty in (1.0, 0.1)
        )
        wanted = pointer.tell(sine_code(numbers[0, :, None].expand(-1, 2), LLM)) + pointer.certain(torch.ones(1, 1))
    about = pointer.about.weight.detach()
    torch.testing.assert_close(sure[0], wanted + about)
    torch.testing.assert_close(sure[1], about, msg="a box that is not there is not told")
    assert 0.1 < float((unsure[0] - about).norm() / wanted.norm()) < 0.4


def compare(comparison: Comparison, said: torch.Tensor, seen: torch.Tensor, tiles: list[int]) -> torch.Tensor:
    frames, asked = FRAMES[[0] * len(said)], torch.ones(len(said), 8)
    with torch.no_grad():
        return comparison(said, seen, asked, frames, torch.tensor(tiles))


def test_an_untrained_comparison_leaves_the_heat_as_it_is(tiny: Nadir) -> None:
    assert tiny.model.pointer is not None
    width = tiny.model.config.pointer_width
    said, asked = say((0, 1, 6, 2.0), (0, 5, 1, 3.0)), torch.randn(1, width)
    with torch.no_grad():
        numbers, logits, found = tiny.model.pointer.compare(said, torch.randn(1, width, 8, 8), asked, FRAMES[:1], ONE)
    assert numbers.shape == (1, CANDIDATES, NUMBERS) and logits[0, :2].tolist() == [3.0, 2.0]
    assert bool(found[0, :2].all())


def test_candidates_look_at_each_other_within_their_image_alone() -> None:
    torch.manual_seed(0)
    comparison = Comparison(8).eval()
    said = torch.cat([say((0, 1, 6, 2.0), (0, 5, 1, 3.0)), say((0, 4, 4, 1.0))])
    seen = torch.randn(2, 8, 8, 8)
    together, apart = compare(comparison, said, seen, [2]), compare(comparison, said, seen, [1, 1])
    alone = compare(comparison, said[:1], seen[:1], [1])
    torch.testing.assert_close(apart.logits[0], alone.logits[0])
    assert together.numbers[0, :3, 0].unique().numel() == 3, "the tiles of one image are one crowd"
    changed = seen.clone()
    changed[0, :, 5, 1] = torch.randn(8)
    other = compare(comparison, said[:1], changed[:1], [1]).logits[0]
    assert abs(float(other[1] - alone.logits[0, 1])) > 1e-5, "what one candidate shows changes what another says"


def test_fewer_peaks_than_candidates_are_filled_with_none() -> None:
    said = torch.zeros(1, CHANNELS, 2, 2)
    said[0, HEAT] = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    numbers, logits, cells = find_peaks(said, FRAMES[:1])
    assert len(numbers) == len(logits) == len(cells) == CANDIDATES
    assert logits.isfinite().sum() == 1
    told, certainty = best_boxes(numbers, logits.sigmoid(), count=3)
    assert certainty.gt(0).tolist() == [True, False, False] and not told[1:].any()


def test_a_negative_angle_is_not_its_mirror() -> None:
    pointer = build()
    numbers = torch.zeros(1, NUMBERS)
    numbers[0, 8] = 0.03
    with torch.no_grad():
        left, right = (pointer._tell(sign * numbers, torch.ones(1), torch.float32)[0] for sign in (1, -1))
    assert (left - right).abs().amax(1).gt(1e-3).nonzero().flatten().tolist() == [8]


def test_words_and_places_steer_and_padding_is_not_heard() -> None:
    pointer = build()
    keys, grid, frames, words, mask = inputs()
    pointer.place.weight.data.normal_()
    longer, masked = torch.cat((words, torch.randn(1, 3, LLM)), 1), torch.cat((mask, 0 * mask[:, :3]), 1)
    with torch.no_grad():
        asked, seen = pointer.find(keys, grid, frames, pointer.hear(words, mask))
        other, _ = pointer.find(keys, grid, frames, pointer.hear(words + 1, mask))
        elsewhere, _ = pointer.find(keys, grid, FRAMES[1:], pointer.hear(words, mask))
        padded, _ = pointer.find(keys, grid, frames, pointer.hear(longer, masked))
        silent, _ = pointer.find(keys, grid, frames, pointer.hear(words, 0 * mask))
    assert asked.shape == (1, CHANNELS, 8, 8) and seen.shape == (1, 8, 8, 8)
    assert (asked - other).abs().max() > 1e-3 and (asked - elsewhere).abs().max() > 1e-3
    torch.testing.assert_close(asked, padded, atol=1e-6, rtol=0)
    assert bool(silent.isfinite().all())


def test_the_language_models_loss_trains_how_it_tells_but_not_what_it_finds() -> None:
    pointer = build()
    keys, grid, frames, words, mask = inputs()
    keys.requires_grad_()
    told = pointer(keys, grid, frames, ONE, words, mask)
    assert told.shape == (1, NUMBERS, LLM)
    told.sum().backward()
    assert keys.grad is None and pointer.say.weight.grad is None and pointer.tell.weight.grad is not None


def test_an_image_of_a_batch_is_told_what_it_is_told_alone() -> None:
    pointer = build()
    keys, frames = torch.randn(3, 16, KEYS), FRAMES[[0, 0, 1]]
    words, mask = torch.randn(3, 5, LLM), torch.ones(3, 5, dtype=torch.long)
    with torch.no_grad():
        pointer.say.weight.normal_()
        both = pointer(keys, (4, 4), frames, torch.tensor([1, 2]), words, mask)
        alone = pointer(keys[1:], (4, 4), frames[1:], torch.tensor([2]), words[1:], mask[1:])
    torch.testing.assert_close(both[1:], alone, atol=1e-5, rtol=0)


def test_an_untrained_pointer_thinks_every_cell_as_unlikely_as_it_is(tiny: Nadir) -> None:
    pointer = tiny.model.pointer
    assert pointer is not None
    keys = torch.randn(3, 16, tiny.model.config.qformer_config.encoder_hidden_size)
    words = torch.randn(3, 5, tiny.model.config.text_config.hidden_size)
    with torch.no_grad():
        asked = pointer.hear(words, torch.ones(3, 5, dtype=torch.long))
        said, _ = pointer.find(keys, (4, 4), FRAMES[[0, 1, 1]], asked)
    torch.testing.assert_close(said[:, HEAT].sigmoid(), torch.full((3, 8, 8), PRIOR))
