"""The command line of instruction tuning: settings by key, plans that touch nothing, mistakes in one sentence."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.data_engine.made_corpora import make_image, say, store
from tests.vlm.tiny import build_tiny
from train import align, grpo
from train.nano import round_config
from train.plan import find_model_config
from train.recipes import RECIPES, find_recipe
from train.start import run
from train.words import WordsConfig, train_words
from vlm.checkpoint import save_checkpoint
from vlm.errors import DataError
from vlm.records import Task


def plan(caplog: pytest.LogCaptureFixture, *words: str) -> list[str]:
    caplog.clear()
    caplog.set_level("INFO", "nadir.train")
    run("", ["--data", "nowhere", "--out", "nowhere", "--dry-run", *words])
    return caplog.messages


def test_settings_arrive_by_name(caplog: pytest.LogCaptureFixture) -> None:
    words = ["--recipe", "smoke", "--steps", "7", "batch=4", "rates.encoder=0.25", "adapter.kind=lora", "scenes=3"]
    said = json.loads(plan(caplog, *words)[-1])
    assert said["config"]["rates"]["encoder"] == 0.25 and said["config"]["adapter"]["kind"] == "lora"
    assert (said["config"]["steps"], said["config"]["batch"], said["config"]["minutes"]) == (7, 4, None)
    assert said["recipe"]["scenes"] == 3


def test_a_plan_says_what_trains_what_a_step_is_and_what_it_takes(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    save_checkpoint(*build_tiny(), tmp_path / "tiny")
    said = plan(caplog, "--recipe", "lora", "--start", str(tmp_path / "tiny"), "steps=10", "batch=6", "accumulate=3")
    assert any(line.split()[:1] == ["encoder"] and line.endswith("frozen") for line in said)
    assert any("2 conversations x 3 pieces x 1 processes = 6" in line for line in said)
    assert any("GiB" in line and "fits" in line for line in said)
    assert not Path("nowhere").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--recipe", "lore"], "there is no recipe 'lore': known are nano, smoke, full, lora"),
        (
            ["--recipe", "smoke", "rates.decoder=1"],
            "no setting 'rates.decoder'.*known are rates.encoder, rates.text_tower",
        ),
        (["--recipe", "smoke", "batch=big"], "batch=big cannot be read: expected a whole number, now 24"),
        (["--recipe", "lora", "--llm", "no/model"], "size of the language model 'no/model' is not known here"),
    ],
)
def test_a_mistake_is_one_sentence(words: list[str], sentence: str) -> None:
    with pytest.raises(SystemExit, match=sentence):
        run("", ["--data", "nowhere", "--out", "nowhere", "--dry-run", *words])


LACKS: list[tuple[Callable[[], None], list[str], str]] = [
    (align.main, [], "the contrastive part of alignment learns from samples of caption, and .* holds vqa 3: make some"),
    (
        grpo.main,
        [],
        "reinforcement learns from samples of classify, vqa.* holds caption 3: name data whose answers can",
    ),
    (lambda: run(""), ["--recipe", "full"], "instruction tuning learns from .*, and .* holds no samples: name another"),
    (lambda: run(""), ["--recipe", "full", "answers=no"], "the pointer learns from answers that name places, and .*"),
]


@pytest.mark.parametrize(("main", "words", "sentence"), LACKS, ids=["align", "grpo", "sft", "point"])
def test_data_without_the_task_are_a_sentence_before_anything_is_begun(
    main: Callable[[], None], words: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task: Task = "caption" if main is grpo.main else "vqa"
    count = 0 if "no samples" in sentence else 3
    data = store(tmp_path / "data", [say(number, make_image(number), task=task) for number in range(count)])
    start = tmp_path / "tiny" if "answers=no" in words else tmp_path / "nowhere"
    if start.name == "tiny":
        save_checkpoint(*build_tiny(), start)
    out = tmp_path / "out"
    monkeypatch.setattr(sys, "argv", ["it", "--data", str(data), "--start", str(start), "--out", str(out), *words])
    with pytest.raises(SystemExit, match=sentence):
        main()
    assert not out.exists()


def test_towers_without_captions_are_refused(tmp_path: Path) -> None:
    model, processor = build_tiny()
    with pytest.raises(DataError, match="the towers learn from captions, and no sample is one: make some"):
        train_words(model, processor, [say(0, make_image(0), task="vqa")], WordsConfig(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_built_in_recipe_gives_what_it_gave() -> None:
    recipe = find_recipe("nano")
    last = round_config(recipe, recipe.rounds[-2], seed=3)
    assert (last.learning_rate, last.rates.encoder, last.encoder_groups, last.bf16) == (8e-4, 0.2, 12, True)
    assert set(last.rates.table().values()) == {0.0, 0.2, 1.0} and last.rates.text_tower == 0.0
    assert last.minutes == 25 and last.adapter.kind == "full" and not last.depthwise
    assert [round_config(recipe, turn, seed=0).answers for turn in recipe.rounds[1:]] == [True, False, True, True]


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_recipe_has_sizes(name: str) -> None:
    recipe = find_recipe(name)
    config = find_model_config(recipe, start=None, parts=recipe.parts)
    assert config.text_config.hidden_size >= 32
