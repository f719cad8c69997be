"""COCO's run lengths: what is packed by pycocotools is read as it was, and no string gives pixels that nobody set."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pycocotools import mask as reference

from data_engine.formats.coco import read_geometry
from vlm.errors import DataError
from vlm.geometry import Mask

SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40))


@st.composite
def pictures(draw: st.DrawFn) -> np.ndarray:
    """Draw a mask with at least one pixel, sparse or noisy."""
    width, height = draw(SIZES)
    bits = np.random.default_rng(draw(st.integers(0, 2**32))).random((height, width)) < draw(
        st.sampled_from((0.02, 0.5))
    )
    bits[draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))] = True
    return np.asfortranarray(bits.astype(np.uint8))


@given(pictures())
@example(np.ones((1500, 1500), np.uint8, order="F"))
def test_packed_runs_are_read_as_they_were_written(bits):
    height, width = bits.shape
    packed = reference.encode(bits)["counts"].decode()
    mask = read_geometry({"segmentation": {"size": [height, width], "counts": packed}}, (width, height), where="x")
    assert isinstance(mask, Mask)
    drawn = np.zeros(bits.shape, bool)
    drawn[int(mask.box.y1) : int(mask.box.y2), int(mask.box.x1) : int(mask.box.x2)] = mask.bits
    assert np.array_equal(drawn, bits.astype(bool))


@given(pictures(), st.text(st.characters(min_codepoint=40, max_codepoint=120), max_size=6), st.data())
def test_spoilt_runs_are_read_to_the_last_cell_or_refused(bits, noise, data):
    height, width = bits.shape
    packed = reference.encode(bits)["counts"].decode()
    at = data.draw(st.integers(0, len(packed)))
    runs = {"size": [height, width], "counts": packed[:at] + noise}
    try:
        mask = read_geometry({"segmentation": runs}, (width, height), where="x")
    except DataError:
        return
    assert isinstance(mask, Mask)
    assert 0 < mask.area == reference.area(runs | {"counts": runs["counts"].encode()})


def test_a_cut_string_is_refused_with_its_sum():
    runs = {"size": [4, 5], "counts": "522000"}
    with pytest.raises(DataError, match="add up to 15: expected 4 x 5 = 20 pixels"):
        read_geometry({"segmentation": runs}, (5, 4), where="image 1")
