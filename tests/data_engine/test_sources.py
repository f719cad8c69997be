"""One contract for all sources, on tiny copies in the original layouts; then each source's quirks and refusals."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from data_engine.sources import SOURCES, dota, find_source, hit_uav, levir_cd, neontree, oscd, rsicd, rsvqa
from data_engine.sources.source import describe_image
from tests.data_engine.makers import MAKERS, make_hit_uav, make_rsicd, make_rsvqa, write_image
from vlm.codecs import parse_text, render_text
from vlm.errors import DataError
from vlm.geometry.convert import to_hbb
from vlm.geometry.shapes import HBB, Mask
from vlm.records import Sample


@pytest.fixture(params=sorted(SOURCES))
def tiny(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path, str]:
    make, split = MAKERS[request.param]
    root = tmp_path / request.param
    root.mkdir()
    make(root)
    return request.param, root, split


def read_all(tiny: tuple[str, Path, str], seed: int = 0) -> list[Sample]:
    name, root, split = tiny
    return list(SOURCES[name].load(root, split=split, seed=seed))


def test_samples_are_complete_records(tiny):
    samples = read_all(tiny)
    source = SOURCES[tiny[0]]
    assert samples
    assert len({sample.id for sample in samples}) == len(samples)
    for sample in samples:
        assert (sample.source, sample.split, sample.licence) == (source.name, tiny[2], source.licence)
        assert len(sample.images) == (2 if sample.task == "change" else 1)
        assert all(image.width and image.height for image in sample.images)
        for turn in sample.turns:
            assert turn.instruction.strip()
            assert turn.answer.template
            assert turn.answer.template == turn.answer.template.strip().rstrip(".")


def test_answers_render_and_read_back(tiny):
    for sample in read_all(tiny):
        sizes = [(image.width, image.height) for image in sample.images]
        for turn in sample.turns:
            render_text(turn.instruction, turn.regions, sizes=sizes)
            text = render_text(turn.answer.template, turn.answer.regions, sizes=sizes)
            parsed = parse_text(text, sizes=sizes)
            used = "{" in turn.answer.template.replace("{{", "")
            assert len(parsed.regions) == (len(turn.answer.regions) if used else 0), text


def test_regions_touch_their_image(tiny):
    for sample in read_all(tiny):
        for turn in sample.turns:
            for region in (*turn.regions, *turn.answer.regions):
                image, box = sample.images[region.image], to_hbb(region.geometry)
                assert box.x1 < image.width
                assert box.y1 < image.height
                assert box.x2 > 0
                assert box.y2 > 0


def test_reading_is_deterministic_and_the_seed_only_rewords(tiny):
    first, again, other = read_all(tiny), read_all(tiny), read_all(tiny, seed=5)
    assert first == again
    same_task = {(sample.task, image) for sample in first for image in sample.images if image.path}
    assert same_task == {(sample.task, image) for sample in other for image in sample.images if image.path}


def test_reading_is_lazy(tiny):
    name, root, split = tiny
    samples = SOURCES[name].load(root, split=split)
    assert next(samples).source == name


def test_unknown_split_lists_the_known_ones(tiny):
    name, root, _ = tiny
    with pytest.raises(DataError, match=f"{name} has no split 'nonsense': known are .*{SOURCES[name].splits[-1]}"):
        list(SOURCES[name].load(root, split="nonsense"))


def test_missing_folder_says_what_is_expected_and_where_to_get_it(tiny, tmp_path):
    name, _, split = tiny
    with pytest.raises(DataError, match=r"expected .* (comes?|they come) from https?://") as caught:
        list(SOURCES[name].load(tmp_path / "nowhere", split=split))
    assert "nowhere" in str(caught.value)


def test_missing_image_is_refused_by_name(tiny):
    name, root, split = tiny
    pictures = sorted(path for path in root.rglob("*") if path.suffix.lower() in (".jpg", ".png", ".tif", ".bmp"))
    if not pictures:
        pytest.skip("its images lie in other files")
    victim = next(path for path in pictures if "abel" not in str(path) and "_instance_" not in path.name)
    victim.write_bytes(b"not an image")
    with pytest.raises(DataError, match=victim.name.replace(".", r"\.")):
        list(SOURCES[name].load(root, split=split if name != "levir_cd" else "all"))


def test_every_source_states_licence_citation_and_layout():
    assert set(MAKERS) == set(SOURCES)
    for name, source in SOURCES.items():
        assert source.name == name
        assert source.licence
        assert source.citation
        assert "http" in source.layout


def test_unknown_source_lists_the_known_ones():
    with pytest.raises(DataError, match="no source 'rsicdd': known are rsicd, rsvqa"):
        find_source("rsicdd")


# RSICD


@pytest.fixture
def rsicd_root(tmp_path: Path) -> Path:
    make_rsicd(tmp_path)
    return tmp_path


def test_rsicd_keeps_distinct_sentences_and_all_references(rsicd_root):
    samples = list(rsicd.load(rsicd_root, split="train"))
    captions = [sample.turns[0].answer.template for sample in samples if sample.task == "caption"]
    assert captions == ["two planes are here", "a {{ grey }} runway", "a football field"]
    assert rsicd.references(rsicd_root, split="train") == {
        "airport_1.jpg": ["two planes are here", "two planes are here", "a { grey } runway"],
        "00002.jpg": ["a football field"],
    }
    assert rsicd.themes(rsicd_root, split="val") == {"bridge_3.jpg": "bridge"}


def test_rsicd_works_without_the_theme_file(rsicd_root):
    (rsicd_root / "rsicd_vqa.txt").unlink()
    assert {sample.task for sample in rsicd.load(rsicd_root, split="train")} == {"caption"}


def test_rsicd_refuses_broken_records(rsicd_root):
    with (rsicd_root / "rsicd_vqa.txt").open("a") as lines:
        lines.write("00002.jpg:what is the theme of this picture?spaceport\n")
    with pytest.raises(DataError, match=r"line 4 .*spaceport"):
        list(rsicd.load(rsicd_root, split="train"))
    path = rsicd_root / "dataset_rsicd.json"
    path.write_text(path.read_text()[:-20])
    with pytest.raises(DataError, match="not valid JSON"):
        list(rsicd.load(rsicd_root, split="train"))
    path.write_text(json.dumps({"images": [{"filename": "a.jpg"}]}))
    with pytest.raises(DataError, match="entry 0"):
        list(rsicd.load(rsicd_root, split="train"))
    path.write_text(json.dumps({"images": []}))
    with pytest.raises(DataError, match="no images of the split 'test'"):
        list(rsicd.load(rsicd_root, split="test"))


# RSVQA


def test_rsvqa_joins_by_id_and_skips_inactive(tmp_path):
    make_rsvqa(tmp_path)
    samples = {sample.id: sample for sample in rsvqa.load(tmp_path, split="train")}
    answers = {key: sample.turns[0].answer.template for key, sample in samples.items()}
    assert answers == {
        "rsvqa-lr/train/00000/rural_urban": "rural",
        "rsvqa-lr/train/00001/count": "17",
        "rsvqa-hr/train/00000/area": "more than 1000m2",
        "rsvqa-hr/train/00001/presence": "yes",
        "rsvqa-hr/train/00002/comp": "no",
    }
    assert {rsvqa.question_type(key) for key in samples} == set(rsvqa.TYPES)
    assert samples["rsvqa-lr/train/00001/count"].task == "count"
    assert samples["rsvqa-lr/train/00001/count"].images[0].gsd_m == 10.0
    assert len(list(rsvqa.load(tmp_path / "HR", split="train"))) == 3


def test_rsvqa_refuses_a_question_without_answer(tmp_path):
    make_rsvqa(tmp_path)
    path = tmp_path / "LR" / "LR_split_train_answers.json"
    path.write_text(json.dumps({"answers": [{"id": 100, "answer": "rural"}]}))
    with pytest.raises(DataError, match=r"question 1 points at answers \[101\]"):
        list(rsvqa.load(tmp_path, split="train"))
    with pytest.raises(DataError, match="does not end with one of"):
        rsvqa.question_type("rsvqa-lr/train/00000/colour")


@pytest.mark.parametrize(
    ("raw", "bucket"),
    [
        ("0m2", "0m2"),
        ("1m2", "1-10m2"),
        ("10m2", "1-10m2"),
        ("11m2", "11-100m2"),
        ("1000m2", "101-1000m2"),
        ("1001m2", "more than 1000m2"),
    ],
)
def test_rsvqa_buckets(raw, bucket):
    assert rsvqa.bucket_area(raw) == bucket
    assert rsvqa.bucket_count(raw.removesuffix("m2")) == bucket.replace("m2", "")


@pytest.mark.parametrize("garbage", ["", "m2", "-3", "a lot", "²"])
def test_rsvqa_refuses_garbage_numbers(garbage):
    with pytest.raises(DataError, match="no count and no area"):
        rsvqa.bucket_area(garbage)


# HIT-UAV


@pytest.fixture
def hit_uav_root(tmp_path: Path) -> Path:
    make_hit_uav(tmp_path)
    return tmp_path


def test_hit_uav_reads_both_geometries(hit_uav_root):
    first, second, third = hit_uav.load_scenes(hit_uav_root, split="train")
    assert first.boxes[0].geometry == HBB(100, 100, 160, 130)
    assert [region.phrase for region in first.boxes] == ["car", "person", "person"]
    obb = second.obbs[0].geometry
    assert (obb.cx, obb.cy, obb.w, obb.h) == (60, 60, 20, 20)
    assert obb.angle_deg % 90 == pytest.approx(45)
    assert third.boxes == ()


def test_hit_uav_single_object_phrases(hit_uav_root):
    for kind in ("box", "obb"):
        samples = list(hit_uav.single_object_samples(hit_uav_root, split="train", kind=kind))
        assert [sample.id.rpartition("/")[2] for sample in samples] == ["car"]
        assert samples[0].turns[0].answer.template == f"{{{kind}:0}}"
    wider = {sample.id.rpartition("/")[2] for sample in hit_uav.unique_object_samples(hit_uav_root, split="train")}
    assert wider == {"car", "left-most-person", "right-most-person"}


def test_hit_uav_dont_care_gives_no_counts_and_no_negatives(hit_uav_root):
    samples = [sample for sample in hit_uav.load(hit_uav_root, split="train") if "00002" in sample.id]
    assert Counter(sample.task for sample in samples) == {"vqa": 1, "region": 1}
    counts = Counter(
        (sample.id.split("/")[2], sample.turns[0].answer.template)
        for sample in hit_uav.count_samples(hit_uav_root, split="train")
    )
    assert counts == {
        ("1_60_60_0_00001", "1"): 1,
        ("1_60_60_0_00001", "2"): 1,
        ("1_60_60_0_00001", "0"): 1,
        ("0_60_90_0_00003", "0"): 1,
    }


@pytest.mark.parametrize(
    ("folder", "key", "change", "sentence"),
    [
        ("normal_json", "annotation", {"bbox": [1, 2, 0, 4]}, "w and h > 0"),
        ("normal_json", "annotation", {"bbox": [1, 2, 3]}, "expected 4 numbers"),
        ("rotate_json", "annotations", {"bbox": [1, 2, 3, 4]}, "expected 5 numbers"),
        ("rotate_json", "annotations", {"id": 77}, "no oriented box"),
        ("normal_json", "annotation", {"category_id": 9}, "has class '9'"),
    ],
)
def test_hit_uav_refuses_broken_annotations(hit_uav_root, folder, key, change, sentence):
    path = hit_uav_root / folder / "annotations" / "train.json"
    content = json.loads(path.read_text())
    content[key][0].update(change)
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=sentence):
        list(hit_uav.load(hit_uav_root, split="train"))


# Change, masks, oriented boxes


def test_levir_cd_tells_direction_and_no_change(tmp_path):
    MAKERS["levir_cd"][0](tmp_path)
    said = {sample.id: sample.turns[0].answer for sample in levir_cd.load(tmp_path, split="train")}
    key = "levir_cd/train/train_1_0000_0000"
    assert said[f"{key}/caption"].template == "new buildings have appeared"
    assert said[f"{key}/swapped/caption"].template == "buildings have disappeared"
    assert said[f"{key}/first-twice/caption"].template == "no change has occurred"
    assert said[f"{key}/box"].template == "{box:0,1}"
    assert [to_hbb(region.geometry) for region in said[f"{key}/box"].regions] == [
        HBB(10, 20, 50, 60),
        HBB(200, 200, 220, 230),
    ]
    assert said[f"{key}/crop-128-128/box"].regions[0].geometry.box == HBB(72, 72, 92, 102)
    assert said[f"{key}/crop-128-0/presence"].template == "no"
    assert said["levir_cd/train/train_2_0000_0256/mask"].template == "none"


def test_change_pairs_of_unequal_sizes_are_refused(tmp_path):
    MAKERS["dsifn"][0](tmp_path)
    write_image(tmp_path / "B" / "0_1.png", (200, 256))
    with pytest.raises(DataError, match="the second 200 x 256"):
        list(find_source("dsifn").load(tmp_path, split="all"))


def test_change_folder_without_splits_is_training_data(tmp_path):
    MAKERS["dsifn"][0](tmp_path)
    load = find_source("dsifn").load
    assert len(list(load(tmp_path, split="train"))) == len(list(load(tmp_path, split="all")))
    with pytest.raises(DataError, match="take split 'all'"):
        list(load(tmp_path, split="val"))
    (tmp_path / "list" / "val.txt").write_text("0_2.png\n")
    assert {sample.id.split("/")[2] for sample in load(tmp_path, split="val")} == {"0_2"}


def test_oscd_reads_twos_as_change_and_holds_a_city_out(tmp_path):
    MAKERS["oscd"][0](tmp_path)
    (scene,) = oscd.load_scenes(tmp_path, split="val")
    assert scene.key == "oscd/val/rennes"
    assert int(scene.changed.sum()) == 400
    assert (scene.before.date, scene.after.date) == ("2016-11-30", "2017-08-29")


def test_epfl_roads_threshold_at_128(tmp_path):
    MAKERS["epfl_roads"][0](tmp_path)
    sample = next(find_source("epfl_roads").load(tmp_path, split="train"))
    mask = sample.turns[0].answer.regions[0].geometry
    assert isinstance(mask, Mask)
    assert mask.box == HBB(0, 100, 400, 121)
    assert mask.bits.all()


def test_isaid_instances_become_masks_of_their_class(tmp_path):
    MAKERS["isaid"][0](tmp_path)
    samples = {sample.id: sample for sample in find_source("isaid").load(tmp_path, split="train")}
    assert samples["isaid/train/P0001/count/large-vehicle"].turns[0].answer.template == "3"
    union = samples["isaid/train/P0001/mask-all/large-vehicle"].turns[0].answer.regions[0].geometry
    assert union.area == 20 * 10 + 4 * 30 + 4 * 4
    smallest = samples["isaid/train/P0001/mask/smallest-large-vehicle"].turns[0].answer.regions[0].geometry
    assert np.array_equal(smallest.bits, np.ones((4, 4), bool))


def test_dota_reads_headers_flags_and_corners(tmp_path):
    MAKERS["dota"][0](tmp_path)
    first, second = dota.load_scenes(tmp_path, split="all")
    assert [region.phrase for region in first.boxes] == ["large vehicle", "swimming pool", "small vehicle", "ship"]
    assert to_hbb(first.boxes[3].geometry) == HBB(-5, 20, 30, 40)
    assert second.boxes == ()
    asked = {sample.id for sample in dota.load(tmp_path, split="all")}
    assert not any("small-vehicle" in key and "/count/" in key for key in asked)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("1 2 3 4 5 6 7 plane 0", "line 1 is"),
        ("1 2 3 4 5 6 7 8 spaceship 0", "line 1 is .* spaceship 0': expected eight numbers and a class, plane, ship"),
        ("1 2 3 4 5 6 7 x plane 0", "are not numbers"),
        ("1 2 3 4 5 6 7 nan plane 0", "are not finite"),
        ("\x00", "line 1 is"),
    ],
)
def test_dota_refuses_garbage_lines(line, sentence):
    with pytest.raises(DataError, match=sentence):
        list(dota.parse_labels(line))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("<annotation>", "not valid XML"),
        ("<a><object><name>Tree</name></object></a>", "object 1: <bndbox/xmin> holds ''"),
        (
            "<a><object><bndbox><xmin>5</xmin><ymin>1</ymin><xmax>5</xmax><ymax>2</ymax></bndbox></object></a>",
            "object 1: the box .* has no area",
        ),
    ],
)
def test_neontree_refuses_garbage(tmp_path, text, sentence):
    MAKERS["neontree"][0](tmp_path)
    (tmp_path / "HARV_001.xml").write_text(text)
    with pytest.raises(DataError, match=f"HARV_001.xml.*{sentence}"):
        list(neontree.load_scenes(tmp_path, split="all"))


def test_image_header_of_a_truncated_file(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(b"")
    with pytest.raises(DataError, match="cannot be opened as an image"):
        describe_image(path, name="x", layout="y")


def test_image_header_of_a_huge_file(tmp_path, monkeypatch):
    """DOTA has images of 20,000 x 20,000 px, which pillow refuses to open."""
    write_image(tmp_path / "huge.png", (64, 32))
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", 100)
    image = describe_image(tmp_path / "huge.png", name="x", layout="y")
    assert (image.width, image.height) == (64, 32)
