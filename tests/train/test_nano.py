"""The chain of rounds: each starts from the one before, none is run twice, and what comes out can be asked."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from train import nano
from train.modules import Rates
from train.recipes import RECIPES, Round, smoke
from vlm.answer import Nadir
from vlm.checkpoint import load_checkpoint


def test_rounds_follow_each_other_and_are_not_run_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = (Round("sft", 0.02, rates=Rates(encoder=0.5)), Round("sft", 0.02))
    monkeypatch.setitem(RECIPES, "smoke", lambda: replace(smoke(), rounds=rounds, scenes=4))
    words = ["nano", "--recipe", "smoke", "--data", str(tmp_path), "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", words)
    nano.main()
    states = [tmp_path / "out" / f"round-{number}-sft" / "model" / "model.safetensors" for number in (1, 2)]
    first, second = map(load_file, states)
    tower = [name for name in first if name.startswith("encoder.clip.visual")]
    assert all(torch.equal(first[name], second[name]) for name in tower), "the second round keeps the tower as it is"
    assert any(not torch.equal(first[name], second[name]) for name in first)
    written = [state.stat().st_mtime_ns for state in states]
    nano.main()
    assert [state.stat().st_mtime_ns for state in states] == written
    model, _ = load_checkpoint(tmp_path / "out" / "model")
    assert model.dtype == torch.float32
    assert isinstance(Nadir.from_pretrained(tmp_path / "out" / "model"), Nadir)
