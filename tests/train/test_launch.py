"""`train/sft.py` starts with python and with deepspeed, and goes on where it stopped."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vlm.checkpoint import load_checkpoint

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = [str(ROOT / "train" / "sft.py"), "--recipe", "smoke", "--data", "nowhere", "--batch", "2"]
LAUNCHER = ("LOCAL_RANK", "RANK", "WORLD_SIZE")


def run(command: list[str]) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in LAUNCHER}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PATH": path}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def steps(out: Path) -> int:
    return json.loads((out / "model" / "training.json").read_text())["step"]


def test_python_starts_it_and_a_second_start_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "sft"
    for count in (2, 3):
        run([sys.executable, *SCRIPT, "--out", str(out), "--steps", str(count)])
        assert steps(out) == count
    load_checkpoint(out / "model")


def test_a_dry_run_prints_the_plan_and_touches_nothing(tmp_path: Path) -> None:
    said = run([sys.executable, *SCRIPT, "--out", str(tmp_path / "sft"), "--dry-run"])
    assert '"vocab_size": 400' in said
    assert not (tmp_path / "sft").exists()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="DeepSpeed compiles its communication operator with g++")
def test_deepspeed_starts_two_processes_that_train_one_model(tmp_path: Path) -> None:
    out = tmp_path / "sft"
    launch = [str(Path(sys.executable).parent / "deepspeed"), "--num_gpus", "2", "--master_port", "29617"]
    for count in (2, 3):
        run([*launch, *SCRIPT, "--out", str(out), "--steps", str(count)])
        assert steps(out) == count
    load_checkpoint(out / "model")
