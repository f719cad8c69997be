"""While it trains a model is scored by the benchmark runner, and the model of the best score is kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from data_engine.cases import case_line
from tests.vlm.tiny import build_tiny
from train.evaluation import Evaluation, EvaluationSettings
from train.mixture import group_feed
from train.progress import read_log
from train.sft import SftConfig, train_sft
from vlm.checkpoint import load_checkpoint, save_checkpoint
from vlm.errors import InputError
from vlm.records import Sample

SUITE = "rsvqa-lr"
COUNTS = {"0": 3}


@pytest.fixture
def cases(samples: list[Sample], tmp_path: Path) -> Path:
    """Write a case file that asks for the colours which the samples teach."""
    asked = [sample for sample in samples if sample.task == "vqa"]
    lines = [
        case_line(
            sample.id, sample.images, "Which colour is it?", "presence", answers=[sample.turns[0].answer.template]
        )
        for sample in asked
    ]
    head = {"suite": SUITE, "split": "val", "cases": len(lines), "training": {"presence": COUNTS}}
    folder = tmp_path / "cases"
    folder.mkdir()
    (folder / f"{SUITE}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in [head, *lines]))
    return folder


@pytest.mark.slow
def test_the_best_model_is_kept_by_its_score(samples: list[Sample], cases: Path, tmp_path: Path) -> None:
    feeds = [(group_feed([sample for sample in samples if sample.task == "vqa"]), 1.0)]
    asked = EvaluationSettings(str(cases), minutes=0.0)
    config = SftConfig(batch=6, steps=120, learning_rate=3e-3, warmup_steps=5, evaluation=asked)
    out = tmp_path / "out"
    train_sft(*build_tiny(), feeds, config, out)
    scores = read_log(out / "evaluation.jsonl")
    assert [line["step"] for line in scores] == [0, 120]
    values = [line[f"{SUITE}/accuracy"] for line in scores]
    assert values[0] < values[1] == 1.0, "a model that knows nothing is scored first, and it learns"
    best = json.loads((out / "best" / "score.json").read_text())
    assert best == {"score": f"{SUITE}/accuracy", "value": 1.0, "lower_is_better": False, "step": 120}
    load_checkpoint(out / "best")

    train_sft(*build_tiny(), feeds, replace(config, steps=121, learning_rate=1.0), out)
    assert [line["step"] for line in read_log(out / "evaluation.jsonl")] == [0, 120, 121]
    assert json.loads((out / "best" / "score.json").read_text()) == best, "a worse one does not take its place"


def test_what_cannot_be_scored_is_said_before_any_work(samples: list[Sample], cases: Path, tmp_path: Path) -> None:
    feeds = [(group_feed(samples), 1.0)]
    wrong = {
        "holds no hrsid.jsonl: it has rsvqa-lr": EvaluationSettings(str(cases), ("hrsid",)),
        "holds no case file: it has none": EvaluationSettings(str(tmp_path / "nowhere")),
        "rsicd-scene is not asked, but rsvqa-lr": EvaluationSettings(str(cases), best="rsicd-scene"),
    }
    for words, asked in wrong.items():
        with pytest.raises(InputError, match=words):
            train_sft(*build_tiny(), feeds, SftConfig(batch=2, steps=2, evaluation=asked), tmp_path / "out")
    assert not (tmp_path / "out" / "checkpoints").exists()


def test_a_score_that_the_suite_does_not_give_is_named(cases: Path, tmp_path: Path) -> None:
    save_checkpoint(*build_tiny(), tmp_path / "model")
    evaluation = Evaluation(tmp_path / "out", EvaluationSettings(str(cases), best=f"{SUITE}/beauty"), "cpu")
    with pytest.raises(InputError, match=f"{SUITE} gives .*{SUITE}/accuracy"):
        evaluation.begin(tmp_path / "model")


def test_a_failure_later_costs_nothing_but_the_score(
    cases: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    evaluation = Evaluation(tmp_path / "out", EvaluationSettings(str(cases), minutes=0.0), "cpu")
    evaluation.follow(tmp_path / "nowhere", step=7, minutes=1.0, last=False)
    assert "step 7 is not evaluated" in caplog.text and "config.json" in caplog.text
