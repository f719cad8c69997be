"""The checkpoints of a run: written beside the last good one, renamed when whole, checked when read.

The oldest are deleted.

out/checkpoints/step-00001200/    what the engine writes, and complete.json with the size and checksum of each file
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vlm.errors import CheckpointError, OutputError

LOG = logging.getLogger("nadir.train")
MANIFEST: Final = "complete.json"
NEW: Final = ".new"
LOCK: Final = ".lock"


@dataclass(frozen=True)
class Checkpoints:
    """Keep the newest `keep` checkpoints of a run in a folder."""

    folder: Path
    keep: int = 2

    def steps(self) -> list[int]:
        """Give the steps of which there are checkpoints, oldest first, whole or not."""
        names = [path.name for path in self.folder.glob("step-*") if path.is_dir()]
        return sorted(int(name.removeprefix("step-")) for name in names if name.removeprefix("step-").isdigit())

    def path(self, step: int) -> Path:
        """Name the folder of the checkpoint of a step."""
        return self.folder / f"step-{step:08d}"

    def new(self, step: int) -> Path:
        """Name the folder that the checkpoint of a step is written into."""
        return self.path(step).with_suffix(NEW)

    def open_new(self, step: int) -> Path:
        """Make that folder, empty; `finish` makes it count."""
        new = self.new(step)
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        return new

    def finish(self, step: int) -> None:
        """Make the new checkpoint of a step count, and delete those that are more than `keep`."""
        seal(self.new(step))
        replace_folder(self.new(step), self.path(step))
        for old in self.steps()[: -self.keep]:
            shutil.rmtree(self.path(old))

    def give_up(self, step: int) -> None:
        """Delete what was written of a checkpoint that could not be finished."""
        shutil.rmtree(self.new(step), ignore_errors=True)

    def forget_after(self, step: int) -> None:
        """Delete what a run that goes on from `step` will write again: damaged and half-written checkpoints."""
        for later in [self.path(one) for one in self.steps() if one > step] + list(self.folder.glob(f"step-*{NEW}")):
            shutil.rmtree(later)

    def newest(self) -> int | None:
        """Give the step of the newest whole checkpoint, None without any; a damaged one is named and passed over.

        Raises CheckpointError when all are damaged: to begin again from nothing is for the user to decide.
        """
        for step in reversed(self.steps()):
            reason = find_damage(self.path(step))
            if reason is None:
                return step
            LOG.warning("checkpoint %s is damaged (%s): going back to the one before", self.path(step), reason)
        if self.steps():
            raise CheckpointError(
                f"every checkpoint in {self.folder} is damaged: copy one back, or delete the folder to begin again"
            )
        return None


def seal(folder: Path) -> None:
    """Write the size and checksum of every file of a folder into it, and bring all of it to the disk."""
    files = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
    sums = {name: [path.stat().st_size, _checksum(path)] for name, path in files.items()}
    (folder / MANIFEST).write_text(json.dumps({"files": sums}, indent=1) + "\n")
    for path in (*files.values(), folder / MANIFEST):
        with path.open("rb") as file:
            os.fsync(file.fileno())


def find_damage(folder: Path) -> str | None:
    """Say what is wrong with a sealed folder, None where nothing is."""
    try:
        sums = json.loads((folder / MANIFEST).read_text())["files"]
    except (OSError, ValueError, KeyError):
        return f"{MANIFEST} cannot be read"
    for name, (size, checksum) in sums.items():
        path = folder / name
        if not path.exists():
            return f"{name} is missing"
        if path.stat().st_size != size:
            return f"{name} has {path.stat().st_size} bytes, expected {size}"
        if _checksum(path) != checksum:
            return f"{name} has another checksum than when it was written"
    return None


def replace_folder(new: Path, old: Path) -> None:
    """Put a new folder in an old one's place; whenever this is stopped, one of them is there whole."""
    aside = old.with_name(old.name + ".before")
    shutil.rmtree(aside, ignore_errors=True)
    if old.exists():
        old.rename(aside)
    new.rename(old)
    shutil.rmtree(aside, ignore_errors=True)


def write_folder(folder: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a new folder, and put it in `folder`'s place when it is whole; OutputError if it fails."""
    new = folder.with_name(folder.name + NEW)
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        write(new)
    except (OSError, RuntimeError) as error:
        shutil.rmtree(new, ignore_errors=True)
        raise OutputError(f"{folder} could not be written: {say_failure(error, folder)}") from error
    replace_folder(new, folder)


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Let one process make a folder while the others of a run wait, by a lock beside it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(folder.name + LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def write_once(folder: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a folder that is not there yet; of several processes one writes, and the others wait for it."""
    with one_at_a_time(folder):
        if not folder.exists():
            write_folder(folder, write)


def check_room(folder: Path, need_bytes: int, what: str) -> None:
    """Refuse to begin, with OutputError, where the disk of a folder has less room than `what` needs."""
    there = folder
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    if free < need_bytes:
        raise OutputError(
            f"{what} need {need_bytes / 1e9:.2f} GB on the disk of {folder}, which has {free / 1e9:.2f} GB free: make "
            "room, choose another --out, or keep fewer checkpoints (keep=1)"
        )


def say_failure(error: Exception, folder: Path) -> str:
    """Say why a write failed and how much room is left, in one line: torch reports a full disk by its source lines."""
    words = str(error).strip().splitlines()
    free = shutil.disk_usage(folder if folder.exists() else folder.parent).free
    return f"{words[0] if words else type(error).__name__} ({free / 1e9:.2f} GB are free)"


def _checksum(path: Path) -> int:
    found = 0
    with path.open("rb") as file:
        while part := file.read(1 << 22):
            found = zlib.crc32(part, found)
    return found
