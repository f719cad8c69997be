"""What is left beside a checkpoint tells what ran: the card, the curve, and TensorBoard's events."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from train.run_card import write_card
from train.trackers import open_trackers
from vlm.errors import InputError

NOTES = {"step": 20, "minutes": 1.5, "commit": "abc123", "config": {"learning_rate": 0.001, "batch": 24}}


def test_a_run_leaves_a_card_and_a_curve(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    lines = [{"step": step, "loss": 2.0 / step, "loss/ground": 3.0 / step} for step in (5, 10, 20)]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    write_card(tmp_path, NOTES, ledger={"skipped": 0}, data=[{"source": "rsicd", "samples": 7}])
    card = (tmp_path / "run.md").read_text()
    assert "20 steps in 1.5 minutes, commit abc123." in card
    assert "| rsicd | 7 |" in card and "| learning_rate | 0.001 |" in card and "| skipped | 0 |" in card
    written = json.loads((tmp_path / "model" / "training.json").read_text())
    assert written["config"] == NOTES["config"] and written["data"] == [{"source": "rsicd", "samples": 7}]
    with Image.open(tmp_path / "loss.png") as picture:
        assert picture.width > 500 and len(set(picture.convert("RGB").get_flattened_data())) > 3


def test_tensorboard_holds_what_was_logged(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (listen,) = open_trackers(tmp_path, wandb="", settings={})
    listen(5, {"loss": 1.5})
    listen(10, {"loss": 0.5})
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload().Scalars("loss")
    assert [(event.step, event.value) for event in events] == [(5, 1.5), (10, 0.5)]


def test_a_tracker_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.trackers.find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install wandb"):
        open_trackers(tmp_path, wandb="nadir", settings={})
