"""The table itself: what every dialect promises, and the resolution that it states."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm.dialects import DIALECTS, KINDS, frame, get_dialect, quantum, smart_resize
from vlm.errors import GeometryError
from vlm.geometry import CONVENTIONS

NINE = ["nadir", "geochat", "geoground", "qwen2.5", "qwen3", "falcon", "lmmrotate", "rscovlm", "vrsbench"]


def test_the_nine_dialects_are_there() -> None:
    assert list(DIALECTS) == NINE


@pytest.mark.parametrize("name", NINE)
def test_every_kind_is_written_or_has_a_stated_fallback(name: str) -> None:
    dialect = DIALECTS[name]
    written = {form.kind for form in dialect.forms if not form.read_only}
    fallback = dict(dialect.fallback)
    assert not written & set(fallback)
    assert written | set(fallback) == set(KINDS)
    assert set(fallback.values()) <= written
    assert dialect.angle in CONVENTIONS
    assert ("seg" in written) == (dialect.mask is not None)


def test_a_kind_without_fallback_is_refused_with_what_is_written() -> None:
    from dataclasses import replace

    bare = replace(get_dialect("vrsbench"), fallback=())
    with pytest.raises(GeometryError, match="cannot write 'seg': it writes box"):
        bare.form("seg")


def test_an_unknown_dialect_lists_the_known_ones() -> None:
    with pytest.raises(GeometryError, match="nadir, geochat, geoground"):
        get_dialect("llava")


@pytest.mark.parametrize(
    ("size", "resized"),
    [
        ((800, 600), (812, 588)),
        ((28, 30), (56, 84)),
        ((37, 37), (56, 56)),
        ((512, 512), (504, 504)),
        ((5000, 70), (5012, 56)),
        ((333, 4444), (336, 4452)),
        ((12000, 8000), (4368, 2912)),
        ((10000, 10000), (3556, 3556)),
    ],
)
def test_smart_resize_is_the_published_one(size: tuple[int, int], resized: tuple[int, int]) -> None:
    """The expected sizes are what transformers 5.23's own qwen2_vl smart_resize gives."""
    assert smart_resize(size) == resized


@settings(deadline=None, max_examples=200)
@given(st.integers(1, 100_000), st.integers(1, 100_000))
def test_smart_resize_keeps_its_bounds(width: int, height: int) -> None:
    w, h = smart_resize((width, height))
    assert w % 28 == 0
    assert h % 28 == 0
    if max(width, height) / min(width, height) < 100:
        assert 56 * 56 <= w * h <= 16384 * 28 * 28


def test_quantum_in_pixels() -> None:
    assert quantum("nadir", (2000, 1000)).x_px == 2
    assert quantum("nadir", (2000, 1000)).y_px == 1
    assert quantum("nadir", (2000, 1000)).length_px == 2
    assert quantum("geochat", (2000, 1000)).x_px == 20
    assert quantum("qwen2.5", (2000, 1000), resized=(1000, 500)).x_px == 2
    assert quantum("geoground", (640, 320)).cell_px == (20, 10)
    assert quantum("rscovlm", (560, 280), resized=(560, 280)).cell_px == (28, 28)
    assert quantum("vrsbench", (500, 500)).angle_deg == 1
    assert quantum("nadir", (10, 10)).cell_px is None


def test_an_image_without_size_is_refused() -> None:
    with pytest.raises(GeometryError, match="0 x 5 pixels"):
        frame(get_dialect("nadir"), (0, 5))
