"""The quirks and refusals of the detection and grounding sources, on tiny copies."""

from __future__ import annotations

import json

import pytest

from data_engine.sources import dior, fair1m, hrsc2016, xview
from data_engine.sources.boundary import convert_each
from data_engine.sources.referring import tidy_phrase
from tests.data_engine.tiny_copies import answers, read
from vlm.errors import DataError, GeometryError
from vlm.geometry.convert import to_hbb
from vlm.geometry.shapes import HBB, OBB
from vlm.records import Answer, Image, Sample, Turn

# The boundary, phrases


def test_a_bad_record_is_turned_away_whole_and_the_next_one_is_read():
    sample = Sample("x", (Image(path="a.png"),), (Turn("?", Answer("1", task="count")),), "count", "x")

    def convert(record: int):
        yield sample
        if record == 1:
            raise GeometryError("no box")

    seen: list[tuple[str, str, str]] = []
    kept = list(convert_each([0, 1, 2], convert, name="x", reject=lambda *words: seen.append(words)))
    assert kept == [sample, sample]
    assert seen == [("bad record", "no box", "x")]
    with pytest.raises(GeometryError):
        list(convert_each([0, 1, 2], convert, name="x", reject=None))


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("A green and brown golf field", "green and brown golf field"),
        ("The vehicle on the left of the airport.", "vehicle on the left of the airport"),
        ("Find a ground track field ,  it is large .", "ground track field , it is large"),
        ("T shaped ship", "T shaped ship"),
        ("A220 at the top", "A220 at the top"),
        ("an", "an"),
        ("Search for the red car?", "red car"),
    ],
)
def test_tidy_phrase(text, phrase):
    assert tidy_phrase(text) == phrase


@pytest.mark.parametrize("text", ["", " . ", "?"])
def test_tidy_phrase_refuses_what_names_nothing(text):
    with pytest.raises(DataError, match="names nothing"):
        tidy_phrase(text)


# Detection


def test_dior_spells_classes_out_and_reads_both_kinds_of_box(make):
    root = make("dior")
    samples = read("dior", root, "train")
    assert answers(samples)["dior/train/00001/count/expressway-service-area"] == "1"
    box = samples["dior/train/00001/ground-box/ground-track-field"].turns[0].answer.regions[0].geometry
    assert box == HBB(100, 90, 201, 150)
    turned = samples["dior/train/00001/ground-obb/airplane"].turns[0].answer
    assert turned.template == "{obb:0}"
    assert to_hbb(turned.regions[0].geometry) == HBB(10, 20, 60, 70)
    assert not any(key.endswith(("count/ship", "presence/vehicle")) for key in samples)
    assert dior.read_class("GolfField") == "golf field"


def test_dior_test_images_and_plain_folders(make):
    root = make("dior")
    (root / "ImageSets" / "Main" / "test.txt").write_text("00003\n")
    (root / "JPEGImages-trainval").rename(root / "JPEGImages")
    for folder, plain in (("Horizontal Bounding Boxes", "flat"), ("Oriented Bounding Boxes", "turned")):
        (root / "Annotations" / folder).rename(root / plain)
    (root / "Annotations").rmdir()
    (root / "flat").rename(root / "Annotations")
    samples = read("dior", root, "test")
    assert answers(samples)["dior/test/00003/count/ground-track-field"] == "1"
    assert samples["dior/test/00003/count/ground-track-field"].images[0].path == str(root / "JPEGImages" / "00003.jpg")
    assert not any("obb" in key for key in samples)


def test_dior_refuses_an_unknown_class_and_reads_on(make):
    root = make("dior")
    path = root / "Annotations" / dior.HORIZONTAL / "00001.xml"
    path.write_text(path.read_text().replace("groundtrackfield", "spaceport"))
    with pytest.raises(DataError, match=r"00001\.xml has an object of class 'spaceport'"):
        read("dior", root, "train")
    seen = []
    kept = list(dior.load(root, split="train", reject=lambda *words: seen.append(words)))
    assert {sample.id.split("/")[2] for sample in kept} == {"00002"}
    assert len(seen) == 1


def test_rsvg_numbers_count_objects_over_all_files(make):
    root = make("dior_rsvg")
    train = read("dior_rsvg", root, "train")
    assert list(train) == ["dior_rsvg/train/00001/ground-0", "dior_rsvg/train/00002/ground-2"]
    (vehicle,) = read("dior_rsvg", root, "test").values()
    assert "vehicle on the left of the airport" in vehicle.turns[0].instruction
    assert vehicle.turns[0].answer.regions[0].geometry == HBB(10.5, 10, 20, 20.25)
    (ship,) = read("dior_rsvg", root, "val").values()
    assert "T shaped {{ ship }}" in ship.turns[0].instruction


