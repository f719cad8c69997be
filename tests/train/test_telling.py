"""Boxes that are only told lie in their picture, the pointer is right about them, and it learns nothing from them."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PILImage

from tests.vlm.tiny import build_tiny
from train.mixture import Mixture
from train.pointing import HELD, KNOWN, pointer_cells
from train.telling import draw_box, told_feed, told_list_feed
from vlm.errors import DataError
from vlm.geometry import HBB, to_hbb
from vlm.records import Answer, Image, Region, Sample, Turn


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    path = tmp_path / "a.png"
    PILImage.fromarray(np.full((60, 90, 3), 90, np.uint8)).save(path)
    turn = Turn("Where is the ship?", Answer("{box:0}", (Region(HBB(1, 2, 9, 8), "ship"),), task="ground"))
    return [Sample("a", (Image(path=str(path), width=90, height=60),), (turn,), "ground", "s")]


@given(st.integers(0, 10**6), st.integers(16, 900), st.integers(16, 900))
def test_a_drawn_box_lies_in_the_picture(seed: int, width: int, height: int) -> None:
    box = to_hbb(draw_box(random.Random(seed), width, height))
    assert -1e-6 <= box.x1 < box.x2 <= width + 1e-6
    assert -1e-6 <= box.y1 < box.y2 <= height + 1e-6


def test_what_is_told_is_the_answer_and_teaches_the_pointer_nothing(samples: list[Sample]) -> None:
    model, processor = build_tiny()
    mixture = Mixture([(told_feed(samples), 1.0)], processor, 1, 0, cells=pointer_cells(model))
    kinds = set()
    for seed in range(12):
        conversation = told_feed(samples)(random.Random(seed))
        region = conversation.turns[0].answer.regions[0]
        encoded = mixture.encode(conversation, random.Random(seed))
        truth = encoded["pointer_truth"][0, 0]
        box = to_hbb(region.geometry)
        wanted = torch.tensor([box.x1 / 90, box.y1 / 60, box.x2 / 90, box.y2 / 60])
        torch.testing.assert_close(truth[:4], wanted, atol=1e-4, rtol=0)
        assert truth[9] > 0 and truth[10] == 1, "the pointer is right, every time"
        assert int(encoded["num_tiles"].sum()) == 1
        assert not encoded["pointer_targets"][..., [KNOWN, HELD]].any(), "nothing is there to be found"
        assert region.phrase == "ship" and "ship" in conversation.turns[0].instruction
        kinds.add(type(region.geometry).__name__)
    assert kinds == {"HBB", "OBB"}


def test_a_list_is_told_in_the_order_in_which_it_is_written(samples: list[Sample]) -> None:
    model, processor = build_tiny()
    feed = told_list_feed(samples, most=4)
    mixture = Mixture([(feed, 1.0)], processor, 1, 0, cells=pointer_cells(model))
    lengths, tiles = set(), set()
    for seed in range(40):
        conversation = feed(random.Random(seed))
        regions = conversation.turns[0].answer.regions
        encoded = mixture.encode(conversation, random.Random(seed))
        truth = encoded["pointer_truth"][0]
        told = [(box.x1 / 90, box.y1 / 60) for box in (to_hbb(region.geometry) for region in regions)]
        torch.testing.assert_close(truth[: len(told), :2], torch.tensor(told).reshape(-1, 2), atol=1e-4, rtol=0)
        assert (truth[: len(told), 9] > 0).all() and not truth[len(told) :, :10].any() and (truth[:, 10] == 1).all()
        assert not encoded["pointer_targets"][..., [KNOWN, HELD]].any(), "nothing is there to be found"
        assert (conversation.turns[0].answer.template == "none") == (not regions)
        lengths.add(len(regions))
        tiles.add(int(encoded["num_tiles"].sum()))
    assert lengths == {0, 1, 2, 3, 4}
    assert max(tiles) > 1, "a list is told in as many tiles as the picture has"


def test_samples_without_a_place_tell_nothing() -> None:
    with pytest.raises(DataError, match="name no region"):
        told_feed([Sample("a", (Image(path="a.png"),), (Turn("What?", Answer("a port")),), "caption", "s")])
