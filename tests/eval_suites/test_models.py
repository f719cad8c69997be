"""Which model is meant, files of predictions, and fakes that know the answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eval_suites.__main__ import main
from eval_suites.models.fakes import FakeAnswerer
from eval_suites.models.find import ModelOptions, find_model
from eval_suites.models.predictions import PredictionAnswerer
from eval_suites.score_box import build_box_scorer
from tests.eval_suites.made_cases import make_case
from tests.eval_suites.made_files import write_scene_cases
from vlm.errors import CheckpointError, DataError
from vlm.geometry import HBB, OBB
from vlm.model_dir import BUILT_IN


def test_fakes_reach_the_ends_of_the_scale() -> None:
    cases = [make_case(n, geometry=HBB(10, 5, 60 + n, 40)) for n in range(6)]
    score = build_box_scorer("box")
    found = {}
    for dialect in ("nadir", "qwen2.5", "qwen3", "vrsbench"):
        for kind in ("perfect", "empty", "random"):
            outputs = FakeAnswerer(kind, dialect=dialect).ask(cases, max_new_tokens=1, blind=False)
            rows = score(cases, outputs, training={}, dialect=dialect).rows
            found[kind] = sum(row.score for row in rows) / 6
        assert found["perfect"] > 0.95
        assert found["empty"] == 0
        assert 0 < found["random"] < 0.8


def test_a_random_fake_chooses_among_options_or_other_targets() -> None:
    cases = [make_case(n, answers=["yes" if n % 2 else "no"]) for n in range(40)]
    told = FakeAnswerer("random").ask(cases, max_new_tokens=1, blind=True)
    assert set(told) == {"yes", "no"}
    assert told == FakeAnswerer("random").ask(cases, max_new_tokens=1, blind=True)
    with pytest.raises(DataError, match="known are fake:perfect"):
        find_model("fake:lucky", ModelOptions())


def test_oriented_boxes_are_written_in_the_window_that_is_shown() -> None:
    case = make_case(0, geometry=OBB(40, 25, 20, 10, 30))
    (told,) = FakeAnswerer("perfect").ask([case], max_new_tokens=1, blind=False)
    assert told.startswith("<obb>")


@pytest.mark.parametrize("as_list", [True, False])
@pytest.mark.parametrize("keys", [("id", "output"), ("question_id", "answer"), ("Question_id", "Output")])
def test_predictions_of_other_programs_are_read(keys: tuple[str, str], as_list: bool, tmp_path: Path) -> None:
    rows: list[Any] = [{keys[0]: f"case/{n}", "ground_truth": "x", keys[1]: f"said {n}"} for n in range(3)]
    path = tmp_path / "p.json"
    path.write_text(json.dumps(rows) if as_list else "\n".join(map(json.dumps, rows)))
    answerer = find_model(str(path), ModelOptions(name="theirs"))
    told = answerer.ask([make_case(2), make_case(7)], max_new_tokens=1, blind=False)
    assert list(told) == ["said 2", None]
    assert (answerer.name, answerer.sees) == ("theirs", False)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "is not JSON"),
        ('[{"a": 1}]', "has no key for the prediction"),
        ('[{"id": "case/0", "answer": 2}, {"id": "case/0", "answer": 3}]', "gives their ids, such as 'case/0', once"),
        ('[{"id": 1, "answer": 2}]', "says nothing of the 1 cases"),
    ],
)
def test_files_that_are_no_predictions_are_refused(content: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text(content)
    with pytest.raises(DataError, match=sentence):
        PredictionAnswerer(path).ask([make_case(0)], max_new_tokens=1, blind=False)


def test_a_run_of_a_file_has_no_blind_baseline_and_says_so(tmp_path: Path) -> None:
    cases = write_scene_cases(tmp_path / "cases", count=4)
    run = ["run", "rsicd-scene", "--cases", str(cases), "--out", str(tmp_path / "a")]
    main([*run, "--model", "fake:perfect"])
    first = tmp_path / "a" / "rsicd-scene"
    assert json.loads((first / "result.json").read_text())["scores"]["accuracy"]["value"] == 1
    main([*run[:-1], str(tmp_path / "b"), "--model", str(first / "samples.jsonl")])
    result = json.loads((tmp_path / "b" / "rsicd-scene" / "result.json").read_text())
    assert result["scores"]["accuracy"]["value"] == 1
    assert result["gain_over_blind"] is None
    main(["report", str(tmp_path / "b"), str(tmp_path / "page.md")])
    assert "| not asked | not asked |" in (tmp_path / "page.md").read_text()


def test_a_hub_id_is_loaded_by_the_real_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lay the built-in model into a hub cache as somebody's repository, and ask it by its id."""
    revision = "0" * 40
    home = tmp_path / "models--somebody--nano"
    snapshot = home / "snapshots" / revision
    snapshot.mkdir(parents=True)
    for path in BUILT_IN.iterdir():
        (snapshot / path.name).symlink_to(path)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(revision)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    answerer = find_model("somebody/nano", ModelOptions())
    assert answerer.name == "somebody/nano"
    cases = make_case(0)
    assert len(list(answerer.ask([cases], max_new_tokens=2, blind=True))) == 1
    with pytest.raises(CheckpointError, match="cannot be had from the hub"):
        find_model("somebody/else", ModelOptions())
