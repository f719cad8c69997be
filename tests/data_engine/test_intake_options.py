"""`convert --option`: what one dataset or format can be told, read by its type and refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_engine.formats import FORMATS
from data_engine.intake_options import list_options, parse_options
from data_engine.sources import SOURCES
from data_engine.store import load_manifest, read_samples
from tests.data_engine.makers import write_image, write_json
from vlm.errors import DataError
from vlm.geometry.shapes import HBB

BOX = "<bndbox><xmin>11</xmin><ymin>21</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>"


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    root = tmp_path / "voc"
    write_image(root / "JPEGImages" / "a.png", (64, 48))
    (root / "Annotations").mkdir()
    (root / "Annotations" / "a.xml").write_text(f"<annotation><object><name>ship</name>{BOX}</object></annotation>")
    return root


@pytest.mark.parametrize(
    ("source", "folder"), [("voc", "Annotations"), ("voc_set", ".")], ids=["as a format", "as a dataset"]
)
@pytest.mark.parametrize(
    ("words", "left"), [((), 11), (("--option", "one_based=no"), 11), (("--option", "one_based=yes"), 10)]
)
def test_boxes_that_count_from_one(voc: Path, tmp_path: Path, run, source, folder, words, left):
    split = ("--split", "all") if source == "voc_set" else ()
    run("convert", source, voc / folder, tmp_path / "out", *split, *words)
    shapes = [r.geometry for s in read_samples(tmp_path / "out") for r in s.turns[0].answer.regions]
    assert shapes
    assert set(shapes) == {HBB(left, left + 10, 30, 40)}


def test_pixels_of_the_original_image(tmp_path: Path, run):
    write_image(tmp_path / "a.png", (1000, 700))
    said = '[{"bbox_2d": [100, 70, 200, 140], "label": "ship"}]'
    turns = [{"role": "user", "content": "<image>Where is the ship?"}, {"role": "assistant", "content": said}]
    write_json(tmp_path / "chat.json", [{"images": ["a.png"], "messages": turns}])
    frames = {}
    for option in ("original_pixels=yes", "original_pixels=no", "max_pixels=200000"):
        run("convert", "qwen", tmp_path / "chat.json", tmp_path / option, "--option", option)
        (sample,) = read_samples(tmp_path / option)
        frames[option] = sample.turns[0].answer.regions[0].geometry
        assert load_manifest(tmp_path / option).config["reading"]["original_pixels"] is (
            option == "original_pixels=yes"
        )
    assert frames["original_pixels=yes"] == HBB(100, 70, 200, 140)
    assert frames["original_pixels=no"].x2 == pytest.approx(200 * 1000 / 1008)  # multiples of 28
    assert frames["max_pixels=200000"].x2 > 350, "the image was shown at about half its size"


@pytest.mark.parametrize(
    ("source", "text", "sentence"),
    [
        ("voc", "one_base=yes", r"voc takes no option 'one_base': known are one_based \(yes or no\)"),
        ("rsicd", "one_based=yes", "rsicd takes no option 'one_based': it takes none"),
        ("store", "one_based=yes", "store takes no option 'one_based': it takes none"),
        ("voc", "one_based", "option 'one_based' has no value: write --option one_based=value"),
        ("voc", "one_based=maybe", "option one_based of voc is 'maybe': expected yes or no"),
        ("llava", "min_pixels=-4", "option min_pixels of llava is '-4': expected a whole number"),
        ("llava", "min_pixels=3.5", "expected a whole number"),
        ("llava", "=", "llava takes no option '': known are original_pixels"),
    ],
)
def test_what_is_not_taken_is_refused(source, text, sentence):
    with pytest.raises(DataError, match=sentence):
        parse_options([text], source)


def test_a_refused_option_writes_nothing(voc: Path, tmp_path: Path, refuse):
    assert "voc takes no option 'x'" in refuse("convert", "voc", voc, tmp_path / "out", "--option", "x=1")
    assert not (tmp_path / "out").exists()


def test_values_are_read_by_their_type():
    told = parse_options(["original_pixels=TRUE", "min_pixels = 784", "max_pixels=0"], "llava")
    assert told == {"original_pixels": True, "min_pixels": 784, "max_pixels": 0}


def test_detection_sets_say_whether_they_annotate_and_nobody_else_has_options():
    found = {name: list_options(name) for name in (*SOURCES, *FORMATS, "store") if list_options(name)}
    sets = {name for name in found if name in SOURCES}
    assert {"dota", "hit_uav", "isaid", "coco_set", "voc_set"} <= sets
    assert all(found[name]["annotations"] is bool for name in sets)
    assert found.keys() - sets == {"voc", "llava", "qwen"}
