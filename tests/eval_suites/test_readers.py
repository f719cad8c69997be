"""Readers: every shape of file becomes rows, the right keys are taken, and rows are paired or named."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval_suites.readers.keys import LAST_TARGET
from eval_suites.readers.loaded import Field, Options, text_of
from eval_suites.readers.pair import pair_rows, read_pairs
from eval_suites.readers.rows import flatten, load_rows
from vlm.errors import DataError

SHAPES = {
    "a list": ([{"id": 1}], [{"id": 1}]),
    "a record with rows": ({"model": "m", "rows": [{"id": 1}]}, [{"id": 1}]),
    "texts": (["a", "b"], [{"value": "a"}, {"value": "b"}]),
    "id to text": ({"7": "yes"}, [{"id": "7", "value": "yes"}]),
    "id to record": ({"7": {"answer": "yes"}}, [{"id": "7", "answer": "yes"}]),
    "image to questions": (
        {"1.png": [{"Type": "t", "Answer": 1}, {"Type": "u", "Answer": 2}], "2.png": [{"Type": "t", "Answer": 3}]},
        [{"image": "1.png", "Type": "t", "Answer": 1}, {"image": "1.png", "Type": "u", "Answer": 2},
         {"image": "2.png", "Type": "t", "Answer": 3}],
    ),
    "task to rows": (
        {"count": [{"id": 1}], "loc": [{"id": 2}]},
        [{"part": "count", "id": 1}, {"part": "loc", "id": 2}],
    ),
    "columns": ({"pred": [1, 2], "gt": [1, 3]}, [{"pred": 1, "gt": 1}, {"pred": 2, "gt": 3}]),
    "lmms-eval": (
        [{"doc_id": 4, "doc": {"question": "q", "answer": "B"}, "resps": [["B."]], "filtered_resps": ["B"]}],
        [{"question": "q", "answer": "B", "prediction": "B", "index": 4}],
    ),
    "lmms-eval 0.7": (
        [{"doc_id": 4, "target": "B", "filtered_resps": "", "input": "q", "input_media": ["a.png", "b.png"]}],
        [{"question": "q", "target": "B", "image": "a.png+b.png", "prediction": "", "index": 4}],
    ),
    "coco": (
        {"images": [{"id": 5, "file_name": "a.tif"}],
         "annotations": [{"image_id": 5, "caption": "x"}, {"image_id": 5, "caption": "y"}]},
        [{"image_id": 5, "image": "a.tif", "captions": ["x", "y"]}],
    ),
    "sentences": (
        {"images": [{"filename": "a.jpg", "sentences": [{"raw": "x y"}, {"tokens": ["z", "w"]}]}]},
        [{"filename": "a.jpg", "sentences": ["x y", "z w"]}],
    ),
    "rsvqa": (
        {"questions": [{"id": 0, "type": "presence", "active": True}, {"id": 1, "active": False}],
         "answers": [{"id": 9, "question_id": 0, "answer": "yes"}]},
        [{"id": 0, "type": "presence", "active": True, "answer": "yes"}],
    ),
    "pairs of an image": (
        [{"image": "a", "vqa_pairs_with_gpt": [{"question_id": 1}, {"question_id": 2}]}],
        [{"image": "a", "question_id": 1}, {"image": "a", "question_id": 2}],
    ),
    "chat": (
        [{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}], "prediction": "b"}],
        [{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}], "prediction": "b",
          "reference": "a"}],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_of_json_becomes_rows(name: str) -> None:
    content, rows = SHAPES[name]
    assert flatten(content) == rows


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl", "wrapped.jsonl", "rows.csv", "rows.tsv"])
def test_every_kind_of_file_is_read(tmp_path: Path, name: str, packed: bool) -> None:
    rows = [{"id": "1", "answer": "a, b"}, {"id": "2", "answer": ""}]
    texts = {
        "rows.json": json.dumps(rows),
        "rows.jsonl": "".join(json.dumps(row) + "\n" for row in rows),
        "wrapped.jsonl": json.dumps(rows[0], indent=1) + "\n\n" + json.dumps(rows[1]),
        "rows.csv": 'id,answer\n1,"a, b"\n2,\n',
        "rows.tsv": "id\tanswer\n1\ta, b\n2\t\n",
    }
    path = tmp_path / (name + ".gz" * packed)
    path.write_bytes(gzip.compress(texts[name].encode()) if packed else texts[name].encode())
    assert load_rows(path) == rows


def test_json_lines_of_one_record_and_misnamed_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "one.jsonl").write_text('{"question": "q", "answer": "a"}\n')
    assert load_rows(tmp_path / "one.jsonl") == [{"question": "q", "answer": "a"}]
    (tmp_path / "list.jsonl").write_text('[{"id": 1}, {"id": 2}]')
    (tmp_path / "lines.json").write_text('{"id": 1}\n{"id": 2}\n')
    assert load_rows(tmp_path / "list.jsonl") == load_rows(tmp_path / "lines.json") == [{"id": 1}, {"id": 2}]


def test_parquet_arrays_text_and_folders_are_read(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"id": [1], "answer": ["a"]}), tmp_path / "rows.parquet")
    assert load_rows(tmp_path / "rows.parquet") == [{"id": 1, "answer": "a"}]
    np.savez(tmp_path / "rows.npz", pred=[1, 2], gt=[1, 3])
    assert load_rows(tmp_path / "rows.npz") == [{"pred": 1, "gt": 1}, {"pred": 2, "gt": 3}]
    (tmp_path / "said.txt").write_text("one\ntwo\n")
    assert load_rows(tmp_path / "said.txt") == [{"value": "one"}, {"value": "two"}]
    for task in ("counting", "caption"):
        (tmp_path / "tasks" / task).mkdir(parents=True)
        (tmp_path / "tasks" / task / f"{task}.json").write_text('[{"id": 1}]')
    assert load_rows(tmp_path / "tasks") == [{"id": 1, "file": "caption"}, {"id": 1, "file": "counting"}]


def test_rsvqas_answers_are_found_beside_its_questions(tmp_path: Path) -> None:
    questions = {"questions": [{"id": 7, "type": "count", "question": "q", "answers_ids": [3], "active": True}]}
    (tmp_path / "LR_split_test_questions.json").write_text(json.dumps(questions))
    assert "answer" not in load_rows(tmp_path / "LR_split_test_questions.json")[0]
    answers = {"answers": [{"id": 3, "question_id": 7, "answer": "12", "active": True}]}
    (tmp_path / "LR_split_test_answers.json").write_text(json.dumps(answers))
    said = write(tmp_path / "said.json", [{"question_id": 7, "answer": "11"}])
    entry = read_pairs(said, tmp_path / "LR_split_test_questions.json", (), Options()).entries[0]
    assert (entry.prediction, entry.target, entry.category) == ("11", "12", "count")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"id": 1}\n{"id": 2, "ans', "line 2 is not JSON"),
        ("[]", "holds no record"),
        ("", "holds no record"),
    ],
)
def test_broken_files_are_refused_with_their_place(tmp_path: Path, content: str, sentence: str) -> None:
    (tmp_path / "rows.jsonl").write_text(content)
    with pytest.raises(DataError, match=sentence):
        load_rows(tmp_path / "rows.jsonl")
    with pytest.raises(DataError, match="does not exist"):
        load_rows(tmp_path / "other.jsonl")


# The keys of published prediction files, and which of them is what.
KEYS = [
    ({"question": "q", "answer": "said", "annotation": "true", "vqa_type": "count"}, "count"),  # EarthDial
    ({"question_id": 1, "text": "said", "ground_truth": "true", "category": "c"}, "c"),  # LRS-VQA
    ({"question_id": 1, "text": "q", "answer": "said", "ground_truth": "true", "type": "t"}, "t"),  # VRSBench
    ({"Question_id": "a", "Text": "q", "Ground truth": "true", "output": "said", "Category": "color"}, "color"),  # MME
    ({"index": 1, "answer": "true", "prediction": "said", "category": "a/b"}, "a/b"),  # XLRS
    ({"id": 1, "query": "q", "response": "said", "label": "true"}, ""),  # CHOICE
    ({"image_id": 1, "caption": "said", "gt": "true"}, ""),  # DeltaVLM
    ({"question": "q", "reference": "true", "prediction": "said"}, ""),  # RS-RAG
    ({"question": "q", "answer": "said", "gt_bbox": "true"}, ""),
    ({"question_id": 1, "question_type": "t", "ground_truth": "true", "model_answer": "said"}, "t"),  # RSVLM-QA
    ({"questype": "t", "pred": "said", "gt": "true"}, "t"),
    ({"image": "a", "prediction": "said", "references": "true"}, ""),
]


@pytest.mark.parametrize(("row", "category"), KEYS)
def test_prediction_target_and_category_are_found(row: dict[str, Any], category: str) -> None:
    loaded = pair_rows([row], (), Options(), where="f")
    entry = loaded.entries[0]
    assert (entry.prediction, entry.target, entry.category) == ("said", "true", category)
    assert loaded.keys["prediction"] in row


def test_numbered_captions_are_one_target() -> None:
    row = {"question": "q", "answer": "said", "caption0": "x", "caption1": "y", "caption2": ""}
    assert pair_rows([row], (), Options(), where="f").entries[0].target == ["x", "y"]
    nwpu = {"filename": "a", "raw": "x", "raw_1": "y", "raw_2": "z", "prediction": "said"}
    assert pair_rows([nwpu], (), Options(), where="f").entries[0].target == ["x", "y", "z"]


def test_a_rule_and_the_user_may_name_keys() -> None:
    rows = [{"mine": "a", "his": "b", "choices": ["x"], "question_id": "Airport/1.jpg", "answer": "c"}]
    named = pair_rows(
        rows, (Field("choices", ("Choices",)),), Options(keys={"prediction": "mine", "target": "his"}), where="f"
    )
    assert (named.entries[0].prediction, named.entries[0].target) == ("a", "b")
    assert named.entries[0].values == {"choices": ["x"]}
    scene = {"question_id": "Airport/1.jpg", "answer": "c"}
    last = pair_rows([scene], (Field(LAST_TARGET, ("question_id",)),), Options(), where="f")
    assert (last.entries[0].prediction, last.entries[0].target) == ("c", "Airport/1.jpg")
    with pytest.raises(DataError, match=r"no key 'absent'.*mine, his"):
        pair_rows(rows, (), Options(keys={"prediction": "absent"}), where="f")
    with pytest.raises(DataError, match="no key for the prediction: it has a; expected one of"):
        pair_rows([{"a": 1}], (), Options(), where="f")
    with pytest.raises(DataError, match="no key for the size"):
        pair_rows(rows, (Field("size", ("size",), required=True),), Options(keys={"prediction": "mine"}), where="f")


def test_missing_predictions_stay_and_rows_without_a_target_are_named() -> None:
    rows = [{"id": 1, "pred": "a", "gt": "a"}, {"id": 2, "gt": "b"}, {"id": 3, "pred": None, "gt": "c"},
            {"id": 4, "pred": "d"}, {"id": 5, "pred": float("nan"), "gt": "e"}]  # fmt: skip
    loaded = pair_rows(rows, (), Options(), where="f")
    assert [(entry.id, entry.prediction) for entry in loaded.entries] == [
        ("1", "a"),
        ("2", None),
        ("3", None),
        ("5", None),
    ]
    assert loaded.missing == 3
    assert loaded.unpaired == ("row 4 has no target (gt): left out",)


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text(json.dumps(rows))
    return path


def test_two_files_are_paired_by_id(tmp_path: Path) -> None:
    answers = [(2, "b"), (1, "a"), (9, "z"), (1, "again")]
    said = write(tmp_path / "said.json", [{"question_id": number, "answer": text} for number, text in answers])
    true = write(tmp_path / "true.json", [{"id": n, "answer": "t", "type": "k"} for n in (1, 2, 3)])
    loaded = read_pairs(said, true, (), Options())
    assert [(entry.id, entry.prediction, entry.target) for entry in loaded.entries] == [
        ("1", "a", "t"), ("2", "b", "t"), ("3", None, "t")]  # fmt: skip
    assert len(loaded.unpaired) == 3
    assert "prediction 3 (9) belongs to no reference" in loaded.unpaired[0]
    assert "second one" in loaded.unpaired[1]
    assert "reference 3 has no prediction" in loaded.unpaired[2]


def test_images_pair_by_file_name_or_stem_and_with_the_question_where_it_needs_one(tmp_path: Path) -> None:
    said = write(tmp_path / "said.json", [{"image": f"val/{name}.png", "caption": name} for name in "ab"])
    true = write(tmp_path / "true.json", [{"filename": f"{name}.tif", "sentences": ["t"]} for name in "ba"])
    assert [entry.prediction for entry in read_pairs(said, true, (), Options()).entries] == ["b", "a"]
    said = write(tmp_path / "s.json", [{"image": "a", "question": q, "answer": q} for q in ("how", "what")])
    true = write(tmp_path / "t.json", [{"image": "a", "question": q, "answer": "t"} for q in ("what", "how")])
    loaded = read_pairs(said, true, (), Options())
    assert [entry.prediction for entry in loaded.entries] == ["what", "how"]
    assert loaded.keys["paired by"] == "image and question"


def test_only_splits_with_predictions_are_asked(tmp_path: Path) -> None:
    said = write(tmp_path / "said.json", [{"filename": "a", "caption": "x"}])
    splits = (("a", "test"), ("b", "test"), ("c", "train"))
    rows = [{"filename": name, "split": split, "sentences": ["t"]} for name, split in splits]
    true = write(tmp_path / "true.json", rows)
    assert [entry.id for entry in read_pairs(said, true, (), Options()).entries] == ["a", "b"]
    paths = [{"filename": name, "filepath": f"images/{name}", "sentences": ["t"]} for name in "ab"]
    entries = read_pairs(said, write(tmp_path / "paths.json", paths), (), Options()).entries
    assert [entry.prediction for entry in entries] == ["x", None], "a path is no split"


def test_files_without_ids_pair_by_order_only_where_both_are_equally_long(tmp_path: Path) -> None:
    (tmp_path / "said.txt").write_text("a\nb\n")
    true = write(tmp_path / "true.json", [{"reference": "t"}, {"reference": "u"}])
    loaded = read_pairs(tmp_path / "said.txt", true, (), Options())
    assert [(entry.prediction, entry.target) for entry in loaded.entries] == [("a", "t"), ("b", "u")]
    assert loaded.keys["paired by"] == "order of the rows"
    rows = [{"split": split, "sentences": [split]} for split in ("train", "test", "test", "val")]
    split = read_pairs(tmp_path / "said.txt", write(tmp_path / "splits.json", rows), (), Options())
    assert [(entry.prediction, entry.target) for entry in split.entries] == [("a", ["test"]), ("b", ["test"])]
    (tmp_path / "said.txt").write_text("a\n")
    with pytest.raises(DataError, match="share no id"):
        read_pairs(tmp_path / "said.txt", true, (), Options())


@pytest.mark.parametrize(("value", "text"), [(None, ""), (3, "3"), (["a", 2], "a, 2"), ("x", "x"), (1.5, "1.5")])
def test_values_are_written_as_text(value: Any, text: str) -> None:
    assert text_of(value) == text
