"""Corpora made up for tests: smooth pictures that differ, their copies, and stores of samples about them."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from data_engine.__main__ import main
from data_engine.stage import StageOptions, Unit, write_stage
from data_engine.store import Ledger
from vlm.records import Answer, Image, Region, Sample, Task, Turn


def make_picture(seed: int, size: tuple[int, int] = (96, 96)) -> Picture.Image:
    """Draw blurred noise under a few rectangles: as different from one seed to the next as places are."""
    rng = np.random.default_rng(seed)
    coarse = Picture.fromarray(rng.integers(0, 255, (9, 9, 3), dtype=np.uint8))
    pixels = np.array(coarse.resize(size, Picture.Resampling.BICUBIC))
    for _ in range(6):
        x, y, w, h = rng.integers(0, size[0] - 10), rng.integers(0, size[1] - 10), *rng.integers(5, 30, 2)
        pixels[y : y + h, x : x + w] = rng.integers(0, 255, 3)
    return Picture.fromarray(pixels)


def encode(picture: Picture.Image, form: str = "PNG", **options: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def make_image(seed: int) -> Image:
    return Image(data=encode(make_picture(seed)), width=96, height=96)


def say(
    number: int | str,
    images: Image | Sequence[Image],
    text: str = "a quiet harbour with two piers",
    *,
    task: Task = "caption",
    regions: Sequence[Region] = (),
    source: str = "made",
) -> Sample:
    shown = (images,) if isinstance(images, Image) else tuple(images)
    turn = Turn("Describe the image.", Answer(text, tuple(regions), task=task))
    return Sample(f"{source}/{number}", shown, (turn,), task, source)


def store(folder: Path, samples: Sequence[Sample], *, shard: int = 4) -> Path:
    """Write samples as a store with `shard` samples a shard."""
    starts = range(0, len(samples), shard)
    units = [Unit(f"made {start}", shard, tuple(samples[start : start + shard])) for start in starts]
    write_stage("made", units, _give, folder, options=StageOptions())
    return folder


def run_verb(*words: str) -> None:
    """Run `python -m data_engine` with these words and expect that it ends well."""
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 0


def _give(unit: Unit, ledger: Ledger) -> Iterator[Sample]:
    del ledger
    yield from unit.payload
