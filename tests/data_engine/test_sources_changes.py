"""Sources of two dates in words: change captions, CDVQA's questions, ChangeChat's talks, and xBD's damage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from data_engine.sources import SOURCES, cdvqa, levir_cc, xbd
from tests.data_engine.makers import write_image, write_json
from tests.data_engine.makers_changes import captioned, wkt
from tests.data_engine.makers_objects import talk
from tests.data_engine.tiny_copies import answers, read
from vlm.errors import DataError
from vlm.geometry.convert import to_hbb
from vlm.geometry.shapes import HBB


def edit(path: Path, change: Any) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    write_json(path, content)


# Change captions


def test_levir_cc_distinct_sentences_and_whether_anything_changed(make):
    root = make("levir_cc")
    said = answers(read("levir_cc", root, "train"))
    assert {key.removeprefix("levir_cc/train/train_0000"): text for key, text in said.items()} == {
        "01/caption-0": "the scene is the same as before",
        "01/caption-1": "there is no difference",
        "01/presence": "no",
        "16/caption-0": "a {{ road }} is built",
        "16/caption-1": "a road appears on the left",
        "16/presence": "yes",
    }
    assert set(answers(read("levir_cc", root, "val"))) == {
        f"levir_cc/val/val_000004/{name}" for name in ("caption-0", "caption-1", "presence")
    }


def test_levir_cc_references_keep_repeated_sentences(make):
    references = levir_cc.references(make("levir_cc"), split="train")
    built = "a { road } is built"
    assert references["train_000016.png"] == [built, "a road appears on the left", built]
    assert list(references) == ["train_000001.png", "train_000016.png"]


def test_levir_cc_dates_are_a_before_b_at_half_a_metre(make):
    before, after = read("levir_cc", make("levir_cc"), "train")["levir_cc/train/train_000016/presence"].images
    assert [Path(str(image.path)).parent.name for image in (before, after)] == ["A", "B"]
    assert (before.gsd_m, after.gsd_m) == (0.5, 0.5)


def test_levir_cc_refuses_dates_of_two_sizes_and_files_without_the_split(make):
    root = make("levir_cc")
    with pytest.raises(DataError, match="lists no pairs of the split 'test'"):
        read("levir_cc", root, "test")
    write_image(root / "images" / "train" / "B" / "train_000016.png", (64, 65))
    with pytest.raises(DataError, match=r"train_000016: the first image is 64 x 64, the second 6[45] x 6[45]:"):
        read("levir_cc", root, "train")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ([], "has no list 'images': expected Karpathy's layout"),
        (
            {"images": [{"filename": "x.png", "split": "train"}]},
            "entry 0 of 'images' lacks filename, split or sentences",
        ),
    ],
)
def test_levir_cc_refuses_files_of_another_layout(make, content, sentence):
    root = make("levir_cc")
    write_json(root / "LevirCCcaptions.json", content)
    with pytest.raises(DataError, match=sentence):
        read("levir_cc", root, "train")


def test_second_cc_asks_whether_anything_changed_only_where_the_file_says(make):
    root = make("second_cc")
    said = answers(read("second_cc", root, "train"))
    assert [key for key in said if key.endswith("presence")] == ["second_cc/train/00011/presence"]
    assert len(said) == 5
    assert answers(read("second_cc", root / "SECOND-CC-AUG", "train")) == said


def test_levir_cc_real_pair(shared_data, tmp_path):
    real = shared_data / "levir_dsifn_samples" / "LEVIR-CC_example"
    for date in ("A", "B"):
        folder = tmp_path / "images" / "train"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / date).symlink_to(real / date, target_is_directory=True)
    record = captioned("train_000016.png", "train", [" a house is built . "], changeflag=1)
    write_json(tmp_path / "LevirCCcaptions.json", {"images": [record]})
    samples = read("levir_cc", tmp_path, "train")
    assert list(answers(samples).values()) == ["a house is built", "yes"]
    assert [(image.width, image.height) for image in samples["levir_cc/train/train_000016/presence"].images] == [
        (256, 256)
    ] * 2


# CDVQA


def test_cdvqa_answers_stay_as_they_are_and_ids_tell_the_type(make):
    samples = read("cdvqa", make("cdvqa"), "val")
    assert [sample.turns[0].answer.template for sample in samples.values()] == [
        "yes",
        "0_to_10",
        "NVG_surface",
        "buildings",
    ]
    assert [cdvqa.question_type(key) for key in samples] == [
        "change_or_not", "change_ratio", "change_to_what", "largest_change"
    ]  # fmt: skip
    assert all(sample.turns[0].answer.template in cdvqa.ANSWERS for sample in samples.values())
    assert [Path(str(sample.images[1].path)).name for sample in samples.values()] == ["02180.png"] * 3 + ["07502.png"]
    with pytest.raises(DataError, match="does not end with one of"):
        cdvqa.question_type("cdvqa/val/000001")


def test_cdvqa_dangling_and_unknown_entries_are_turned_away_and_the_others_read(make):
    root = make("cdvqa")

    def spoil(content: dict[str, Any]) -> None:
        content["questions"][0]["img_id"] = 99
        content["questions"][1]["answers_ids"] = [99]
        content["questions"][2]["type"] = "mood"

    edit(root / "Val_questions.json", spoil)
    told: list[str] = []
    load: Any = SOURCES["cdvqa"].load
    (sample,) = load(root, split="val", reject=lambda reason, detail, where: told.append(detail))
    assert sample.id == "cdvqa/val/000003/largest_change"
    assert [text.split(":")[0] for text in told] == [
        "cdvqa question 0 points at an image or an answer that does not exist",
        "cdvqa question 1 points at an image or an answer that does not exist",
        "cdvqa question 2 has type 'mood'",
    ]


def test_cdvqa_files_of_another_layout_are_refused(make):
    root = make("cdvqa")
    edit(root / "Val_answers.json", lambda content: content["answers"][0].pop("answer"))
    with pytest.raises(DataError, match=r"Val_answers\.json active entry 0 lacks one of id, answer"):
        read("cdvqa", root, "val")
    write_json(root / "Val_answers.json", [])
    with pytest.raises(DataError, match=r"Val_answers\.json has no list 'answers'"):
        read("cdvqa", root, "val")


# ChangeChat


def test_changechat_tags_go_and_talks_stay_whole(make):
    first, second = read("changechat", make("changechat"), "train").values()
    assert first.turns[0].instruction == "Please judge whether these two images have changed. Answer yes or no."
    assert first.turns[0].answer.template == "Yes"
    assert [turn.instruction for turn in second.turns] == ["How many roads are new?", "Where?"]
    assert second.turns[1].answer.template == "roads [top-left, center] buildings []"
    assert [Path(str(image.path)).parent.name for image in second.images] == ["A", "B"]


def test_changechat_training_is_one_file_and_a_test_is_all_of_them(make):
    root = make("changechat")
    assert set(read("changechat", root, "train")) == {f"changechat/train/all-{number:06d}" for number in (0, 1)}
    tested = answers(read("changechat", root, "test"))
    assert tested == {
        "changechat/test/all-000000/caption-0": "the scene is the same as before",
        "changechat/test/all-000000/caption-1": "there is no difference",
        "changechat/test/binary-000000": "Yes",
    }
    (root / "changechat_105k_train.json").unlink()
    assert set(read("changechat", root, "train")) == {f"changechat/train/loc_aug-{number:06d}" for number in (0, 1)}
    (root / "annotations").mkdir()
    with pytest.raises(DataError, match=r"annotations holds no changechat_105k_train\*\.json; expected"):
        read("changechat", root, "train")


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"conversations": talk("a?", "b", "c?")}, r"has the speakers \['human', 'gpt', 'human'\]"),
        ({"conversations": "a?"}, r"has the speakers \[\]"),
        ({"image": ["train/A/train_000001.png"]}, "has the images .* expected the paths of two"),
        ({"image": "train/A/train_000001.png"}, "has the images .* expected the paths of two"),
        ({"image": ["nowhere.png"] * 2}, r"nowhere\.png does not exist"),
    ],
)
def test_changechat_damaged_records_are_turned_away_and_the_others_read(make, changed, sentence):
    root = make("changechat")
    edit(root / "changechat_105k_train.json", lambda records: records[0].update(changed))
    with pytest.raises(DataError, match=sentence):
        read("changechat", root, "train")
    told: list[str] = []
    load: Any = SOURCES["changechat"].load
    (sample,) = load(root, split="train", reject=lambda reason, detail, where: told.append(detail))
    assert (sample.id, len(told)) == ("changechat/train/all-000001", 1)


# xBD


def test_xbd_polygons_are_pixels_and_dates_are_told(make):
    samples = read("xbd", make("xbd"), "train")
    sample = samples["xbd/train/hurricane-harvey_00000001/box/destroyed"]
    assert [image.date for image in sample.images] == ["2017-08-20", "2017-08-31"]
    boxes = [to_hbb(region.geometry) for region in sample.turns[0].answer.regions]
    assert boxes == [HBB(2, 5.5, 12, 20), HBB(16, 5.5, 26, 20)]
    assert "destroyed building" in sample.turns[0].instruction


def test_xbd_counts_sentences_and_single_buildings(make):
    said = answers(read("xbd", make("xbd"), "train"))
    first, second = (f"xbd/train/hurricane-harvey_0000000{number}" for number in (1, 2))
    counts = {key.rpartition("/")[2]: said[key] for key in said if key.startswith(f"{first}/count")}
    assert counts == {"destroyed": "2", "major-damage": "0", "minor-damage": "1"}
    assert said[f"{first}/presence"] == "yes"
    assert (
        said[f"{first}/caption"]
        == "2 buildings have been destroyed and 1 building has been slightly damaged by the wind"
    )
    assert said[f"{first}/box/major-damage"] == "none"
    single = {key.rpartition("/")[2]: said[key] for key in said if key.startswith(f"{first}/building")}
    assert single == {"destroyed": "destroyed", "minor-damage": "slightly damaged", "no-damage": "not damaged"}
    assert (said[f"{second}/presence"], said[f"{second}/caption"]) == ("no", "no building has been damaged by the wind")


def test_xbd_where_a_building_is_unclassified_nothing_is_counted(make):
    said = answers(read("xbd", make("xbd"), "train"))
    told = {key for key in said if "_00000003" in key}
    assert told == {f"xbd/train/hurricane-harvey_00000003/{kind}" for kind in ("presence", "building/major-damage")}
    assert not [key for key in said if "_00000004" in key]


def test_xbd_damage_reads_every_level(make):
    first, *_ = xbd.load_pairs(make("xbd"), split="train")
    assert [len(first.of_level(level)) for level in xbd.DAMAGE] == [2, 0, 1, 1]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"wkt": "POLYGON ((1 1, 2"}, "a building whose wkt cannot be read"),
        ({"wkt": "MULTIPOLYGON (((1 1, 9 1, 9 9, 1 1)), ((20 20, 29 20, 29 29, 20 20)))"}, "a building of 2 polygons"),
        ({"properties": {"subtype": "gone"}}, "a building with subtype 'gone': known are destroyed, major-damage"),
    ],
)
def test_xbd_refuses_buildings_it_cannot_read(make, changed, sentence):
    root = make("xbd")
    path = root / "train" / "labels" / "hurricane-harvey_00000001_post_disaster.json"
    edit(path, lambda content: content["features"]["xy"][0].update(changed))
    with pytest.raises(DataError, match=sentence) as caught:
        read("xbd", root, "train")
    assert path.name in str(caught.value)


def test_xbd_passes_over_what_is_no_building_and_refuses_other_files(make):
    root = make("xbd")
    labels = root / "train" / "labels"
    path = labels / "hurricane-harvey_00000002_post_disaster.json"
    car = {"properties": {"feature_type": "car"}, "wkt": wkt(1, 1, 3, 3)}
    edit(path, lambda content: content["features"]["xy"].append(car))
    read("xbd", root, "train")
    write_json(path, {"features": []})
    with pytest.raises(DataError, match=r"no metadata or no features\.xy: expected an xBD label"):
        read("xbd", root, "train")
    for path in labels.iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"holds no \*_post_disaster\.json"):
        read("xbd", root, "train")
