"""Sources that write coordinates on grids of their own (0 to 1, 0 to 100, angles): what becomes of them in pixels."""

from __future__ import annotations

import json

import pytest

from data_engine.sources import geochat_instruct, refgeo, vrsbench
from tests.data_engine.makers import write_image, write_json
from tests.data_engine.makers_objects import talk
from tests.data_engine.tiny_copies import answers, read
from vlm.errors import DataError
from vlm.geometry.convert import to_hbb
from vlm.geometry.shapes import HBB, OBB, Mask, Polygon

# GeoChat


def test_geochat_boxes_are_percent_of_the_sides_and_turn_counter_clockwise(make):
    root = make("geochat_instruct")
    two, talked, road, described = read("geochat_instruct", root, "train").values()
    assert two.task == "detect"
    assert two.turns[0].instruction == "give me the location of 2 ships"
    first, second = two.turns[0].answer.regions
    assert isinstance(first.geometry, OBB)
    assert to_hbb(first.geometry) == HBB(20, 20, 60, 40)
    assert (first.phrase, second.phrase) == ("2 ships", "2 ships")
    assert (second.geometry.cx, second.geometry.cy, second.geometry.angle_deg) == (110, 3, -30)
    assert road.turns[0].answer.task == "vqa"
    assert described.turns[0].answer.template == "There are {ref obb:0} here"
    assert described.turns[0].answer.regions[0].phrase == "two grey ships"
    assert described.task == "caption"
    assert talked.task == "chat"


def test_geochat_marks_become_tasks_and_go(make):
    root = make("geochat_instruct")
    talked = read("geochat_instruct", root, "train")["geochat_instruct/train/000001"]
    asked, located = talked.turns
    assert (asked.answer.task, located.answer.task) == ("region", "ground")
    assert asked.instruction == "the object in {obb:0} is"
    assert asked.answer.template == "1 dump-truck at the center"
    assert (asked.regions[0].geometry.cx, asked.regions[0].geometry.cy) == (72, 34)
    assert located.instruction == "where is the silver airplane?"
    assert located.answer.template == "{ref obb:0}"


@pytest.mark.parametrize(
    ("chat", "sentence"),
    [
        (talk("<image>\n[refer] where is <p>x</p>?", "{<77><981><83><100>|<29>}"), "cannot be read as geochat"),
        (talk("<image>\n<image> how many?", "2"), "has 1 images and 2 "),
        (talk("<image>", "yes"), "without a question"),
        (talk("<image>\nIs it?"), "nobody answers"),
        ([], "has no list 'conversations'"),
    ],
)
def test_geochat_damaged_records_are_turned_away_and_the_others_read(make, chat, sentence):
    root = make("geochat_instruct")
    path = root / "GeoChat_Instruct.json"
    listed = json.loads(path.read_text())
    listed[1]["conversations"] = chat
    path.write_text(json.dumps([*listed, {"id": "x", "image": "nowhere.jpg", "conversations": talk("a", "b")}, {}]))
    seen = []
    kept = list(geochat_instruct.load(root, split="train", reject=lambda *words: seen.append(words[1])))
    assert [sample.id[-6:] for sample in kept] == ["000000", "000002", "000003"]
    assert len(seen) == 3
    assert sentence in seen[0]
    assert "nowhere.jpg" in " ".join(seen)


# refGeo


def test_refgeo_reads_wrapped_records_other_suffixes_real_corners_and_masks(make):
    samples = read("refgeo", make("refgeo"), "train")
    kinds = {key.removeprefix("refgeo/train/"): sample.turns[0].answer for key, sample in samples.items()}
    assert list(kinds) == [
        "dior_rsvg_train/00000000/box",
        "geochat_train/00000000/box",
        "geochat_train/00000000/obb",
        "geochat_train/00000001/box",
        "geochat_train/00000001/mask",
    ]
    assert kinds["geochat_train/00000000/box"].regions[0].geometry == HBB(10, 10, 60, 40)
    assert isinstance(kinds["geochat_train/00000000/obb"].regions[0].geometry, Polygon)
    assert kinds["geochat_train/00000001/mask"].regions[0].geometry.area == 38 * 26
    assert samples["refgeo/train/geochat_train/00000000/box"].images[0].path.endswith("a.png")


