"""A checkpoint counts when it is whole: damage is found, named and passed over, and a failed write destroys nothing."""

from __future__ import annotations

import logging
import resource
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from train.checkpoints import Checkpoints, check_room, find_damage, write_folder, write_once
from vlm.errors import CheckpointError, OutputError


def write(checkpoints: Checkpoints, *steps: int) -> None:
    for step in steps:
        (checkpoints.open_new(step) / "state.pt").write_bytes(bytes([step]) * 5000)
        checkpoints.finish(step)


@contextmanager
def full_disk(most_bytes: int) -> Iterator[None]:
    """Let no file grow beyond a size, which fails a write as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_the_newest_are_kept(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=2)
    assert checkpoints.newest() is None
    write(checkpoints, 1, 5, 12)
    assert checkpoints.steps() == [5, 12]
    assert checkpoints.newest() == 12


@pytest.mark.parametrize("damage", ["changed", "cut", "missing", "manifest"])
def test_a_damaged_one_is_passed_over_by_name(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    checkpoints = Checkpoints(tmp_path, keep=3)
    write(checkpoints, 1, 2)
    state, manifest = (checkpoints.path(2) / name for name in ("state.pt", "complete.json"))
    if damage == "changed":
        state.write_bytes(b"x" + state.read_bytes()[1:])
    elif damage == "cut":
        state.write_bytes(state.read_bytes()[:100])
    else:
        (state if damage == "missing" else manifest).unlink()
    with caplog.at_level(logging.WARNING):
        assert checkpoints.newest() == 1
    assert "step-00000002 is damaged" in caplog.text and "going back to the one before" in caplog.text


def test_it_never_begins_again_by_itself(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    write(checkpoints, 3)
    (checkpoints.path(3) / "state.pt").unlink()
    with pytest.raises(CheckpointError, match=r"every checkpoint in .* is damaged"):
        checkpoints.newest()


def test_one_that_was_being_written_does_not_count(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    write(checkpoints, 3)
    (checkpoints.open_new(4) / "state.pt").write_bytes(b"half")
    assert checkpoints.newest() == 3
    checkpoints.forget_after(3)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000003"]


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    write_folder(folder, lambda new: torch.save(torch.zeros(10), new / "weights.pt"))
    with (
        full_disk(200_000),
        pytest.raises(OutputError, match=r"model could not be written: .*GB are free"),
    ):
        write_folder(folder, lambda new: torch.save(torch.zeros(1_000_000), new / "weights.pt"))
    assert torch.equal(torch.load(folder / "weights.pt", weights_only=True), torch.zeros(10))
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_disk_that_is_too_small_is_named_before_work_begins(tmp_path: Path) -> None:
    check_room(tmp_path / "not" / "there", 1, "3 checkpoints")
    with pytest.raises(OutputError, match=r"3 checkpoints need 1000000000.00 GB on the disk of .* GB free: make room"):
        check_room(tmp_path / "run", 10**18, "3 checkpoints")


def test_a_sealed_folder_holds_what_it_says(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    write(checkpoints, 7)
    assert find_damage(checkpoints.path(7)) is None
    assert find_damage(tmp_path) == "complete.json cannot be read"


def test_of_several_that_need_a_folder_one_writes_it_and_none_reads_half_of_it(tmp_path: Path) -> None:
    folder, writers = tmp_path / "out" / "tokenizer", []

    def write(new: Path) -> None:
        writers.append(new)
        with (new / "words").open("w") as file:
            for _ in range(10):
                file.write("word ")
                file.flush()
                time.sleep(0.01)

    def use(_: int) -> str:
        write_once(folder, write)
        return (folder / "words").read_text()

    with ThreadPoolExecutor(4) as processes:
        assert set(processes.map(use, range(4))) == {"word " * 10}
    assert len(writers) == 1
