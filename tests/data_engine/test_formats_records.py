"""Damaged files: what can still be read is read, what cannot is said; and refGeo's records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_engine.formats import Reading, Writing, json_records, llava_json, refgeo_jsonl
from tests.data_engine.makers import write_image, write_label
from vlm.errors import DataError
from vlm.geometry import HBB, OBB, Mask, Polygon
from vlm.records import Answer, Image, Region, Sample, Turn

SIZE = (400, 200)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_image(tmp_path / "images" / "a.png", SIZE)
    return tmp_path


def chat(number: int, image: str = "a.png") -> dict[str, Any]:
    turns = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": f"answer {number}"}]
    return {"id": number, "image": image, "conversations": turns}


def read(path: Path) -> tuple[list[str], list[str]]:
    seen: list[str] = []
    samples = llava_json.load(path, Reading(on_error=lambda error: seen.append(str(error))))
    return [sample.turns[0].answer.template for sample in samples], seen


def test_a_line_cut_in_half_costs_itself(root):
    lines = [json.dumps(chat(number)) for number in range(4)]
    lines[1] = lines[1][:25]
    (root / "x.jsonl").write_text("\n".join(lines) + "\n\n")
    answers, seen = read(root / "x.jsonl")
    assert answers == ["answer 0", "answer 2", "answer 3"]
    assert len(seen) == 1
    assert "x.jsonl line 2 is not valid JSON" in seen[0]
    (root / "x.jsonl").write_text("\n".join([*lines[2:], lines[3][:-9]]))
    answers, seen = read(root / "x.jsonl")
    assert answers == ["answer 2", "answer 3"]
    assert "line 3" in seen[0]


def test_records_wrapped_over_lines_are_put_together(root):
    wrapped = json.dumps(chat(0), indent=1) + "\n" + json.dumps(chat(1)) + "\n" + json.dumps(chat(2), indent=2)
    (root / "x.jsonl").write_text(wrapped)
    assert read(root / "x.jsonl") == (["answer 0", "answer 1", "answer 2"], [])


def test_bytes_that_are_no_utf8_cost_their_line(root):
    good = json.dumps(chat(0)).encode()
    (root / "x.jsonl").write_bytes(good + b"\n" + good.replace(b"answer", b"\xff\xfe") + b"\n" + good)
    answers, seen = read(root / "x.jsonl")
    assert answers == ["answer 0", "answer 0"]
    assert "not valid JSON in UTF-8" in seen[0]


def test_a_list_that_breaks_off_keeps_its_head_and_raises(root):
    text = json.dumps([chat(number) for number in range(3)])
    (root / "x.json").write_text(text[:-40])
    samples = llava_json.load(root / "x.json", Reading(on_error=lambda error: None))
    assert next(samples).turns[0].answer.template == "answer 0"
    assert next(samples).turns[0].answer.template == "answer 1"
    with pytest.raises(DataError, match=r"x\.json breaks off after 2 records"):
        next(samples)


@pytest.mark.parametrize("chunk", [8, 64, 1 << 20])
def test_lists_are_read_piece_by_piece(root, monkeypatch, chunk):
    monkeypatch.setattr(json_records, "_CHUNK", chunk)
    records = [chat(number) | {"note": 'a "]" and a {'} for number in range(3)]
    for text in (json.dumps(records), json.dumps(records, indent=2), f"\ufeff {json.dumps(records)}\n"):
        (root / "x.json").write_text(text, encoding="utf-8")
        assert read(root / "x.json") == ([f"answer {number}" for number in range(3)], [])


def test_one_bad_record_in_a_list_is_reported_with_its_number(root):
    records: list[Any] = [chat(0), chat(1, "gone.png"), 5, {"id": 3}, chat(4)]
    records += [{"image": "a.png", "conversations": [{"from": "human", "value": "Why?"}]}]
    records += [{"image": "a.png", "conversations": [{"from": "gpt", "value": "So."}]}]
    records += [{"image": "a.png", "conversations": [{"from": "cat", "value": "Meow."}]}]
    records += [{"image": "a.png", "conversations": [{"from": "human", "value": ""}]}]
    records += [{"conversations": chat(0)["conversations"][1:] + chat(0)["conversations"][1:]}]
    records += [{"conversations": [{"from": "human", "value": "What is 1 + 1?"}, {"from": "gpt", "value": "2"}]}]
    records += [chat(9) | {"image": "http://x.org/a.png"}, chat(10) | {"image": 5}, chat(11) | {"image": "broken.png"}]
    (root / "images" / "broken.png").write_bytes(b"\x89PNG")
    (root / "x.json").write_text(json.dumps(records))
    answers, seen = read(root / "x.json")
    assert answers == ["answer 0", "answer 4"]
    expected = [
        "record 2 names the image gone.png, which is not at",
        "record 3 is int 5: expected a JSON object",
        "record 4 has no list 'conversations' or 'messages'",
        "record 6 ends with a question that nobody answers",
        "record 7 has the answer 'So.' without a question",
        "record 8 turn 1 is spoken by 'cat'",
        "record 9 turn 1 (user) says nothing",
        "record 10 has the answer 'answer 0' without a question",
        "record 11 has no image: a sample is about one at least",
        "record 12 names http://x.org/a.png, which is not on this disk",
        "record 13 names the image 5",
        "cannot be opened as an image",
    ]
    assert [sentence for sentence, text in zip(expected, seen, strict=True) if sentence not in text] == []
    with pytest.raises(DataError, match=r"gone\.png"):
        list(llava_json.load(root / "x.json", Reading()))


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.json does not exist: expected a JSON list"):
        list(llava_json.load(tmp_path / "nowhere.json", Reading()))
    with pytest.raises(DataError, match="name a JSON or JSON-lines file"):
        list(llava_json.load(tmp_path, Reading()))


def test_writing_stops_at_the_first_error_by_default_and_leaves_nothing(root):
    sample = Sample("a", (Image(path="gone.png"),), (Turn("What?", Answer("this")),), "vqa", "test")
    with pytest.raises(DataError, match=r"gone\.png"):
        llava_json.write([sample], root / "out.json", Writing())
    assert not (root / "out.json").exists()


# refGeo


def refgeo(root: Path, **changes: Any) -> Path:
    record = {
        "question_id": 3,
        "image_id": "a.png",
        "dataset": "geochat",
        "question": "the <ref>red  ship</ref>",
        "bbox": [100, 50, 140.5, 90],
        "poly": [[100, 70], [120, 50], [140.5, 70], [120, 90]],
    }
    path = root / "metainfo" / "geochat_test.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record | changes) + "\n")
    return path


def test_refgeo_gives_box_oriented_box_and_mask(root):
    bits = np.zeros((200, 400), np.uint8)
    bits[60:70, 110:130] = 1
    write_label(root / "masks" / "geochat" / "a_3.png", bits)
    write_image(root / "images" / "geochat" / "a.png", SIZE)
    box, turned, mask = refgeo_jsonl.load(refgeo(root), Reading())
    assert [sample.id.rpartition("/")[2] for sample in (box, turned, mask)] == ["box", "obb", "mask"]
    assert [sample.task for sample in (box, turned, mask)] == ["ground", "ground", "segment"]
    answers = [sample.turns[0].answer for sample in (box, turned, mask)]
    assert answers[0].regions == (Region(HBB(100, 50, 140.5, 90), "the red ship"),)
    assert isinstance(answers[1].regions[0].geometry, Polygon)
    assert answers[1].template == "{obb:0}"
    shape = answers[2].regions[0].geometry
    assert isinstance(shape, Mask)
    assert shape.box == HBB(110, 60, 130, 70)
    assert Path(box.images[0].path) == root / "images" / "geochat" / "a.png"


def test_refgeo_corners_that_repeat_the_box_and_jpg_that_is_png(root):
    corners = [[100, 50], [140.5, 50], [140.5, 90], [100, 90]]
    path = refgeo(root, poly=corners[2:] + corners[:2], image_id="a.jpg")
    (box,) = refgeo_jsonl.load(path, Reading(images=root / "images"))
    assert box.turns[0].answer.regions[0].geometry == HBB(100, 50, 140.5, 90)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"bbox": [100, 50, 90, 90]}, "x1 < x2"),
        ({"bbox": [100, 50, 90]}, "expected .x1, y1, x2, y2. in pixels"),
        ({"bbox": [500, 50, 520, 90]}, "outside its image"),
        ({"poly": [[1, 2], [3, 4]]}, "four"),
        ({"question": ""}, "has no question"),
        ({"image_id": "gone.jpg"}, r"gone\.png"),
        ({"image_id": None}, "has no image_id"),
        ({"image_width": 200}, "states an image of 200 x 200 px"),
    ],
)
def test_refgeo_bad_records(root, changes, sentence):
    path = refgeo(root, **changes)
    path.write_text(path.read_text() + json.dumps({"question": "x", "image_id": "a.png", "bbox": [1, 2, 3, 4]}))
    with pytest.raises(DataError, match=sentence):
        list(refgeo_jsonl.load(path, Reading()))
    seen: list[DataError] = []
    (left,) = refgeo_jsonl.load(path, Reading(on_error=seen.append))
    assert left.turns[0].answer.regions[0].geometry == HBB(1, 2, 3, 4)
    assert len(seen) == 1


def test_refgeo_writes_one_named_region_a_record(root):
    image = Image(path=str(root / "images" / "a.png"), width=400, height=200)

    def ask(name: str, *regions: Region) -> Sample:
        return Sample(name, (image,), (Turn("Where?", Answer("{box:0}", regions, task="ground")),), "ground", "test")

    obb = Region(OBB(200, 100, 60, 20, 30), "ship")
    mask = Region(Mask(np.ones((2, 2), bool), HBB(0, 0, 2, 2)), "ship")
    samples = [ask("obb", obb), ask("two", obb, obb), ask("mask", mask), ask("nameless", Region(HBB(0, 0, 9, 9)))]
    seen: list[str] = []
    writing = Writing(images=root / "images", on_error=lambda error: seen.append(str(error)))
    assert refgeo_jsonl.write(samples, root / "out.jsonl", writing) == 1
    assert [text.split()[1] for text in seen] == ["two", "mask", "nameless"]
    assert json.loads((root / "out.jsonl").read_text())["image_id"] == "a.png"
    samples = list(refgeo_jsonl.load(root / "out.jsonl", Reading(images=root / "images")))
    assert [sample.id.rpartition("/")[2] for sample in samples] == ["box", "obb"]
