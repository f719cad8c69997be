"""The sources on the real files, with the counts that their READMEs state."""

from __future__ import annotations

from collections import Counter

import pytest

from data_engine.sources import (
    SOURCES,
    dota,
    dsifn,
    epfl_roads,
    hit_uav,
    hrsid,
    isaid,
    levir_cd,
    neontree,
    oscd,
    rsicd,
    rsscn7,
    rsvqa,
    sar_ottawa,
    sztaki,
)
from vlm.geometry.convert import to_hbb
from vlm.geometry.iou import iou

COUNTS = [
    ("rsicd", "rsicd", "val", {"caption": 2900, "classify": 1094}),
    ("rsvqa", "rsvqa", "train", {"vqa": 3282, "count": 1323}),
    ("rsvqa", "rsvqa/LR", "val", {"vqa": 567, "count": 233}),
    ("rsvqa", "rsvqa/HR", "val", {"vqa": 510, "count": 191}),
    ("epfl_roads", "epfl_roads", "train", {"segment": 10}),
    ("rsscn7", "rsscn7", "all", {"classify": 112}),
]


@pytest.mark.parametrize(("name", "folder", "split", "expected"), COUNTS)
def test_samples_by_task(shared_data, name, folder, split, expected):
    assert Counter(sample.task for sample in SOURCES[name].load(shared_data / folder, split=split)) == expected


@pytest.mark.parametrize(("split", "images", "sentences"), [("train", 8734, 43668), ("val", 1094, 5469)])
def test_rsicd(shared_data, split, images, sentences):
    references = rsicd.references(shared_data / "rsicd", split=split)
    themes = rsicd.themes(shared_data / "rsicd", split=split)
    assert len(references) == len(themes) == images
    assert sum(map(len, references.values())) == sentences
    assert set(themes.values()) == set(rsicd.THEMES)
    assert not any(text.endswith((".", " ")) for texts in references.values() for text in texts)


@pytest.mark.parametrize(
    ("folder", "split", "expected"),
    [
        ("HR", "train", {"comp": 457, "presence": 368, "count": 364, "area": 211}),
        ("HR", "val", {"comp": 246, "presence": 177, "count": 191, "area": 87}),
        ("LR", "train", {"comp": 1261, "count": 959, "presence": 953, "rural_urban": 32}),
        ("LR", "val", {"comp": 325, "presence": 234, "count": 233, "rural_urban": 8}),
    ],
)
def test_rsvqa_types(shared_data, folder, split, expected):
    samples = list(rsvqa.load(shared_data / "rsvqa" / folder, split=split))
    assert Counter(rsvqa.question_type(sample.id) for sample in samples) == expected
    assert (
        len({sample.images[0] for sample in samples})
        == {"HR": {"train": 14, "val": 7}, "LR": {"train": 32, "val": 8}}[folder][split]
    )


@pytest.mark.parametrize(
    ("split", "images", "expected", "single"),
    [
        ("train", 320, {"person": 1485, "car": 744, "bicycle": 549, "other vehicle": 12}, 50),
        ("val", 80, {"person": 318, "car": 158, "bicycle": 174, "other vehicle": 4}, 23),
    ],
)
def test_hit_uav(shared_data, split, images, expected, single):
    root = shared_data / "hit_uav"
    scenes = list(hit_uav.load_scenes(root, split=split))
    assert len(scenes) == images
    assert Counter(region.phrase for scene in scenes for region in scene.boxes) == expected
    for kind in ("box", "obb"):
        assert len(list(hit_uav.single_object_samples(root, split=split, kind=kind))) == single


def test_hit_uav_oriented_boxes_fill_their_boxes(shared_data):
    """The box around each oriented box is the annotated box, up to half a pixel or so."""
    scenes = list(hit_uav.load_scenes(shared_data / "hit_uav", split="val"))
    overlaps = [
        iou(box.geometry, to_hbb(obb.geometry))
        for scene in scenes
        for box, obb in zip(scene.boxes, scene.obbs, strict=True)
    ]
    assert sum(overlaps) / len(overlaps) > 0.9


@pytest.mark.parametrize(("split", "expected"), [("train", 3), ("val", 1), ("test", 7), ("all", 11)])
def test_levir_cd_pairs(shared_data, split, expected):
    root = shared_data / "levir_dsifn_samples" / "LEVIR"
    assert len(list(levir_cd.load_scenes(root, split=split))) == expected


def test_change_pixels(shared_data):
    def changed(scenes):
        return {scene.key.rpartition("/")[2]: int(scene.changed.sum()) for scene in scenes}

    cities = changed(oscd.load_scenes(shared_data / "oscd", split="all"))
    assert cities == {"rennes": 4932, "bordeaux": 2380, "bercy": 1046}
    assert list(changed(oscd.load_scenes(shared_data / "oscd", split="val"))) == ["rennes"]
    assert changed(sztaki.load_scenes(shared_data / "sztaki_airchange", split="all")) == {"Szada-1": 24092}
    assert changed(sar_ottawa.load_scenes(shared_data / "sar_ottawa", split="all")) == {"ottawa": 16049}
    pairs = changed(dsifn.load_scenes(shared_data / "levir_dsifn_samples" / "DSIFN", split="all"))
    assert len(pairs) == 10
    assert pairs["0_2"] == 6091


def test_epfl_roads_masks_are_as_large_as_their_labels(shared_data):
    for sample in epfl_roads.load(shared_data / "epfl_roads", split="train"):
        (region,) = sample.turns[0].answer.regions
        assert 0 < region.geometry.area < 400 * 400


def test_instances(shared_data):
    found = Counter()
    for split in isaid.SPLITS:
        for scene in isaid.load_scenes(shared_data / "isaid", split=split):
            found.update(region.phrase for region in scene.boxes)
    assert found == {"large vehicle": 231, "small vehicle": 74, "storage tank": 1}
    ships = [len(scene.boxes) for scene in hrsid.load_scenes(shared_data / "hrsid_samples", split="all")]
    assert ships == [10, 122, 8, 6]


def test_dota(shared_data):
    scenes = list(dota.load_scenes(shared_data / "dota", split="all"))
    found = Counter(region.phrase for scene in scenes for region in scene.boxes)
    assert len(scenes) == 6
    assert found.total() == 694
    assert found.most_common(3) == [("ship", 531), ("large vehicle", 53), ("plane", 49)]


def test_neontree(shared_data):
    scenes = list(neontree.load_scenes(shared_data / "neontree", split="all"))
    assert (len(scenes), sum(len(scene.boxes) for scene in scenes)) == (9, 405)


def test_rsscn7_classes_are_balanced(shared_data):
    samples = rsscn7.load(shared_data / "rsscn7", split="all")
    assert set(Counter(sample.turns[0].answer.template for sample in samples).values()) == {16}
