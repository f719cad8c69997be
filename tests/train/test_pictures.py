"""Augmentation moves pixels and geometry together."""

from __future__ import annotations

import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from train.pictures import Move, is_spatial, jitter, move_turn, random_crop
from vlm.geometry import to_hbb
from vlm.geometry.shapes import HBB
from vlm.records import Answer, Region, Turn

moves = st.builds(Move, st.integers(0, 3), st.booleans())


@given(moves, st.integers(0, 30), st.integers(0, 10), st.integers(1, 9), st.integers(1, 9))
def test_a_box_stays_on_its_pixels(move: Move, x: int, y: int, w: int, h: int) -> None:
    rgb = np.zeros((20, 40, 3), np.uint8)
    rgb[y : y + h, x : x + w] = 255
    box = to_hbb(move.region(Region(HBB(x, y, x + w, y + h)), 40, 20).geometry)
    rows, cols = np.nonzero(move.pixels(rgb)[..., 0])
    assert (box.x1, box.y1, box.x2, box.y2) == (cols.min(), rows.min(), cols.max() + 1, rows.max() + 1)


def test_a_list_of_regions_is_in_reading_order_after_a_move() -> None:
    regions = tuple(Region(HBB(x, 2, x + 3, 5), "car") for x in (2, 10, 20))
    turn = Turn("Find all cars.", Answer("{box:0,1,2}", regions))
    moved = move_turn(turn, Move(mirrored=True), [(40, 20)]).answer.regions
    assert [to_hbb(region.geometry).x1 for region in moved] == [17, 27, 35]


def test_texts_with_directions_are_not_moved() -> None:
    assert is_spatial([Turn("Where is the left-most car?", Answer("x"))])
    assert is_spatial([Turn("a", Answer("a road north of the river"))])
    assert not is_spatial([Turn("Where is the car?", Answer("an airport with a long building"))])


def test_jitter_and_crops_are_seeded_and_keep_the_type() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (2, 16, 24, 3), dtype=np.uint8)
    assert np.array_equal(jitter(rgb, random.Random(1)), jitter(rgb, random.Random(1)))
    assert jitter(rgb, random.Random(1)).dtype == np.uint8
    assert not np.array_equal(jitter(rgb, random.Random(1)), rgb)
    height, width = random_crop(rgb[0], random.Random(2), smallest=0.5).shape[:2]
    assert height >= 8 and width >= 12
