"""Tiles travel as a picture: what is packed comes back, and a sheet that says nonsense is refused."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image as PILImage
from PIL.PngImagePlugin import PngInfo

from vlm.answer import Nadir
from vlm.errors import RasterError, SpliceError
from vlm.geometry.shapes import Window
from vlm.processor import ArrayImage, TiledImage
from vlm.sheet import KEY, is_sheet, pack_sheet, unpack_sheet


def opened(data: bytes) -> PILImage.Image:
    picture = PILImage.open(io.BytesIO(data))
    picture.load()
    return picture


def unpacked(picture: PILImage.Image) -> TiledImage:
    return unpack_sheet(picture, tile_px=32, tokens_per_tile=14)


@pytest.mark.parametrize("window", [None, Window(10, 5, 64, 30)])
def test_what_is_packed_comes_back(tiny: Nadir, pictures: list[np.ndarray], window: Window | None) -> None:
    rgb = pictures[1]
    plan = tiny.processor.plan(rgb.shape[1], rgb.shape[0], window=window)
    image = tiny.processor.tile(
        ArrayImage(rgb), plan, window=window, date=1, rendering_index=2, partner=0 if window else None
    )
    again = unpacked(opened(pack_sheet(image)))
    first, second = (tiny.processor.image_tensors([one] * 2, [[5, 6]] * 2) for one in (image, again))
    assert all(np.array_equal(first[name].numpy(), second[name].numpy()) for name in first)
    assert (again.date, again.rendering, again.partner) == (image.date, image.rendering, image.partner)
    assert again.plan.visual_tokens == image.plan.visual_tokens


def test_an_ordinary_picture_is_no_sheet() -> None:
    assert not is_sheet(PILImage.new("RGB", (32, 32)))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"tiles": [[0, 0, 0, 90]] * 3}, "expected 32 x 96"),
        ({"tiles": []}, "expected 32 x 32"),
        ({"tiles": [[0, 0, 0, 0], [1, 0, 0, 0]]}, "is empty"),
        ({"size": [0, 9]}, "below 1"),
        ({"tiles": [[-1, 0, 0, 9], [1, 0, 0, 9]]}, "below 0"),
        ({"date": -1}, "below 0"),
        ({"size": [1]}, "cannot be read"),
        ({"tiles": 3}, "cannot be read"),
        ({"origin": ["x", "y"]}, "cannot be read"),
        ("nothing", "cannot be read"),
    ],
)
def test_nonsense_is_refused(change: Any, sentence: str) -> None:
    about: dict[str, Any] = {
        "size": [90, 40], "origin": [0, 0], "date": 0, "rendering": 0, "partner": None,
        "tiles": [[0, 0, 0, 90], [1, 0, 0, 45]],
    }  # fmt: skip
    info, buffer = PngInfo(), io.BytesIO()
    info.add_text(KEY, json.dumps(about | change if isinstance(change, dict) else change))
    PILImage.new("RGB", (32, 64)).save(buffer, "PNG", pnginfo=info)
    with pytest.raises(RasterError, match=sentence):
        unpacked(opened(buffer.getvalue()))


def test_pictures_of_one_turn_and_size_are_dates(tiny: Nadir) -> None:
    start, end, image = (
        tiny.processor.tokenizer.convert_tokens_to_ids(t) for t in ("<|im_start|>", "<|im_end|>", "<image>")
    )
    turns = [start, image, 9, end, start, image, image, image, end, start, image, image, end]
    small, large = (8, 8), (9, 8)
    sizes = [small, small, small, small, small, large]
    expected = [(0, None), (0, 2), (1, 1), (2, 2), (0, None), (0, None)]
    assert tiny.processor.date_pictures(turns, sizes) == expected
    with pytest.raises(SpliceError, match="6 image placeholders, but 5 images"):
        tiny.processor.date_pictures(turns, sizes[:5])
