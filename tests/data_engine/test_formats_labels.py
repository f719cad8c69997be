"""COCO, DOTA, YOLO and VOC: real layouts, every kind of geometry, and what each one refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_engine.formats import FORMATS, Reading, coco, dota_txt, voc, yolo
from data_engine.formats.labelled import Labelled
from tests.data_engine.makers import write_image
from vlm.errors import DataError
from vlm.geometry import HBB, OBB, Mask, Polygon
from vlm.records import Sample

SIZE = (400, 200)
SQUARE = [100.0, 50.0, 140.0, 50.0, 140.0, 90.0, 100.0, 90.0]


def geometries(labelled: Labelled) -> list[tuple[str, Any]]:
    return [(region.phrase, region.geometry) for region in labelled.regions]


# COCO


@pytest.fixture
def write_coco(tmp_path: Path) -> Callable[..., Path]:
    write_image(tmp_path / "a.png", SIZE)

    def write(*annotations: dict[str, Any], **changes: Any) -> Path:
        content = {
            "images": [{"id": 5, "file_name": "a.png", "width": 400, "height": 200}],
            "categories": [{"id": 1, "name": "ship"}, {"id": 9, "name": "storage tank"}],
            "annotations": [
                {"id": n, "image_id": 5, "category_id": 1, "iscrowd": 0} | one for n, one in enumerate(annotations)
            ],
        }
        path = tmp_path / "instances.json"
        path.write_text(json.dumps(content | changes))
        return path

    return write


def read_coco(path: Path) -> list[tuple[str, Any]]:
    (labelled,) = coco.read_labels(coco.load_file(path), Reading())
    return geometries(labelled)


def test_coco_boxes_polygons_and_empty_segmentations(write_coco):
    path = write_coco(
        {"bbox": [100, 50, 40, 40], "segmentation": []},
        {"bbox": [100, 50, 40, 40], "segmentation": [SQUARE], "category_id": 9},
        {"bbox": [100, 50, 40, 40], "segmentation": [[100, 50, 140, 50, 140, 90]]},
        {"bbox": [380.5, 190, 30, 20]},
    )
    assert read_coco(path) == [
        ("ship", HBB(100, 50, 140, 90)),
        ("storage tank", HBB(100, 50, 140, 90)),
        ("ship", Polygon(((100, 50), (140, 50), (140, 90)))),
        ("ship", HBB(380.5, 190, 410.5, 210)),
    ]


def test_coco_run_lengths_are_read_like_pycocotools(write_coco):
    from pycocotools import mask as reference

    bits = np.zeros((200, 400), np.uint8, order="F")
    bits[20:60, 300:310] = 1
    bits[30:40, 303:306] = 0
    packed = reference.encode(bits)
    counts = np.diff(np.flatnonzero(np.diff(np.r_[2, bits.T.ravel(), 2])))
    listed = {"size": [200, 400], "counts": counts.tolist()}
    for runs in ({"size": [200, 400], "counts": packed["counts"].decode()}, listed):
        ((_, mask),) = read_coco(write_coco({"bbox": [300, 20, 10, 40], "segmentation": runs}))
        assert isinstance(mask, Mask)
        assert mask.box == HBB(300, 20, 310, 60)
        assert np.array_equal(mask.bits, bits[20:60, 300:310].astype(bool))


def test_coco_objects_of_several_parts_are_one_mask(write_coco):
    far = [value + 100 if n % 2 == 0 else value for n, value in enumerate(SQUARE)]
    ((_, mask),) = read_coco(write_coco({"bbox": [100, 50, 140, 40], "segmentation": [SQUARE, far]}))
    assert isinstance(mask, Mask)
    assert mask.box == HBB(100, 50, 240, 90)
    assert mask.area == 2 * 40 * 40


def test_coco_crowds_are_no_objects_and_leave_their_class_out(write_coco):
    runs = {"size": [200, 400], "counts": [0, 80_000]}
    path = write_coco(
        {"bbox": [0, 0, 400, 200], "segmentation": runs, "iscrowd": 1},
        {"bbox": [100, 50, 40, 40], "category_id": 9},
    )
    (labelled,) = coco.read_labels(coco.load_file(path), Reading())
    assert (geometries(labelled), labelled.groups) == ([("storage tank", HBB(100, 50, 140, 90))], ("ship",))
    (sample,) = coco.load(path, Reading())
    assert "ship" not in sample.turns[0].instruction
    assert [region.phrase for region in sample.turns[0].answer.regions] == ["storage tank"]


@pytest.mark.parametrize(
    ("annotation", "sentence"),
    [
        ({"bbox": [10, 20, 0, 5]}, "both sides > 0"),
        ({"bbox": [10, 20, 30]}, "both sides > 0"),
        ({"bbox": ["a", 0, 1, 1]}, "both sides > 0"),
        ({}, "has bbox None"),
        ({"bbox": [500, 20, 30, 40]}, "outside its image of 400 x 200 px"),
        ({"bbox": [10, 20, 30, 40], "category_id": 4}, "category_id 4: known are 1, 9"),
        ({"segmentation": [[1, 2, 3, 4]]}, "at least three points"),
        ({"segmentation": {"size": [400, 200], "counts": [80_000]}}, r"expected \[200, 400\]"),
        ({"segmentation": {"size": [200, 400], "counts": [10, 20]}}, "add up to 30: expected 200 x 400 = 80000 pixels"),
        ({"segmentation": {"size": [200, 400], "counts": [80_000]}}, "without a single pixel"),
        ({"segmentation": {"size": [200, 400], "counts": None}}, "whole numbers or a string"),
        ({"segmentation": {"size": [200, 400], "counts": [0.5, 79_999.5]}}, "whole numbers or a string"),
        ({"segmentation": {"size": [200, 400], "counts": [80_010, -10]}}, "whole numbers or a string"),
        ({"segmentation": {"size": [200, 400], "counts": "9"}}, "add up to 9: expected 200 x 400 = 80000 pixels"),
        ({"segmentation": {"size": [200, 400], "counts": ""}}, "add up to 0: expected 200 x 400 = 80000 pixels"),
        ({"segmentation": {"size": [200, 400], "counts": "é"}}, "a character that packs nothing"),
        ({"segmentation": {"size": [200, 400], "counts": "5P"}}, "break off in the middle of a number"),
    ],
)
def test_coco_bad_annotations_cost_their_image_and_nothing_else(write_coco, annotation, sentence):
    path = write_coco(annotation)
    content = json.loads(path.read_text())
    write_image(path.parent / "b.png", SIZE)
    content["images"].append({"id": 6, "file_name": "b.png"})
    content["annotations"].append({"id": 77, "image_id": 6, "category_id": 9, "bbox": [1, 2, 3, 4]})
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=sentence):
        list(coco.load(path, Reading()))
    seen: list[str] = []
    (sample,) = coco.load(path, Reading(on_error=lambda error: seen.append(str(error))))
    assert Path(sample.images[0].path).name == "b.png"
    assert len(seen) == 1
    assert "image 5 annotation 0" in seen[0]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"images": [{"id": 5, "file_name": "gone.png"}]}, "gone.png, which is not at"),
        ({"images": [{"id": 5, "file_name": "a.png", "width": 200, "height": 400}]}, "stated as 200 x 400 px"),
        ({"images": [{"id": 5}]}, "has no file_name"),
        ({"images": {}}, "no list 'images'"),
        ({"categories": [{"id": 1}]}, "expected an id and a name"),
        ({"annotations": [{"id": 3, "image_id": 99}]}, "whose image is not listed"),
    ],
)
def test_coco_files_that_do_not_fit_together(write_coco, changes, sentence):
    with pytest.raises(DataError, match=sentence):
        list(coco.load(write_coco(**changes), Reading()))


# DOTA


@pytest.fixture
def dota_root(tmp_path: Path) -> Path:
    write_image(tmp_path / "images" / "P1.png", SIZE)
    write_image(tmp_path / "images" / "P2.png", (200, 400))
    (tmp_path / "labelTxt").mkdir()
    text = "imagesource:GoogleEarth\ngsd:0.5\n-5 20 30 20 30 40 -5 40 dry-cargo-ship 0\n10 10 50 20 48 30 8 20 plane\n"
    (tmp_path / "labelTxt" / "P1.txt").write_text(text)
    (tmp_path / "labelTxt" / "P2.txt").write_text("")
    return tmp_path


def test_dota_reads_any_class_and_corners_outside(dota_root):
    for path in (dota_root, dota_root / "labelTxt"):
        first, second = dota_txt.read_labels(path, Reading())
        assert geometries(first)[0] == ("dry cargo ship", Polygon(((-5, 20), (30, 20), (30, 40), (-5, 40))))
        assert second.regions == ()
    samples = list(dota_txt.load(dota_root, Reading()))
    assert [turn.answer.task for turn in samples[0].turns] == ["detect", "detect"]
    assert samples[1].turns[0].answer.template == "none"
    assert "dry cargo ship, plane" in samples[1].turns[0].instruction


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("1 2 3 4 5 6 plane 0", "expected eight numbers"),
        ("1 2 3 4 5 6 7 plane 0", "are not numbers"),
        ("1 2 3 4 5 6 7 x plane 0", "are not numbers"),
        ("1 2 3 4 5 6 7 nan plane 0", "are not finite"),
        ("500 2 510 2 510 9 500 9 plane 0", "outside its image"),
        ("1 2 1 2 1 2 1 2 plane 0", "covers no area"),
        ("\x00", "expected eight numbers"),
    ],
)
def test_dota_bad_lines(dota_root, line, sentence):
    (dota_root / "labelTxt" / "P1.txt").write_text(line)
    seen: list[str] = []
    left = list(dota_txt.load(dota_root, Reading(names=("plane",), on_error=lambda error: seen.append(str(error)))))
    assert [sample.id for sample in left] == ["dota_txt/train/P2/objects"]
    assert len(seen) == 1
    with pytest.raises(DataError, match=sentence):
        list(dota_txt.load(dota_root, Reading()))


# YOLO


@pytest.fixture
def yolo_root(tmp_path: Path) -> Path:
    write_image(tmp_path / "images" / "train" / "a.jpg", SIZE)
    write_image(tmp_path / "images" / "val" / "b.jpg", SIZE)
    write_image(tmp_path / "images" / "val" / "unlabelled.jpg", SIZE)
    for name, text in (("train/a", "0 0.5 0.5 0.5 0.5\n1 0.25 0.25 0.35 0.25 0.35 0.45 0.25 0.45\n"), ("val/b", "")):
        (tmp_path / "labels" / name).parent.mkdir(parents=True)
        (tmp_path / "labels" / f"{name}.txt").write_text(text)
    (tmp_path / "data.yaml").write_text("path: .\ntrain: images/train\nnames:\n  0: ship\n  1: storage tank\n")
    return tmp_path


def test_yolo_reads_boxes_oriented_boxes_and_polygons(yolo_root):
    (yolo_root / "labels" / "val" / "b.txt").write_text("1 0 0 0.5 0 0.5 0.5")
    for path in (yolo_root, yolo_root / "labels", yolo_root / "data.yaml"):
        first, second = yolo.read_labels(path, Reading())
        assert geometries(first) == [
            ("ship", HBB(100, 50, 300, 150)),
            ("storage tank", Polygon(((100, 50), (140, 50), (140, 90), (100, 90)))),
        ]
        assert geometries(second) == [("storage tank", Polygon(((0, 0), (200, 0), (200, 100))))]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("data.yaml", "names: [ship, storage tank]"),
        ("dota.yml", "names:\n- ship\n- storage tank"),
        ("classes.txt", "ship\nstorage tank\n"),
        ("obj.names", "ship\nstorage tank\n"),
    ],
)
def test_yolo_finds_its_names(yolo_root, file, text):
    (yolo_root / "data.yaml").unlink()
    (yolo_root / file).write_text(text)
    assert yolo.load_classes(yolo_root, Reading()) == ("ship", "storage tank")
    assert yolo.load_classes(yolo_root, Reading(names=("a",))) == ("a",)


def test_yolo_without_names_is_refused(yolo_root):
    (yolo_root / "data.yaml").unlink()
    with pytest.raises(DataError, match=r"no class names: expected data\.yaml"):
        list(yolo.load(yolo_root, Reading()))
    (yolo_root / "data.yaml").write_text("names: {0: a, 2: b}")
    with pytest.raises(DataError, match="expected 0, 1, 2"):
        list(yolo.load(yolo_root, Reading()))
    (yolo_root / "data.yaml").write_text("names: [")
    with pytest.raises(DataError, match="not valid YAML"):
        list(yolo.load(yolo_root, Reading()))


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("2 0.5 0.5 0.5 0.5", r"class 2: known are 0 to 1 \(ship, storage tank\)"),
        ("-1 0.5 0.5 0.5 0.5", "class -1"),
        ("0 0.5 0.5 0.5 0.5 0.9", "with a confidence"),
        ("0 0.5 0.5 0.5", "has 3 numbers"),
        ("0 200 100 50 50", "divided by the image's width"),
        ("0 0.5 0.5 x 0.5", "expected a class number and numbers"),
        ("0 0.5 0.5 nan 0.5", "divided by"),
        ("0 0.5 0.5 0 0.5", "covers no area"),
        ("0 1.5 0.5 0.2 0.2", "outside its image"),
    ],
)
def test_yolo_bad_lines(yolo_root, line, sentence):
    (yolo_root / "labels" / "train" / "a.txt").write_text(line)
    with pytest.raises(DataError, match=sentence):
        list(yolo.load(yolo_root, Reading()))
    seen: list[DataError] = []
    (left,) = yolo.load(yolo_root, Reading(on_error=seen.append))
    assert left.id == "yolo/train/val/b/objects"
    assert len(seen) == 1


# VOC


def voc_xml(objects: str, *, size: tuple[int, int] = SIZE, filename: str = "a.jpg") -> str:
    stated = f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>"
    return f"<annotation><filename>{filename}</filename>{stated}{objects}</annotation>"


def voc_object(name: str, box: tuple[float, float, float, float]) -> str:
    sides = "".join(
        f"<{side}>{value}</{side}>" for side, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    )
    return f"<object><name>{name}</name><bndbox>{sides}</bndbox></object>"


@pytest.fixture
def voc_root(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        write_image(tmp_path / "JPEGImages" / f"{name}.jpg", SIZE)
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations" / "a.xml").write_text(voc_xml(voc_object("ship", (1, 1, 400, 200))))
    (tmp_path / "Annotations" / "b.xml").write_text(voc_xml("", filename="no such file", size=(0, 0)))
    return tmp_path


def test_voc_corners_count_from_zero_or_one(voc_root):
    first, second = voc.read_labels(voc_root, Reading())
    assert geometries(first) == [("ship", HBB(1, 1, 400, 200))]
    assert Path(second.image.path).name == "b.jpg"
    first, _ = voc.read_labels(voc_root, Reading(one_based=True))
    assert geometries(first) == [("ship", HBB(0, 0, 400, 200))]


def test_voc_oriented_boxes_of_both_kinds(voc_root):
    names = [f"{axis}_{at}" for at in ("left_top", "right_top", "right_bottom", "left_bottom") for axis in "xy"]
    corners = "".join(f"<{name}>{value}</{name}>" for name, value in zip(names, SQUARE, strict=True))
    turned = "<cx>200</cx><cy>100</cy><w>60</w><h>20</h><angle>0.5235987755982988</angle>"
    text = "".join(f"<object><name>x</name><robndbox>{one}</robndbox></object>" for one in (corners, turned))
    (voc_root / "Annotations" / "a.xml").write_text(voc_xml(text))
    first, _ = voc.read_labels(voc_root, Reading())
    (_, quad), (_, obb) = geometries(first)
    assert quad == Polygon(tuple(zip(SQUARE[::2], SQUARE[1::2], strict=True)))
    assert isinstance(obb, OBB)
    assert (obb.w, obb.h, obb.angle_deg) == pytest.approx((60, 20, 30))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (voc_xml(voc_object("ship", (300, 20, 100, 40))), "has no area: expected xmin < xmax"),
        (voc_xml(voc_object("ship", (10, 60, 100, 40))), "has no area"),
        (voc_xml(voc_object("ship", (500, 20, 600, 40))), "outside its image"),
        (voc_xml(voc_object("", (10, 20, 30, 40))), "object 1 has no name"),
        (voc_xml("<object><name>x</name></object>"), "expected a number"),
        (voc_xml("", size=(200, 400)), "states an image of 200 x 400 px"),
        ("<annotation>", "not valid XML"),
    ],
)
def test_voc_bad_files(voc_root, text, sentence):
    (voc_root / "Annotations" / "a.xml").write_text(text)
    with pytest.raises(DataError, match=sentence):
        list(voc.load(voc_root, Reading(names=("ship",))))
    seen: list[DataError] = []
    (left,) = voc.load(voc_root, Reading(names=("ship",), on_error=seen.append))
    assert left.id == "voc/train/b/objects"
    assert len(seen) == 1


@pytest.mark.parametrize("name", ["coco", "dota_txt", "yolo", "voc"])
def test_missing_things_are_named(tmp_path, name):
    with pytest.raises(DataError, match=r"nowhere does not exist|has no class names"):
        list(FORMATS[name].load(tmp_path / "nowhere", Reading()))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds no \.|cannot be read|has no class names"):
        list(FORMATS[name].load(tmp_path / "empty", Reading()))


def test_samples_say_where_they_come_from(voc_root):
    reading = Reading(source="ours", split="val", licence="CC0")
    samples: list[Sample] = list(voc.load(voc_root, reading))
    assert {(sample.source, sample.split, sample.licence) for sample in samples} == {("ours", "val", "CC0")}
    assert [sample.id for sample in samples] == ["ours/val/a/objects", "ours/val/b/objects"]
