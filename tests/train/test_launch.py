"""`train/sft.py` starts with python and with every launcher, and goes on where it stopped, whoever starts it next."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data_engine.corpus import SYNTH, write_places
from data_engine.stage import StageOptions
from vlm.checkpoint import load_checkpoint

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = [str(ROOT / "train" / "sft.py"), "--recipe", "smoke", "--batch", "2"]
LAUNCHER = ("LOCAL_RANK", "RANK", "WORLD_SIZE")
ACCELERATE = "import vlm.compat; from accelerate.commands.launch import main; main()"
"""What `accelerate launch` runs; it, too, imports torchvision, which vlm.compat heals where it is half installed."""
LIMIT_S = 300


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with the store of synthetic places that the recipe would render."""
    folder = tmp_path_factory.mktemp("data")
    write_places(8, folder / SYNTH, options=StageOptions())
    return folder


def run(*commands: list[str]) -> str:
    """Run commands beside each other, and end them and what they started when one fails or takes too long."""
    environment = {name: value for name, value in os.environ.items() if name not in LAUNCHER}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PATH": path}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "start_new_session": True}
    started = [subprocess.Popen(command, env=environment, cwd=ROOT, **pipes) for command in commands]  # type: ignore[call-overload]
    end, said = time.monotonic() + LIMIT_S, []
    try:
        said = [one.communicate(timeout=max(1.0, end - time.monotonic()))[0] for one in started]
    finally:
        for one in started:
            if one.poll() is None:
                os.killpg(one.pid, signal.SIGKILL)
                one.communicate()
    assert [one.returncode for one in started] == [0] * len(commands), "\n".join(said)[-3000:]
    return "".join(said)


def steps(out: Path) -> int:
    return json.loads((out / "model" / "training.json").read_text())["step"]


def free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def test_python_starts_it_and_a_second_start_goes_on(tmp_path: Path, data: Path) -> None:
    out = tmp_path / "sft"
    for count in (2, 3):
        run([sys.executable, *SCRIPT, "--data", str(data), "--out", str(out), "--steps", str(count)])
        assert steps(out) == count
    load_checkpoint(out / "model")


def test_a_dry_run_prints_the_plan_and_touches_nothing(tmp_path: Path) -> None:
    said = run([sys.executable, *SCRIPT, "--data", "nowhere", "--out", str(tmp_path / "sft"), "--dry-run"])
    assert '"vocab_size": 400' in said
    assert not (tmp_path / "sft").exists()


def launchers(folder: Path) -> dict[str, list[list[str]]]:
    """Give what stands before the script, for each launcher that starts two processes on this machine."""
    hosts = folder / "hosts"
    hosts.write_text("localhost slots=1\n127.0.0.1 slots=1\n")
    port, here = free_port(), "127.0.0.1"
    nodes = ["deepspeed", "--hostfile", str(hosts), "--no_ssh", "--master_addr", here, "--master_port", port]
    return {
        "deepspeed": [["deepspeed", "--num_gpus", "2", "--master_port", port]],
        "two nodes": [[*nodes, "--node_rank", str(node)] for node in (0, 1)],
        "torchrun": [["torchrun", "--nnodes", "1", "--nproc_per_node", "2", "--rdzv_backend", "c10d",
                      "--rdzv_endpoint", f"{here}:{port}", "--local_addr", here]],
        "accelerate": [[sys.executable, "-c", ACCELERATE, "--multi_gpu", "--num_processes", "2", "--num_machines", "1",
                        "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", port]],
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", ["deepspeed", "two nodes", "torchrun", "accelerate"])
def test_a_launcher_starts_two_processes_that_train_one_model(tmp_path: Path, data: Path, name: str) -> None:
    out = tmp_path / "sft"
    words = [*SCRIPT, "--data", str(data), "--out", str(out), "--steps", "2"]
    run(*([*command, *words] for command in launchers(tmp_path)[name]))
    assert steps(out) == 2
    layout = json.loads((out / "checkpoints" / "step-00000002" / "layout.json").read_text())
    assert (layout["processes"], layout["zero"]) == (2, 1)
    load_checkpoint(out / "model")