def test_refgeo_says_which_records_it_cannot_read(make):
    root = make("refgeo")
    path = root / "metainfo" / "dior_rsvg_train.jsonl"
    path.write_text(path.read_text() + '{"image_id": "00001.jpg", "question": "x", "bbox": [5, 5, 5, 9]}\n{"cut')
    seen = []
    kept = list(refgeo.load(root, split="train", reject=lambda *words: seen.append(words)))
    assert len(kept) == 5
    assert [reason for reason, _, _ in seen] == ["bad record", "bad record"]
    with pytest.raises(DataError, match="expected x1 < x2"):
        list(refgeo.load(root, split="train"))
    with pytest.raises(DataError, match="no files of the split 'val'"):
        list(refgeo.load(root, split="val"))


# VRSBench


def test_vrsbench_annotations_are_shares_of_the_sides(make):
    samples = read("vrsbench", make("vrsbench"), "train")
    said = {key.removeprefix("vrsbench/train/P0003_0002/"): value for key, value in answers(samples).items()}
    assert said == {
        "caption": "The image shows a harbor. Two ships are there",
        "ground-box-0": "{box:0}",
        "ground-box-1": "{box:0}",
        "ground-obb-1": "{obb:0}",
        "object-quantity-0": "2",
        "scene-type-1": "A harbor",
    }
    plane = samples["vrsbench/train/P0003_0002/ground-box-1"].turns[0]
    assert to_hbb(plane.answer.regions[0].geometry) == HBB(256, 256, 0.7 * 512, 1.04 * 512)
    assert "white plane" in plane.instruction
    assert samples["vrsbench/train/P0003_0002/object-quantity-0"].task == "count"
    assert samples["vrsbench/train/P0003_0002/scene-type-1"].turns[0].instruction == "What is the {{ scene }}?"


def test_vrsbench_conversations_and_eval_files_are_on_a_grid_of_100(make, tmp_path):
    write_image(tmp_path / "Images_train" / "a.png", (512, 512))
    write_image(tmp_path / "Images_val" / "b.png", (200, 100))
    listed = [
        talk("<image>\n[refer] could you tell me the location for <p>the ship</p>?", "{<25><40><33><60>}"),
        talk("<image>\n[vqa] Is there a ship? A short answer to the question is", "Yes"),
        talk("<image>\n[caption] Could you describe the contents of this image for me?", "A harbor. It is full."),
    ]
    write_json(tmp_path / "VRSBench_train.json", [{"id": "a", "image": "a.png", "conversations": c} for c in listed])
    ship, yes, caption = read("vrsbench", tmp_path, "train").values()
    assert (ship.task, yes.task, caption.task) == ("ground", "vqa", "caption")
    assert ship.turns[0].answer.regions[0].geometry == HBB(128, 0.4 * 512, 0.33 * 512, 0.6 * 512)
    rows = [{"image_id": "b.png", "question": "The ship", "ground_truth": "{<25><40><33><60>}", "type": "ref"}]
    write_json(tmp_path / "VRSBench_EVAL_referring.json", rows)
    rows = [{"image_id": "b.png", "question": "How many?", "ground_truth": "three", "type": "object quantity"}]
    write_json(tmp_path / "VRSBench_EVAL_vqa.json", rows)
    box, count = read("vrsbench", tmp_path, "val").values()
    assert box.turns[0].answer.regions[0].geometry == HBB(50, 40, 66, 60)
    assert (count.task, count.turns[0].answer.template) == ("vqa", "three")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"objects": [{"referring_sentence": "x", "obj_coord": [0.1, 0.2, 0.1, 0.4]}]}, "expected x1 < x2"),
        ({"objects": [{"referring_sentence": "x", "obj_coord": [0.1, 0.2]}]}, "expected 4 numbers"),
        ({"objects": [{"referring_sentence": "", "obj_coord": [0, 0, 1, 1]}]}, "names nothing"),
        ({"qa_pairs": [{"question": "x?", "type": "t"}]}, "expected both"),
    ],
)
def test_vrsbench_refuses_broken_annotations(make, change, sentence):
    root = make("vrsbench")
    path = root / "Annotations_train" / "P0003_0002.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError, match=sentence):
        read("vrsbench", root, "train")
    assert list(vrsbench.load(root, split="train", reject=lambda *words: None)) == []


def test_masks_of_refgeo_are_masks(make):
    samples = read("refgeo", make("refgeo"), "train")
    mask = samples["refgeo/train/geochat_train/00000001/mask"].turns[0].answer.regions[0].geometry
    assert isinstance(mask, Mask)
    assert mask.box == HBB(12, 12, 50, 38)
