"""Samples made up for tests: every kind of geometry, images by path and embedded; and strategies that draw them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from PIL import Image as Picture

from data_engine.stage import StageOptions, Unit, write_stage
from data_engine.store import Ledger
from vlm.geometry.shapes import HBB, OBB, Geometry, Mask, Polygon
from vlm.records import TASKS, Answer, Image, Region, Sample, Turn


def encode_picture(seed: int = 0, size: tuple[int, int] = (24, 16), form: str = "PNG") -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Picture.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


def make_sample(number: int, *, image: Image | None = None) -> Sample:
    """Make a detection of two objects with an instruction about a third."""
    box, mask = HBB(1, 2.5, 7, 9), Mask(np.eye(4) > 0, HBB(0, 0, 8, 4))
    answer = Answer("{ref box:0} and {seg:1}", (Region(box, "ship"), Region(mask, "quay")), task="detect")
    turn = Turn("What is beside {obb:0}?", answer, (Region(OBB(5, 5, 4, 2, 30.0), "tank"),))
    shown = image or Image(data=encode_picture(number), width=24, height=16, gsd_m=0.3, bands=("red", "green", "blue"))
    return Sample(f"made/{number:05d}", (shown,), (turn,), "detect", "made", "train", "CC0")


def make_caption(number: int, image: Image, text: str = "a { small } harbour") -> Sample:
    template = text.replace("{", "{{").replace("}", "}}")
    turn = Turn("Describe the image.", Answer(template, task="caption"))
    return Sample(f"made/{number:05d}", (image,), (turn,), "caption", "made")


def make_work(unit: Unit, ledger: Ledger) -> Iterator[Sample]:
    """Make the samples that a unit's payload (first, end) counts."""
    for number in range(*unit.payload):
        yield make_sample(number)
        ledger.tick(1)


def make_units(samples: int, size: int) -> list[Unit]:
    firsts = range(0, samples, size)
    return [Unit(f"made {first}", size, (first, min(samples, first + size))) for first in firsts]


def make_store(folder: Path, samples: int = 20, size: int = 5) -> Path:
    write_stage("made", make_units(samples, size), make_work, folder, options=StageOptions())
    return folder


def read_files(folder: Path) -> dict[str, bytes]:
    """Give every file below a folder but the ledger, which holds times."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "ledger.json")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


numbers = st.floats(-1e7, 1e7, allow_nan=False) | st.integers(-(10**6), 10**6)
lengths = st.floats(0, 1e7) | st.integers(0, 10**6)
points = st.tuples(numbers, numbers)
rings = st.lists(points, min_size=3, max_size=9).map(tuple)
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)


@st.composite
def boxes(draw: st.DrawFn) -> HBB:
    (x1, x2), (y1, y2) = sorted((draw(numbers), draw(numbers))), sorted((draw(numbers), draw(numbers)))
    return HBB(x1, y1, x2, y2)


@st.composite
def masks(draw: st.DrawFn) -> Mask:
    rows, cols = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    cells = draw(st.lists(st.booleans(), min_size=rows * cols, max_size=rows * cols))
    return Mask(np.array(cells, dtype=np.bool_).reshape(rows, cols), draw(boxes()))


geometries: st.SearchStrategy[Geometry] = st.one_of(
    boxes(),
    st.builds(OBB, numbers, numbers, lengths, lengths, st.floats(-720, 720)),
    st.builds(Polygon, rings, st.lists(rings, max_size=3).map(tuple)),
    masks(),
)
regions = st.lists(st.builds(Region, geometries, texts, st.integers(0, 3)), max_size=4).map(tuple)
facts = {
    "width": st.none() | st.integers(1, 200_000),
    "height": st.none() | st.integers(1, 200_000),
    "date": st.none() | st.just("2021-05-04"),
    "sensor": st.none() | texts,
    "bands": st.lists(texts, max_size=13).map(tuple),
    "gsd_m": st.none() | st.floats(1e-3, 1e4),
    "crs": st.none() | st.just("EPSG:32633"),
}
images = st.builds(Image, path=texts, **facts) | st.builds(Image, data=st.binary(max_size=64), **facts)
answers = st.builds(Answer, texts, regions, task=st.none() | st.sampled_from(TASKS))
samples = st.builds(
    Sample,
    texts,
    st.lists(images, max_size=3).map(tuple),
    st.lists(st.builds(Turn, texts, answers, regions), min_size=1, max_size=4).map(tuple),
    st.sampled_from(TASKS),
    texts,
    texts,
    texts,
)
