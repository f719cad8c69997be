"""python -m eval_suites score: what it prints, writes, refuses, and the names that it answers to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eval_suites.__main__ import main
from eval_suites.rules.registry import find_rule

ROWS = [
    {"question_id": 1, "image": "a", "answer": "yes", "ground_truth": "yes", "type": "presence"},
    {"question_id": 2, "image": "a", "answer": "no", "ground_truth": "yes", "type": "presence"},
    {"question_id": 3, "image": "b", "answer": "3", "ground_truth": "3", "type": "count"},
    {"question_id": 4, "image": "b", "ground_truth": "urban", "type": "rural_urban"},
    {"question_id": 5, "image": "c", "answer": "rural", "type": "rural_urban"},
]
# Suite and protocol as the table of the field's benchmarks writes them, and what is meant.
NAMES = {
    "xlrs": {"lmms set-equality, micro+macro": "lmms", "xlrs-intersection": "intersection",
             "intersection+judge": "intersection"},
    "mme-rs": {"official letter rule": "official", "imagerag": "imagerag", "contain": "contain", "lmms-eval": "lmms"},
    "lrsvqa": {"WordNet > .8, AA": "wordnet", "stripped": "stripped"},
    "geochat-scene": {"nospace equality": "nospace", "contain": "contain"},
    "rsvqa": {"exact per type": "exact", "contain": "contain"},
    "vrsbench-cap": {"official": "coco"},
    "vrsbench-vqa": {"vqa rule-only + judge hook": "rule-only", "contain": "contain"},
    "caption-rsicd": {"COCO + PTB": "coco", "earthdial": "earthdial", "rsrag": "rsrag"},
    "caption-nwpu": {"": "coco"},
    "levircc": {"ids, S*m + words": "ids", "words": "words"},
    "dubai": {"": "ids"},
    "secondcc": {"": "ids"},
    "cdvqa": {"OA + AA": "oa-aa", "vista AA/8": "vista"},
    "qag": {"": "oa-aa"},
    "changechat": {"6 sub-scores": "sub-scores"},
    "choice": {"template rule": "template", "judge": "judge"},
    "earthvqa": {"": "oa-rmse"},
    "rsvlm-qa": {"": "judge"},
    "geobench": {"": "letter"},
    "vleo": {"": "counting"},
}  # fmt: skip


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    path = tmp_path / "said.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def score(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    main(["score", *map(str, arguments)])
    result: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return result


def test_the_last_line_says_what_was_scored_by_which_rule(
    predictions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = score(capsys, predictions, "--suite", "rsvqa-lr", "--out", tmp_path)
    assert {name: result[name] for name in ("suite", "protocol", "n", "missing", "left_out", "judge")} == {
        "suite": "rsvqa-lr", "protocol": "exact", "n": 4, "missing": 1, "left_out": 1, "judge": "none"}  # fmt: skip
    assert result["scores"]["OA"]["value"] == 0.5
    assert result["scores"][result["headline"]] == {"value": pytest.approx(1 / 3), "standard_error": pytest.approx(
        0.1, abs=0.2), "n": 3}  # fmt: skip
    assert result["tables"]["accuracy by type"]["presence"]["value"] == 0.5
    assert result["keys"] == {"prediction": "answer", "target": "ground_truth", "category": "type", "id": "question_id",
                              "group": "image", "paired by": "row"}  # fmt: skip
    assert result["unpaired"] == ["row 5 has no target (ground_truth): left out"]
    assert result["ties"] == []
    folder = tmp_path / "rsvqa-lr.exact"
    assert json.loads((folder / "result.json").read_text()) == result
    samples = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
    assert [sample["score"] for sample in samples] == [1, 0, 1, 0]
    assert samples[3] == {"id": "4", "group": "b", "category": "rural_urban", "prediction": None, "parsed": "",
                          "target": "urban", "score": 0, "explanation": "no prediction: counts as wrong",
                          "unparsed": True, "share": [0.0, 1.0]}  # fmt: skip


def test_all_protocols_of_a_suite_stand_beside_each_other(
    predictions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = score(capsys, predictions, "--suite", "rsvqa-lr", "--protocol", "all")["protocols"]
    assert [result["protocol"] for result in results] == ["exact", "quantised", "earthdial", "contain", "vhm"]
    assert all(result["n"] == 4 for result in results)
    letters = score(capsys, predictions, "--suite", "xlrs", "--protocol", "all")["protocols"]
    assert any("refused" in result for result in letters), "grounding does not fit answers without boxes"


def test_keys_references_and_raw_text_are_the_users_choice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "said.json").write_text(json.dumps([{"id": 1, "mine": "<think>A</think><answer>B</answer>"}]))
    (tmp_path / "true.json").write_text(json.dumps([{"id": 1, "letter": "B"}]))
    options = ("--suite", "geobench", "--references", tmp_path / "true.json", "--key", "prediction=mine",
               "--key", "target=letter")  # fmt: skip
    assert score(capsys, tmp_path / "said.json", *options)["scores"]["accuracy"]["value"] == 1
    raw = score(capsys, tmp_path / "said.json", *options, "--raw")
    assert (raw["scores"]["accuracy"]["value"], raw["payload"]) == (0, "raw text")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--suite", "nothing"), "no rule for suite 'nothing': known are"),
        (("--suite", "lrsvqa", "--protocol", "x"), "has no protocol 'x': known are wordnet, stripped"),
        (("--suite", "lrsvqa", "--key", "prediction"), "is no NAME=VALUE"),
        (("--suite", "levircc"), "give --file wordmap="),
        (("--suite", "lrsvqa", "--judge", "gpt"), "no judge 'gpt'"),
    ],
)
def test_mistakes_are_one_sentence(
    predictions: Path, caplog: pytest.LogCaptureFixture, arguments: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["score", str(predictions), *arguments])
    assert stopped.value.code == 2
    assert sentence in caplog.text


@pytest.mark.parametrize(("suite", "asked", "found"), [(suite, asked, found) for suite, names in NAMES.items()
                                                       for asked, found in names.items()])  # fmt: skip
def test_protocols_answer_to_the_names_of_the_table(suite: str, asked: str, found: str) -> None:
    assert find_rule(suite, asked or None).protocol == found
    assert find_rule(suite.upper().replace("-", "_"), asked.upper() or None).protocol == found


def test_many_questions_of_few_images_draw_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"image": number % 4, "pred": "yes" if number % 4 < 2 else "no", "gt": "yes"} for number in range(80)]
    (tmp_path / "said.json").write_text(json.dumps(rows))
    clustered = score(capsys, tmp_path / "said.json", "--suite", "rsvqa")["scores"]["OA"]
    for number, row in enumerate(rows):
        row["image"] = number
    (tmp_path / "said.json").write_text(json.dumps(rows))
    alone = score(capsys, tmp_path / "said.json", "--suite", "rsvqa")["scores"]["OA"]
    assert clustered["value"] == alone["value"] == 0.5
    assert clustered["standard_error"] > 2 * alone["standard_error"]
