"""MFU: the formulas against counted operations, GPUs by the names that drivers tell, and the log's line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from torch.utils.flop_counter import FlopCounterMode

from tests.train.test_resume import CONFIG, train
from tests.vlm.tiny import build_tiny
from train.adapters import Adapter
from train.estimate import TERAFLOPS
from train.mixture import Mixture, group_feed
from train.modules import Rates
from train.packing import IGNORED, collate
from train.plan import find_model_config
from train.progress import read_log, render_line
from train.recipes import nano
from train.sft import build_objective, parameter_groups
from train.speed import find_peak, find_speed
from train.steps import StepResult
from vlm.records import Sample


@pytest.mark.parametrize("rates", [Rates(), Rates(encoder=0.0)])
def test_operations_of_a_step_are_those_that_torch_counts(samples: list[Sample], rates: Rates) -> None:
    model, processor = build_tiny(pointer_width=0)
    parameter_groups(model, replace(CONFIG, rates=rates))
    mixture = Mixture([(group_feed(samples), 1.0)], processor, 4, 0, blind=0.0)
    piece = collate(processor, [mixture.draw(number) for number in range(4)])
    objective = build_objective(model, processor, CONFIG)
    with FlopCounterMode(display=False) as counter:
        objective(model, piece, objective.count(piece)).loss.backward()
    answered = int((piece["labels"][:, 1:] != IGNORED).sum())
    done = StepResult(0.0, 0.0, {}, 0.0, piece["input_ids"].numel(), 0, len(piece["tile_frames"]), answered)
    speed = find_speed(model.config, rates, Adapter(), devices=2, teraflops=0.5e-12)
    assert speed is not None
    assert speed.least_s(done, 4) == pytest.approx(counter.get_total_flops(), rel=0.1)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("NVIDIA A100-SXM4-80GB", "A100"),
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA H100 PCIe", "H100-PCIe"),
        ("NVIDIA GeForce RTX 4090", "RTX4090"),
    ],
)
def test_gpus_are_known_by_what_drivers_call_them(name: str, kind: str) -> None:
    assert find_peak(name) == TERAFLOPS[kind]


def test_what_is_not_known_is_not_told() -> None:
    assert find_peak("Some GPU 9") is None and find_peak("") is None
    config = find_model_config(nano(), start=None, parts=None)
    assert find_speed(config, Rates(), Adapter(), devices=1, teraflops=100) is None


def test_the_log_tells_the_share_of_the_peak(samples: list[Sample], tmp_path: Path) -> None:
    train(samples, tmp_path / "told", replace(CONFIG, steps=2, teraflops=1e-4))
    for line in read_log(tmp_path / "told" / "log.jsonl"):
        assert line["mfu"] > 0 and "MFU" in render_line(line)
    train(samples, tmp_path / "untold", replace(CONFIG, steps=1))
    assert all("mfu" not in line for line in read_log(tmp_path / "untold" / "log.jsonl"))
