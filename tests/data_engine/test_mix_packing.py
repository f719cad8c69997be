"""Lengths are those of training; packing keeps every sample and the capacity."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_engine.mix.lengths import TokenCounter, sample_lengths
from data_engine.mix.packing import measure_packing, measure_padding, pack_lengths
from tests.data_engine.made_corpora import say, store
from vlm.geometry.shapes import HBB
from vlm.records import Answer, Image, Region, Sample, Turn

lengths = st.lists(st.integers(1, 100), max_size=60)


@given(lengths, st.integers(100, 150))
def test_every_sample_is_in_one_sequence_that_holds_it(sizes, capacity):
    bins = pack_lengths(sizes, capacity=capacity)
    assert sorted(index for bin in bins for index in bin) == list(range(len(sizes)))
    assert all(0 < sum(sizes[index] for index in bin) <= capacity for bin in bins)
    assert all(
        sum(sizes[index] for index in one) + max(sizes[index] for index in other) > capacity
        for at, one in enumerate(bins)
        for other in bins[at + 1 :]
    )


def test_a_sample_that_is_too_long_is_counted_and_not_cut():
    stats = measure_packing([50, 60, 300, 40, 50], capacity=100)
    assert (stats.too_long, stats.sequences, stats.packed) == (1, 2, 1.0)
    assert (stats.median, stats.longest, stats.mean) == (50, 300, 100)
    with pytest.raises(ValueError, match="a sample of 300 tokens does not fit"):
        pack_lengths([300], capacity=100)
    assert measure_packing([], capacity=100) is None


def test_padding_is_what_batches_waste():
    assert measure_padding(np.array([10, 10, 20, 40]), batch=2) == pytest.approx(80 / 100)
    mixed = [10, 90] * 64
    stats = measure_packing(mixed, capacity=100)
    assert stats.padded == pytest.approx(50 / 90)
    assert stats.padded_sorted == 1.0
    assert stats.packed == 1.0
    assert "padded 56%, padded by length 100%; packed into 100: 100% of 64 sequences" in stats.render()


IMAGE = Image(path="a.png", width=224, height=200)
SHIPS = (Region(HBB(10, 20, 60, 90), "ship"), Region(HBB(100, 20, 160, 90), "ship"))
CHAT = Sample(
    "chat",
    (IMAGE,),
    (
        Turn("Where are the ships?", Answer("{box:0,1}", SHIPS, task="detect")),
        Turn("What is in {box:0}?", Answer("a ship", task="region"), SHIPS[:1]),
    ),
    "chat",
    "made",
)
PAIR = say("pair", (IMAGE, Image(path="b.png", width=500, height=700)), "a hall was built", task="change")


@pytest.mark.slow
@pytest.mark.parametrize("sample", [say("one", IMAGE), CHAT, PAIR], ids=lambda sample: sample.id)
def test_tokens_are_those_of_training(sample: Sample):
    from train.mixture import build_conversation
    from vlm.checkpoint import load_checkpoint

    _, processor = load_checkpoint()
    pictures = [np.zeros((image.height, image.width, 3), np.uint8) for image in sample.images]
    tiles = [processor.tile_array(picture, date=date) for date, picture in enumerate(pictures)]
    sizes = [(image.width, image.height) for image in sample.images]
    messages = build_conversation(sample.turns, sizes, notes=[""] * len(tiles))
    assert TokenCounter().count(sample) == len(processor.encode(messages, tiles, with_labels=True)["input_ids"])


def test_some_samples_of_a_large_corpus_stand_for_all(tmp_path: Path):
    words = ["a", "quiet", "harbour", "with", "two", "piers", "and", "many", "boats"]
    samples = [say(number, IMAGE, " ".join(words[: 1 + number % 9])) for number in range(600)]
    folder = store(tmp_path / "a", samples, shard=150)
    counter = TokenCounter()
    every, some = sample_lengths(folder, counter), sample_lengths(folder, counter, most=200)
    assert len(every) == 600
    assert 120 <= len(some) <= 260
    assert np.mean(some) == pytest.approx(np.mean(every), rel=0.05)
