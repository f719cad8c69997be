"""A run that is killed goes on as if nothing had happened; what cannot go on is refused, by a sentence, untouched."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.train.test_checkpoints import full_disk
from tests.vlm.tiny import build_tiny
from train.guard import TrainingError
from train.mixture import group_feed
from train.modules import Rates
from train.progress import read_log
from train.sft import SftConfig, train_sft
from vlm.checkpoint import load_checkpoint
from vlm.errors import CheckpointError, InputError, OutputError
from vlm.records import Sample

CONFIG = SftConfig(batch=2, steps=12, warmup_steps=3, save_steps=2, save_minutes=1e9, log_steps=1, workers=0)


def train(samples: Sequence[Sample], out: Path, config: SftConfig = CONFIG, **sizes: Any) -> list[float]:
    """Train the tiny model, with dropout, and give the losses of all steps in the log."""
    model, processor = build_tiny(**{"difference_dropout": 0.3, **sizes})
    train_sft(model, processor, [(group_feed(samples), 1.0)], config, out)
    return losses(out)


def losses(out: Path) -> list[float]:
    lines = read_log(out / "log.jsonl")
    assert [line["step"] for line in lines] == list(range(1, len(lines) + 1))
    return [line["loss"] for line in lines]


def kill_at(out: Path, step: int, run: multiprocessing.process.BaseProcess) -> None:
    """Send SIGKILL to a run as soon as its log has a step."""
    for _ in range(60_000):
        if len(read_log(out / "log.jsonl")) >= step or not run.is_alive():
            break
        time.sleep(0.001)
    assert run.is_alive() and run.pid is not None
    os.kill(run.pid, signal.SIGKILL)
    run.join()


@pytest.mark.parametrize("settings", [{}, {"pack_tokens": 0, "accumulate": 2, "average": 0.9, "recompute": True}])
def test_a_killed_run_goes_on_bit_by_bit(samples: list[Sample], tmp_path: Path, settings: Mapping[str, Any]) -> None:
    config = replace(CONFIG, **settings)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    expected = train(samples, whole, config)
    run = multiprocessing.get_context("fork").Process(target=train, args=(samples, cut, config))
    run.start()
    kill_at(cut, 5, run)
    assert len(read_log(cut / "log.jsonl")) < 12
    assert train(samples, cut, config) == expected
    models = [load_checkpoint(out / "model")[0].state_dict() for out in (whole, cut)]
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])


def test_how_a_step_is_cut_up_changes_no_loss(samples: list[Sample], tmp_path: Path) -> None:
    base = replace(CONFIG, batch=4, steps=4, save_steps=None)
    expected = train(samples, tmp_path / "one", base, difference_dropout=0.0)
    for name, settings in {"pieces": {"accumulate": 4}, "recomputed": {"recompute": True}}.items():
        found = train(samples, tmp_path / name, replace(base, **settings), difference_dropout=0.0)
        assert found == pytest.approx(expected, abs=1e-4), name


def test_a_damaged_checkpoint_costs_the_steps_since_the_one_before(
    samples: list[Sample], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected = train(samples, tmp_path, replace(CONFIG, steps=6))
    newest = tmp_path / "checkpoints" / "step-00000006" / "state.pt"
    newest.write_bytes(newest.read_bytes()[:-1000])
    with caplog.at_level(logging.WARNING):
        assert train(samples, tmp_path, replace(CONFIG, steps=6)) == expected
    assert "step-00000006 is damaged (state.pt has" in caplog.text


def test_a_full_disk_costs_no_checkpoint_but_its_own(
    samples: list[Sample], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train(samples, tmp_path, replace(CONFIG, steps=4))
    with full_disk(100_000), pytest.raises(OutputError, match=r"that of step 4 stands: make room and start again"):
        train(samples, tmp_path, replace(CONFIG, steps=8))
    assert "step 6 could not be written" in caplog.text and "training goes on" in caplog.text
    assert [path.name for path in sorted((tmp_path / "checkpoints").iterdir())] == ["step-00000002", "step-00000004"]
    load_checkpoint(tmp_path / "model")


@pytest.mark.parametrize(
    ("config", "sizes", "said"),
    [
        (CONFIG, {"pointer_width": 16}, r"is of another model: pointer\.\S+ is \(.*\) in it and \(.*\) in this one"),
        (replace(CONFIG, rates=Rates(encoder=0)), {}, r"encoder\.clip\S+ is \(.*\) in it and not trained in this one"),
    ],
)
def test_a_checkpoint_of_another_shape_is_refused_and_kept(
    samples: list[Sample], tmp_path: Path, config: SftConfig, sizes: Mapping[str, int], said: str
) -> None:
    train(samples, tmp_path, replace(CONFIG, steps=1))
    with pytest.raises(CheckpointError, match=said):
        train(samples, tmp_path, config, **sizes)
    assert len(losses(tmp_path)) == 1


def test_other_frozen_weights_are_noticed(samples: list[Sample], tmp_path: Path) -> None:
    train(samples, tmp_path, replace(CONFIG, steps=1, rates=Rates(llm=0)))
    model, processor = build_tiny(seed=1, difference_dropout=0.3)
    with pytest.raises(CheckpointError, match="beside other frozen weights"):
        train_sft(
            model, processor, [(group_feed(samples), 1.0)], replace(CONFIG, steps=2, rates=Rates(llm=0)), tmp_path
        )


def test_a_batch_that_cannot_be_shared_is_refused_before_anything_is_written(
    samples: list[Sample], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"batch=2 conversations cannot be shared out to 1 processes in 3 pieces"):
        train(samples, tmp_path / "run", replace(CONFIG, accumulate=3))
    assert not (tmp_path / "run").exists()


def test_a_model_that_breaks_stops_the_run_and_keeps_the_checkpoint(samples: list[Sample], tmp_path: Path) -> None:
    train(samples, tmp_path, replace(CONFIG, steps=2))
    model, processor = build_tiny(difference_dropout=0.3)
    model.projector.register_forward_hook(lambda *_: torch.full_like(_[2], float("nan")))
    with pytest.raises(TrainingError, match=r"training stopped at step \d+: 3 of the last 100 steps"):
        train_sft(model, processor, [(group_feed(samples), 1.0)], replace(CONFIG, most_bad=3), tmp_path)
    assert (tmp_path / "checkpoints" / "step-00000002").is_dir()
    for name, weights in load_checkpoint(tmp_path / "model")[0].state_dict().items():
        assert torch.isfinite(weights).all(), name
