"""COCO's run lengths are what pycocotools packs, and are refused where they do not fill their grid."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask

from vlm.coco_runs import read_coco_runs
from vlm.errors import DataError


@given(shape=st.tuples(st.integers(1, 40), st.integers(1, 40)), seed=st.integers(0, 999), share=st.floats(0, 1))
def test_packed_runs_are_the_pixels_that_were_packed(shape: tuple[int, int], seed: int, share: float) -> None:
    bits = np.random.default_rng(seed).random(shape) < share
    packed = mask.encode(np.asfortranarray(bits.astype(np.uint8)))
    for counts in (packed["counts"], packed["counts"].decode()):
        assert np.array_equal(read_coco_runs({"size": packed["size"], "counts": counts}, where="it"), bits)


@given(lengths=st.lists(st.integers(0, 9), min_size=1, max_size=9), width=st.integers(1, 7))
def test_lists_are_read_down_the_columns(lengths: list[int], width: int) -> None:
    total = sum(lengths)
    height = -(-total // width) or 1
    lengths = [*lengths, height * width - total]
    runs = {"size": [height, width], "counts": lengths}
    assert np.array_equal(read_coco_runs(runs, where="it"), mask.decode(mask.frPyObjects(runs, height, width)) == 1)


@pytest.mark.parametrize(
    ("size", "counts", "sentence"),
    [
        ([10, 10], [50, 49], "add up to 99: expected 10 x 10 = 100 pixels"),
        ([10, 10], [], "add up to 0"),
        ([20, 20], "P13700000l0", "add up to 100: expected 20 x 20 = 400 pixels"),
        ([5, 5], b"P13700000l0", "add up to 100: expected 5 x 5 = 25 pixels"),
        ([10, 10], "", "add up to 0"),
        ([10, 10], "\xff", "packs nothing"),
        ([10, 10], "P", "break off"),
        ([10, 10], [110, -10], "whole numbers"),
        ([10, 10], [50, 10.5, 39.5], "whole numbers"),
        ([10, 10], [[100]], "whole numbers"),
        ([10, 10], None, "whole numbers"),
        ([10], [100], r"expected \[height, width\]"),
        ([0, 10], [], r"expected \[height, width\]"),
        (None, [100], r"expected \[height, width\]"),
    ],
)
def test_what_does_not_fill_its_grid_is_refused_in_a_sentence(size: Any, counts: Any, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence) as refused:
        read_coco_runs({"size": size, "counts": counts}, where="row 7")
    assert str(refused.value).startswith("row 7 has run lengths")
