"""Nadir as a model of lmms-eval: found by its entry point, asked by its own evaluator, with batches that spoil nothing.

Runs where lmms-eval is installed: `pip install lmms_eval` into an environment that holds this package.
"""

from __future__ import annotations

import json
import logging
import sys
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.eval_suites.made_files import write_picture
from vlm.errors import NadirError

pytest.importorskip("lmms_eval", reason="lmms-eval is not installed here: pip install lmms_eval")

TASK = """
task: nadir_made
dataset_path: json
dataset_kwargs:
  data_files:
    test: {rows}
test_split: test
output_type: generate_until
doc_to_visual: !function made.show
doc_to_text: !function made.ask
doc_to_target: answer
generation_kwargs:
  max_new_tokens: 8
  until: ["\\n"]
process_results: !function made.judge
metric_list:
  - metric: right
    aggregation: mean
    higher_is_better: true
"""
FUNCTIONS = """
from PIL import Image

def show(doc):
    return [Image.open(path).convert("RGBA") for path in doc["images"]]

def ask(doc, lmms_eval_specific_kwargs=None):
    return "<image>\\n" + doc["question"]

def judge(doc, results):
    return {"right": float(results[0] == doc["answer"])}
"""


@pytest.fixture(scope="module")
def model() -> Any:
    from eval_suites.lmms import NadirLmms

    return NadirLmms.create_from_arg_string("device=cpu", {"batch_size": "2", "max_batch_size": None})


def request(model: Any, shown: list[Any], words: str = "What is in the image?", **given: Any) -> Any:
    """Make a request as lmms-eval's tasks do: (words, options, function of the document, its number, task, split)."""
    model.task_dict = {"made": {"test": [None]}}
    options = {"max_new_tokens": 4, **given}
    return SimpleNamespace(args=(words, options, lambda _: shown, 0, "made", "test"), task_name="made")


def test_lmms_eval_finds_the_model_by_its_entry_point() -> None:
    found = [one for one in entry_points(group="lmms_eval.models") if one.name == "nadir"]
    if not found:
        pytest.skip("this environment holds an older installation of this package: install it again")
    from lmms_eval.models import get_model

    from eval_suites.lmms import NadirLmms

    assert get_model("nadir") is NadirLmms


def test_answers_are_those_of_the_path_that_users_take(model: Any, tmp_path: Path) -> None:
    from PIL import Image

    from vlm import Nadir

    path = write_picture(tmp_path / "a.png", size=(96, 64))
    nadir = Nadir.from_pretrained()
    said = model.generate_until([request(model, [Image.open(path)]), request(model, [str(path)], max_new_tokens=9),
                                 request(model, [], "What is a harbour?")])  # fmt: skip
    question = "What is in the image?"
    expected = [nadir.ask(path, question, max_new_tokens=tokens).text for tokens in (4, 9)]
    assert said == [*expected, nadir.ask_text("What is a harbour?", max_new_tokens=4).text]


def test_one_bad_question_spoils_no_other_and_is_counted(
    model: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good = request(model, [str(write_picture(tmp_path / "a.png"))])
    bad = [request(model, [{"array": [0.0]}]), request(model, [str(tmp_path / "gone.mp4")]), request(model, [], " ")]
    with caplog.at_level(logging.WARNING):
        said = model.generate_until([bad[0], good, good, bad[1], bad[2]])
    (alone,) = model.generate_until([good])
    assert said == ["", alone, alone, "", ""]
    assert "3 of 5 questions could not be asked" in caplog.text
    assert "the task shows dict, and Nadir looks at pictures alone" in caplog.text


def test_what_nadir_does_not_do_is_refused_in_a_sentence(model: Any) -> None:
    for ask in (model.loglikelihood, model.generate_until_multi_round):
        with pytest.raises(NadirError, match=r"task made asks for .*: Nadir answers tasks of output_type"):
            ask([request(model, [])])
    from eval_suites.lmms import NadirLmms

    with pytest.raises(NadirError, match="batch_size is 'auto': expected a whole number"):
        NadirLmms(batch_size="auto")
    with pytest.raises(NadirError, match="nowhere/at-all"):
        NadirLmms("nowhere/at-all")


def test_text_ends_at_the_first_stop_string() -> None:
    from eval_suites.lmms import cut_off

    assert [cut_off("a b. c", until) for until in (None, "", [], ".", ["c", "b"], ["x"])] == [
        "a b. c", "a b. c", "a b. c", "a b", "a ", "a b. c"]  # fmt: skip


def test_a_task_of_lmms_eval_is_scored_by_its_own_evaluator(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole path: a task's YAML, its data set, its functions, the evaluator's loop and its sum."""
    from lmms_eval.evaluator import simple_evaluate
    from lmms_eval.tasks import TaskManager

    images = [str(write_picture(tmp_path / f"{number}.png", seed=number)) for number in range(3)]
    rows = [{"images": [image], "question": "Is there a ship?", "answer": "no"} for image in images]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    (tmp_path / "task").mkdir()
    (tmp_path / "task" / "made.yaml").write_text(TASK.format(rows=tmp_path / "rows.json"))
    (tmp_path / "task" / "made.py").write_text(FUNCTIONS)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "argv", ["lmms-eval"])
    manager = TaskManager(include_path=str(tmp_path / "task"), include_defaults=False)
    result = simple_evaluate(model=model, tasks=["nadir_made"], task_manager=manager, log_samples=True, batch_size=2)
    samples = result["samples"]["nadir_made"]
    said = [sample["filtered_resps"][0] for sample in samples]
    assert len(said) == 3
    assert all(said)
    assert result["results"]["nadir_made"]["right,none"] == pytest.approx(sum(one == "no" for one in said) / 3)