def test_rsvg_refuses_annotations_that_the_splits_do_not_number(make):
    root = make("opt_rsvg")
    (root / "Annotations" / "00001.xml").unlink()
    with pytest.raises(DataError, match="holds 3 objects, the split files number 4 from 0 to 3"):
        read("opt_rsvg", root, "train")
    (root / "split" / "val.txt").write_text("x\n")
    with pytest.raises(DataError, match="other lines than object numbers"):
        read("opt_rsvg", root, "train")


def test_fair1m_drops_the_repeated_corner_and_reads_both_parts(make):
    root = make("fair1m")
    first, second = fair1m.load_scenes(root, split="train")
    assert [region.phrase for region in first.obbs] == ["Boeing 737", "other ship"]
    assert first.obbs[0].geometry.exterior == ((60, 10), (90, 40), (60, 70), (30, 40))
    assert second.obbs[0].phrase == "ARJ21"
    assert [scene.key for scene in fair1m.load_scenes(root, split="val")] == ["fair1m/val/validation-3"]
    assert fair1m.CLASSES[:2] == ("passenger ship", "motorboat")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("<name>ARJ21</name>", "<name>Concorde</name>", "has class 'Concorde'"),
        ("<point>60.000000,10.000000</point>", "", "has 3 points"),
        ("60.000000,10.000000", "60 10", "expected x,y in pixels"),
        ("60.000000,10.000000", "nan,10", "points|finite"),
        ("</annotation>", "", "not valid XML"),
    ],
)
def test_fair1m_refuses_broken_objects(make, old, new, sentence):
    root = make("fair1m")
    path = root / "train" / "part2" / "labelXml" / "7.xml"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises((DataError, GeometryError), match=sentence):
        read("fair1m", root, "train")


def test_hrsc2016_angles_are_radians_of_the_ship_from_x_to_y(make):
    root = make("hrsc2016")
    ship, empty = hrsc2016.load_scenes(root, split="train")
    obb = ship.obbs[0].geometry
    assert isinstance(obb, OBB)
    assert (obb.cx, obb.cy, obb.w, obb.h) == (100.5, 60.25, 100, 20)
    assert obb.angle_deg == pytest.approx(45, abs=1e-3)
    assert ship.boxes[0].geometry == HBB(60, 20, 140, 100)
    assert ship.image.gsd_m == 1.07
    assert empty.boxes == ()
    assert empty.image.gsd_m is None


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("<mbox_w>100", "<mbox_w>0", "sides above 0"),
        ("<mbox_ang>0.785398</mbox_ang>", "", "<mbox_ang> holds ''"),
        ("<box_xmax>140", "<box_xmax>60", "has no area"),
    ],
)
def test_hrsc2016_refuses_broken_objects(make, old, new, sentence):
    root = make("hrsc2016")
    path = root / "FullDataSet" / "Annotations" / "100000001.xml"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataError, match=sentence):
        read("hrsc2016", root, "train")


def test_xview_leaves_out_unnamed_types_and_empty_boxes_and_doubts_parent_classes(make):
    root = make("xview")
    five, twelve = xview.load_scenes(root, split="train")
    assert [(region.phrase, region.geometry) for region in five.boxes] == [
        ("small car", HBB(10, 20, 30, 40)),
        ("building", HBB(100, 50, 205, 120)),
    ]
    assert twelve.key == "xview/train/12"
    assert len(xview.TYPES) == 60
    samples = read("xview", root, "train")
    assert "xview/train/5/count/small-car" in samples
    assert "xview/train/5/count/building" not in samples
    assert not any("presence/passenger-vehicle" in key for key in samples)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"type_id": 99}, "type_id 99"),
        ({"bounds_imcoords": "1,2,3"}, "expected x1,y1,x2,y2"),
        ({"bounds_imcoords": "1,2,3,x"}, "expected x1,y1,x2,y2"),
    ],
)
def test_xview_refuses_broken_objects(make, change, sentence):
    root = make("xview")
    path = root / "xView_train.geojson"
    content = json.loads(path.read_text())
    content["features"][0]["properties"].update(change)
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=sentence):
        read("xview", root, "train")
    path.write_text("{")
    with pytest.raises(DataError, match="cannot be read as GeoJSON"):
        read("xview", root, "train")
