"""Written and read again, geometry is where it was, within the format's own resolution, on images of any shape."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_engine.formats import FORMATS, Reading, Writing
from data_engine.formats.spelling import NO_GEOMETRY, SPELLINGS, get_spelling, read_text, write_text
from tests.data_engine.makers import write_image
from vlm.codecs import Slot, split_template
from vlm.dialects import quantum
from vlm.geometry import HBB, OBB, Geometry, Mask, Polygon, iou, to_hbb, to_obb, to_quad
from vlm.records import Answer, Image, Region, Sample, Turn

law = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
SIZES = ((400, 200), (150, 370), (512, 512))
LABEL_STEP_PX = {"coco": 0.01, "dota_txt": 0.01, "voc": 0.01, "refgeo_jsonl": 0.01, "yolo": 1e-3}
TEXT_DIALECTS = tuple(name for name in SPELLINGS if name != NO_GEOMETRY)
fraction = st.floats(0.05, 0.95)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("round")
    for number, size in enumerate(SIZES):
        write_image(folder / "images" / f"{number}.png", size)
    return folder


def box_in(size: tuple[int, int], values: tuple[float, ...]) -> HBB:
    """Place a box of at least a tenth of the sides inside an image."""
    x, y = (value * 0.85 * side for value, side in zip(values[:2], size, strict=True))
    w, h = (0.1 * side + value * (0.9 * side - at) for value, side, at in zip(values[2:4], size, (x, y), strict=True))
    return HBB(x, y, x + w, y + h)


def obb_in(size: tuple[int, int], values: tuple[float, ...]) -> OBB:
    """Place an oriented box that lies inside an image, with sides of at least a tenth of the shorter one."""
    reach = min(size)
    w, h = (0.1 + 0.4 * values[2]) * reach, (0.1 + 0.2 * values[3]) * reach
    half = math.hypot(w, h) / 2
    cx, cy = (half + value * (side - 2 * half) for value, side in zip(values[:2], size, strict=True))
    return to_obb(OBB(cx, cy, w, h, values[4] * 360 - 180))


def sample_of(root: Path, number: int, geometry: Geometry, *, kind: str) -> Sample:
    """Ask for one object of the image of that number."""
    width, height = SIZES[number]
    image = Image(path=str(root / "images" / f"{number}.png"), width=width, height=height)
    turn = Turn("Where is it?", Answer(f"{{{kind}:0}}", (Region(geometry, "storage tank"),), task="detect"))
    return Sample("a", (image,), (turn,), "detect", "test")


def there_and_back(root: Path, name: str, sample: Sample, **options: Any) -> Sample:
    """Write one sample in a format and read it."""
    import shutil

    out = root / ("out" if name in ("dota_txt", "yolo", "voc") else f"out-{name}.json")
    shutil.rmtree(out, ignore_errors=True)
    dialect = options.get("dialect")
    assert FORMATS[name].write([sample], out, Writing(images=root / "images", dialect=dialect)) == 1
    return next(FORMATS[name].load(out, Reading(images=root / "images", **options)))


def furthest_corner(a: Geometry, b: Geometry) -> float:
    """Give the largest corner distance under the best order of corners."""
    first, second = np.array(to_quad(a)), np.array(to_quad(b))
    orders = [np.roll(ring, k, axis=0) for ring in (second, second[::-1]) for k in range(4)]
    return min(float(np.hypot(*(first - ring).T).max()) for ring in orders)


def corner_slack(dialect: str, size: tuple[int, int], obb: OBB) -> float:
    """Bound how far a corner can move when centre, sides and angle each move by one quantum."""
    step = quantum(dialect, size)
    turn = math.radians(step.angle_deg) * math.hypot(obb.w, obb.h) / 2
    return math.hypot(step.x_px, step.y_px) + step.length_px + turn + 1e-6


@pytest.mark.parametrize("name", ["llava", "qwen"])
@pytest.mark.parametrize("dialect", TEXT_DIALECTS)
@law
@given(number=st.integers(0, 2), values=st.tuples(*[fraction] * 4))
def test_boxes_in_chat_files(root, name, dialect, number, values):
    box = box_in(SIZES[number], values)
    back = there_and_back(root, name, sample_of(root, number, box, kind="box"), dialect=dialect)
    read = to_hbb(back.turns[0].answer.regions[0].geometry)
    step = quantum(get_spelling(dialect).dialect, SIZES[number])
    assert max(abs(read.x1 - box.x1), abs(read.x2 - box.x2)) <= step.x_px * (1 + 1e-6)
    assert max(abs(read.y1 - box.y1), abs(read.y2 - box.y2)) <= step.y_px * (1 + 1e-6)


@pytest.mark.parametrize("dialect", ["geochat", "earthdial", "geoground", "nadir", "rscovlm"])
@law
@given(number=st.integers(0, 2), values=st.tuples(*[fraction] * 5))
def test_oriented_boxes_in_chat_files(root, dialect, number, values):
    obb = obb_in(SIZES[number], values)
    back = there_and_back(root, "llava", sample_of(root, number, obb, kind="obb"), dialect=dialect)
    (region,) = back.turns[0].answer.regions
    spelled = get_spelling(dialect).dialect
    assert isinstance(region.geometry, OBB)
    assert furthest_corner(region.geometry, obb) <= corner_slack(spelled, SIZES[number], obb)


@pytest.mark.parametrize("dialect", ["teochat", "qwen2", "internvl", "vrsbench"])
@law
@given(number=st.integers(0, 2), values=st.tuples(*[fraction] * 5))
def test_systems_without_oriented_boxes_get_the_box_around(root, dialect, number, values):
    obb = obb_in(SIZES[number], values)
    back = there_and_back(root, "llava", sample_of(root, number, obb, kind="obb"), dialect=dialect)
    read = back.turns[0].answer.regions[0].geometry
    assert isinstance(read, HBB)
    step, around = quantum(get_spelling(dialect).dialect, SIZES[number]), to_hbb(obb)
    assert max(abs(read.x1 - around.x1), abs(read.x2 - around.x2)) <= step.x_px * (1 + 1e-6)
    assert max(abs(read.y1 - around.y1), abs(read.y2 - around.y2)) <= step.y_px * (1 + 1e-6)


@pytest.mark.parametrize("name", LABEL_STEP_PX)
@law
@given(number=st.integers(0, 2), values=st.tuples(*[fraction] * 4))
def test_boxes_in_label_files(root, name, number, values):
    box = box_in(SIZES[number], values)
    back = there_and_back(root, name, sample_of(root, number, box, kind="box"))
    (region,) = back.turns[0].answer.regions
    read = to_hbb(region.geometry)
    off = max(abs(getattr(read, side) - getattr(box, side)) for side in ("x1", "y1", "x2", "y2"))
    assert off <= LABEL_STEP_PX[name] + 1e-9
    assert region.phrase == "storage tank"
    assert (back.images[0].width, back.images[0].height) == SIZES[number]


@pytest.mark.parametrize("name", ["coco", "dota_txt", "voc", "yolo"])
@law
@given(number=st.integers(0, 2), values=st.tuples(*[fraction] * 5))
def test_oriented_boxes_in_label_files(root, name, number, values):
    obb = obb_in(SIZES[number], values)
    back = there_and_back(root, name, sample_of(root, number, obb, kind="obb"))
    read = back.turns[0].answer.regions[0].geometry
    assert furthest_corner(read, obb) <= 2 * LABEL_STEP_PX[name] + 1e-9


@pytest.mark.parametrize("name", ["coco", "dota_txt", "voc", "yolo"])
def test_images_in_folders_and_embedded_ones_are_found_again(tmp_path, name):
    """Two files of one name in two folders, and one that the sample carries with it."""
    box, samples = HBB(10, 20, 110, 70), []
    for number, folder in enumerate(("train", "val")):
        path = tmp_path / "set" / folder / "same.png"
        write_image(path, (200, 100), seed=number)
        image = Image(path=str(path), width=200, height=100)
        turn = Turn("Where is it?", Answer("{box:0}", (Region(box, f"ship {number}"),), task="detect"))
        samples.append(Sample(folder, (image,), (turn,), "detect", "test"))
    write_image(tmp_path / "inside.png", (200, 100), seed=2)
    image = Image(data=(tmp_path / "inside.png").read_bytes(), width=200, height=100)
    samples.append(Sample("c", (image,), (samples[0].turns[0],), "detect", "test"))
    out = tmp_path / "out" / ("a.json" if name == "coco" else "")
    assert FORMATS[name].write(samples, out, Writing(images=tmp_path / "set")) == 3
    seen: list[Exception] = []
    found = list(FORMATS[name].load(out, Reading(images=tmp_path / "set", on_error=seen.append)))
    assert [Path(sample.images[0].path).parent.name for sample in found] == ["train", "val"]
    assert [sample.turns[0].answer.regions[0].phrase for sample in found] == ["ship 0", "ship 1"]
    assert len(seen) == 1
    (embedded,) = FORMATS[name].load(out, Reading(on_error=seen.append))
    assert Path(embedded.images[0].path).read_bytes() == image.data
    assert [to_hbb(region.geometry) for region in embedded.turns[0].answer.regions] == [box]


@law
@given(
    number=st.integers(0, 2),
    values=st.tuples(*[fraction] * 2),
    cells=st.lists(st.booleans(), min_size=30, max_size=30).filter(any),
)
def test_masks_in_coco_are_exact(root, number, values, cells):
    """With holes or without, in one part or several: every pixel comes back."""
    bits = np.array(cells).reshape(5, 6)
    bits = np.repeat(np.repeat(bits, 3, axis=0), 4, axis=1)
    x, y = (int(value * (side - 40)) for value, side in zip(values, SIZES[number], strict=True))
    mask = Mask(bits, HBB(x, y, x + bits.shape[1], y + bits.shape[0]))
    back = there_and_back(root, "coco", sample_of(root, number, mask, kind="seg"))
    read = back.turns[0].answer.regions[0].geometry
    assert iou(read, mask) == pytest.approx(1.0)


@law
@given(number=st.integers(0, 2), values=st.lists(st.tuples(fraction, fraction), min_size=3, max_size=3, unique=True))
def test_outlines_in_yolo_and_coco(root, number, values):
    width, height = SIZES[number]
    outline = Polygon(tuple((x * width, y * height) for x, y in values))
    if iou(outline, outline) == 0 or to_hbb(outline).area < 4:
        return
    for name in ("yolo", "coco"):
        back = there_and_back(root, name, sample_of(root, number, outline, kind="poly"))
        read = back.turns[0].answer.regions[0].geometry
        assert isinstance(read, Polygon)
        nearest = [min(math.dist(point, other) for other in read.exterior) for point in outline.exterior]
        assert max(nearest) <= 0.02


@pytest.mark.parametrize("dialect", ["earthdial", "teochat", "vhm", "qwen2", "internvl", "geochat", "qwen3"])
@law
@given(
    words=st.lists(
        st.sampled_from(["a ship", "two [A]", "{small}", "3 of 4", "x < y", "]a", "and"]), min_size=1, max_size=5
    ),
    count=st.integers(1, 4),
)
def test_spellings_keep_the_words_around(dialect, words, count):
    """What is between the boxes comes back letter by letter, and the text is the same when it is written again."""
    spelling = get_spelling(dialect)
    size = (400, 200)
    regions = tuple(Region(HBB(20 * n, 10 * n, 20 * n + 40, 10 * n + 40)) for n in range(count))
    slot = f"{{box:{','.join(map(str, range(count)))}}}"
    template = f" {slot} ".join(word.replace("{", "{{").replace("}", "}}") for word in words)
    text = write_text(template, regions, spelling, sizes=[size], resized=None)
    parsed = read_text(text, spelling, sizes=[size], resized=None, where="here")
    again = write_text(parsed.template, parsed.regions, spelling, sizes=[size], resized=None)
    assert again == text
    kept = [piece for piece in split_template(parsed.template) if not isinstance(piece, Slot)]
    assert "".join(kept).replace(" ", "").replace(",", "") == "".join(words).replace(" ", "").replace(",", "")
    assert len(parsed.regions) == count * (len(words) - 1)
