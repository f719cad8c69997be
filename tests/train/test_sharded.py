"""DeepSpeed's three stages give the losses of one process, go on where they were killed, and change into each other."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing.context import ForkProcess
from pathlib import Path

import pytest
import torch

from tests.train.made_tasks import make_samples
from tests.train.test_resume import CONFIG, losses, train
from train.engine import EngineSettings, check_layout
from train.progress import read_log
from train.sft import SftConfig
from train.sharded import deepspeed_json
from train.shards import Layout, Shard, States, cut_evenly
from vlm.checkpoint import load_checkpoint
from vlm.errors import CheckpointError
from vlm.records import Sample

STEPS, SAVED = 20, 10
"""Steps of a run, and of the checkpoint that others go on from."""
BASE = replace(CONFIG, batch=4, steps=STEPS, save_steps=SAVED)
LIMIT_S = 300
Runs = Sequence[tuple[Path, SftConfig]]


def launch(samples: Sequence[Sample], runs: Runs) -> list[ForkProcess]:
    """Start two processes as every launcher does, by RANK and its siblings; each makes the runs one after the other."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=join, args=(rank, port, samples, runs)) for rank in (0, 1)]
    for process in processes:
        process.start()
    return processes


def join(rank: int, port: str, samples: Sequence[Sample], runs: Runs) -> None:
    names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in names.items()})
    for out, config in runs:
        train(samples, out, config, difference_dropout=0.0)


def wait(processes: Sequence[ForkProcess], done: Callable[[], bool]) -> None:
    """Wait until something is done or a process ends; then send SIGKILL to those that run."""
    end = time.monotonic() + LIMIT_S
    while not done() and all(process.is_alive() for process in processes) and time.monotonic() < end:
        time.sleep(0.005)
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process.pid or 0, signal.SIGKILL)
        process.join()


def kill_between(processes: Sequence[ForkProcess], out: Path) -> None:
    """Kill a run after its first checkpoint and before its last step."""
    wait(processes, lambda: len(read_log(out / "log.jsonl")) > SAVED + 1)
    assert SAVED < len(read_log(out / "log.jsonl")) < STEPS, [process.exitcode for process in processes]


def finish(processes: Sequence[ForkProcess]) -> None:
    for process in processes:
        process.join(LIMIT_S)
    codes = [process.exitcode for process in processes]
    wait(processes, lambda: True)
    assert codes == [0, 0]


def copy_half(run: Path, to: Path) -> Path:
    """Copy a run as it stood when its first checkpoint was written."""
    shutil.copytree(run, to)
    shutil.rmtree(to / "checkpoints" / f"step-{STEPS:08d}")
    return to


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train the tiny model in one process, in two by each stage, killed and not, and on from others' checkpoints."""
    import deepspeed  # noqa: F401  # once, for all that are forked

    folder = tmp_path_factory.mktemp("runs")
    samples = [one for made in make_samples(folder, 2).values() for one in made]
    one, two, three = folder / "one", folder / "zero-2", folder / "zero-3"
    train(samples, one, BASE, difference_dropout=0.0)
    stage_1, stage_2, stage_3 = (replace(BASE, zero=stage) for stage in (1, 2, 3))
    kill_between(launch(samples, [(folder / "zero-1", replace(stage_1, accumulate=2)), (two, stage_2)]), two)
    kill_between(launch(samples, [(two, stage_2), (three, stage_3)]), three)
    to_two = copy_half(one, folder / "python-to-zero-2")
    to_three = copy_half(two, folder / "zero-2-to-zero-3")
    finish(launch(samples, [(three, stage_3), (to_two, stage_2), (to_three, stage_3)]))
    for stage in (two, three):
        train(samples, copy_half(stage, folder / f"{stage.name}-to-python"), BASE, difference_dropout=0.0)
    return folder


RUNS = ("zero-1", "zero-2", "zero-3", "python-to-zero-2", "zero-2-to-zero-3", "zero-2-to-python", "zero-3-to-python")


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_processes_that_share_a_model_killed_or_changed_have_the_losses_of_one(runs: Path, name: str) -> None:
    assert losses(runs / name) == pytest.approx(losses(runs / "one"), abs=1e-4)
    weights, expected = (load_checkpoint(runs / one / "model")[0].state_dict() for one in (name, "one"))
    for key, weight in expected.items():
        torch.testing.assert_close(weights[key], weight, atol=1e-3, rtol=0, msg=key)


@pytest.mark.parametrize("ranks", [1, 3, 4])
def test_what_is_cut_is_put_together_again(ranks: int) -> None:
    parameters = {"wide": torch.arange(10.0), "single": torch.tensor([7.0])}
    shards = []
    for rank in range(ranks):
        stretches = cut_evenly([(name, len(one)) for name, one in parameters.items()], rank, ranks)
        flat = torch.full((sum(-(-len(one) // ranks) for one in parameters.values()),), -1.0)
        for part in stretches:
            flat[part.at : part.at + part.numel] = parameters[part.name][part.start : part.start + part.numel]
        shards.append(Shard(stretches, {"weight": flat, "exp_avg": 2 * flat}, step=5.0))
    states = States(shards)
    for name, one in parameters.items():
        assert torch.equal(states.read(name, "weight"), one)
        assert torch.equal(states.read(name, "exp_avg"), 2 * one)
        assert not states.read(name, "exp_avg_sq").any()
    flat = torch.zeros(11)
    state = states.fill(flat, cut_evenly([("wide", 10), ("single", 1)], 0, 1))
    assert torch.equal(flat, torch.cat([*parameters.values()])) and state["step"] == 5


def test_what_cannot_be_shared_out_anew_is_refused() -> None:
    here = Layout(2, 0)
    assert check_layout(here, here, Path("run"))
    assert not check_layout(Layout(1, None), Layout(8, 3), Path("run"))
    with pytest.raises(CheckpointError, match="with python alone, this run has processes 2, zero 0: only zero"):
        check_layout(Layout(1, None), here, Path("run"))


def test_the_settings_become_deepspeeds_json() -> None:
    made = deepspeed_json(EngineSettings(zero=3, offload="all", weights="bfloat16", micro_batch=3, clip_norm=0.5))
    zero = made["zero_optimization"]
    assert (zero["stage"], zero["offload_param"]["device"], zero["offload_optimizer"]["device"]) == (3, "cpu", "cpu")
    assert made["bf16"]["enabled"] and not made["fp16"]["enabled"]
    assert (made["train_micro_batch_size_per_gpu"], made["gradient_clipping"]) == (3, 0.5)
    assert "offload_param" not in deepspeed_json(EngineSettings(zero=2, offload="all"))["zero_optimization"]
