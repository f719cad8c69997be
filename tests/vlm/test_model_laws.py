"""Laws of the whole model: one path from pixels to logits, whichever way it is entered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.vlm.tiny import build_tiny
from train.sft import set_training
from vlm.answer import Nadir
from vlm.checkpoint import load_checkpoint, save_checkpoint
from vlm.difference import delta
from vlm.errors import SpliceError
from vlm.processor import TiledImage
from vlm.prompts import user_message

Encoded = dict[str, torch.Tensor]


def encode(nadir: Nadir, words: str, pictures: Sequence[np.ndarray], *, dates: bool = False) -> Encoded:
    images = tile(nadir, pictures, dates=dates)
    return nadir.processor.encode([user_message(words, [""] * len(images))], images)


def tile(nadir: Nadir, pictures: Sequence[np.ndarray], *, dates: bool) -> list[TiledImage]:
    partner = (1, 0) if dates else (None,) * len(pictures)
    return [
        nadir.processor.tile_array(rgb, date=index if dates else 0, partner=partner[index])
        for index, rgb in enumerate(pictures)
    ]


def visual(nadir: Nadir, *samples: Encoded) -> list[torch.Tensor]:
    batch = nadir.processor.collate(samples)
    names = set(batch) - {"input_ids", "attention_mask", "labels"}
    with torch.no_grad():
        return nadir.model.embed_images(**{name: batch[name] for name in names})


def generate(nadir: Nadir, *samples: Encoded, **options: object) -> torch.Tensor:
    batch = nadir.processor.collate(samples)
    length = batch["input_ids"].shape[1]
    return nadir.model.generate(**batch, max_new_tokens=12, do_sample=False, **options)[:, length:]


def test_features_are_the_same_alone_and_in_a_batch(tiny: Nadir, pictures: list[np.ndarray]) -> None:
    samples = [
        encode(tiny, words, [rgb])
        for words, rgb in zip(("Where?", "How many ships are there?", "a"), pictures, strict=True)
    ]
    together = visual(tiny, *samples)
    for sample, features in zip(samples, together, strict=True):
        torch.testing.assert_close(visual(tiny, sample)[0], features, rtol=1e-4, atol=1e-5)


def test_training_and_generate_see_the_same_features(tiny: Nadir, pictures: list[np.ndarray]) -> None:
    """Capture what enters the language model in a training step and in generate: for one date and for two."""
    for dates in (False, True):
        shown = [pictures[2], pictures[2][::-1].copy()] if dates else pictures[:1]
        images = tile(tiny, shown, dates=dates)
        question = user_message("What has changed?", [""] * len(images))
        answer = {"role": "assistant", "content": "many ships"}
        training = tiny.processor.collate(
            [tiny.processor.encode([question, answer], images, with_labels=True)], side="right"
        )
        asking = tiny.processor.collate([tiny.processor.encode([question], images)])
        seen: list[torch.Tensor] = []
        hook = tiny.model.language_model.get_decoder().register_forward_pre_hook(
            lambda module, args, kwargs, seen=seen: seen.append(kwargs["inputs_embeds"].detach()), with_kwargs=True
        )
        set_training(tiny.model)
        tiny.model(**training)
        tiny.model.eval().generate(**asking, max_new_tokens=1, do_sample=False)
        hook.remove()
        prompt = asking["input_ids"].shape[1]
        assert torch.equal(training["input_ids"][:, :prompt], asking["input_ids"])
        torch.testing.assert_close(seen[0][:, :prompt], seen[1], rtol=0, atol=1e-5)


def test_cached_decoding_equals_uncached(tiny: Nadir, pictures: list[np.ndarray]) -> None:
    sample = encode(tiny, "Describe the image in one sentence.", pictures[1:2])
    assert torch.equal(generate(tiny, sample), generate(tiny, sample, use_cache=False))


def test_left_padding_does_not_change_an_answer(tiny: Nadir, pictures: list[np.ndarray]) -> None:
    short, long = encode(tiny, "a", pictures[:1]), encode(tiny, "How many ships are there? " * 4, pictures[1:2])
    together, alone = generate(tiny, short, long), generate(tiny, short)
    assert torch.equal(together[0, : alone.shape[1]], alone[0])


def test_the_instruction_changes_the_visual_tokens(tiny: Nadir, pictures: list[np.ndarray]) -> None:
    ships, cars = (
        visual(tiny, encode(tiny, words, pictures[:1]))[0] for words in ("Where are the ships?", "Any cars?")
    )
    assert (ships - cars).abs().max() > 1e-3


def test_swapped_dates_are_another_question(tiny: Nadir, pictures: list[np.ndarray]) -> None:
    first, second = pictures[2], 255 - pictures[2]
    forward = visual(tiny, encode(tiny, "What has changed?", [first, second], dates=True))
    backward = visual(tiny, encode(tiny, "What has changed?", [second, first], dates=True))
    assert (forward[0] - backward[1]).abs().max() > 1e-3, "the same picture as first and as second date looks different"


def test_the_same_date_twice_has_no_difference(tiny: Nadir, pictures: list[np.ndarray]) -> None:
    batch = tiny.processor.collate([encode(tiny, "What has changed?", [pictures[2]] * 2, dates=True)])
    features, _ = tiny.model.encoder(batch["pixel_values"])
    assert torch.count_nonzero(delta(features, batch["tile_partner"], batch["tile_meta"][:, 1])) == 0


def test_save_and_load_are_bitwise(tmp_path: Path, pictures: list[np.ndarray]) -> None:
    nadir = Nadir(*build_tiny())
    save_checkpoint(nadir.model, nadir.processor, tmp_path)
    again = Nadir(*load_checkpoint(tmp_path))
    state = again.model.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in nadir.model.state_dict().items())
    buffers = dict(again.model.named_buffers())
    assert all(torch.equal(buffer, buffers[name]) for name, buffer in nadir.model.named_buffers())
    sample, reloaded = (encode(one, "How many ships are there?", pictures[:1]) for one in (nadir, again))
    assert all(torch.equal(tensor, reloaded[name]) for name, tensor in sample.items())
    assert torch.equal(generate(nadir, sample), generate(again, reloaded))


def test_a_wrong_number_of_placeholders_is_refused_with_the_counts(tiny: Nadir, pictures: list[np.ndarray]) -> None:
    batch = tiny.processor.collate([encode(tiny, "a", pictures[:1])])
    where = (batch["input_ids"][0] == tiny.model.config.image_token_id).nonzero()[0]
    batch["input_ids"][0, where] = 5
    with pytest.raises(SpliceError, match=r"lengths \[13\].*lengths \[14\]"):
        tiny.model(**batch)


def test_an_untrained_model_lets_the_image_through(pictures: list[np.ndarray]) -> None:
    """An image that hardly moves the loss is learned late: the encoder must feel it as the language model does."""
    nadir = Nadir(*build_tiny())
    turns = [user_message("Describe the image in one sentence.", [""]), {"role": "assistant", "content": "many ships"}]
    image = nadir.processor.tile_array(pictures[1])
    batch = nadir.processor.collate([nadir.processor.encode(turns, [image], with_labels=True)], side="right")
    nadir.model(**batch).loss.backward()

    def felt(part: torch.nn.Module) -> float:
        return float(torch.stack([p.grad.norm() for p in part.parameters() if p.grad is not None]).norm())

    assert felt(nadir.model.encoder) > 0.1 * felt(nadir.model.language_model)


def test_costs_follow_the_tiles(tiny: Nadir) -> None:
    assert tiny.model.visual_tokens(3) == 3 * (2 * 2 + 1 + 9)
    assert tiny.model.flops_per_image(6) == 6 * tiny.model.flops_per_image(1) > 0
    assert tiny.model.kv_bytes_per_token() == 2 * 2 * 1 * 16 * 4


def test_the_images_placeholder_is_never_generated(tiny: Nadir, pictures: list[np.ndarray]) -> None:
    sample = encode(tiny, "Where?", pictures[:1])
    placeholder = tiny.model.config.image_token_id
    embeddings = tiny.model.get_output_embeddings()

    def prefer_it(module: torch.nn.Module, inputs: object, logits: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.one_hot(torch.tensor(placeholder), logits.shape[-1]) * 100.0 + logits

    hook = embeddings.register_forward_hook(prefer_it)
    written = generate(tiny, sample)
    hook.remove()
    assert placeholder not in written
