"""The jobs of the server, on disk: a folder each, so that a restart forgets none and unfinished ones go on.

    DATA/jobs/<id>/job.json       whose it is, what was asked, how far it is
    DATA/jobs/<id>/result.*       the features, when it is done; beside it the journal of its scan

A job is seen by its owner alone: to others it is missing.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from secrets import token_hex
from typing import Any, Literal

from serve.errors import BusyError, MissingError, RateError
from serve.settings import Limits
from vlm.output import write_text

State = Literal["waiting", "running", "done", "failed"]
OPEN: tuple[State, ...] = ("waiting", "running")


@dataclass(frozen=True, slots=True)
class Job:
    """Describe one job; times are seconds since 1970, `asked` is the request's body, `progress` what the scan tells.

    `expires` counts from the end of the job; `error` is the sentence of a failed one, `ledger` that of a done one.
    """

    id: str
    owner: str
    asked: dict[str, Any]
    state: State
    created: float
    expires: float
    progress: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    ledger: dict[str, Any] = field(default_factory=dict)


class JobStore:
    """Keep jobs under a folder; safe to use from several threads of one process."""

    def __init__(self, folder: Path, limits: Limits, *, now: Callable[[], float] = time.time) -> None:
        self._folder, self._limits, self._now = folder.resolve() / "jobs", limits, now
        self._lock = threading.Lock()
        self._kept: dict[str, Job] = {}
        self._folder.mkdir(parents=True, exist_ok=True)
        for entry in os.scandir(self._folder):
            self._load(Path(entry.path))

    def add(self, owner: str, asked: dict[str, Any]) -> Job:
        """Take a job; BusyError where too many are open in all, RateError where too many of this owner are."""
        with self._lock:
            open_ = [job for job in self._kept.values() if job.state in OPEN]
            if len(open_) >= self._limits.jobs:
                raise BusyError(f"{len(open_)} jobs are open already, which is the most: ask again later")
            own = sum(job.owner == owner for job in open_)
            if own >= self._limits.jobs_per_key:
                raise RateError(f"{own} jobs of this key are open already: wait for one, or delete it", retry_s=30.0)
            now = self._now()
            job = Job(token_hex(10), owner, asked, "waiting", now, now + self._limits.keep_s)
            (self._folder / job.id).mkdir()
            self._keep(job)
        return job

    def get(self, id: str, owner: str) -> Job:
        """Find a job of an owner; MissingError for one that is not there, expired, or somebody else's."""
        found = self._kept.get(id)
        if found is None or found.owner != owner or self._expired(found):
            raise MissingError(f"there is no job {id[:40]!r}: expected an id that POST /v1/jobs gave to this key")
        return found

    def list_of(self, owner: str) -> list[Job]:
        """List an owner's jobs, the newest first."""
        own = [job for job in [*self._kept.values()] if job.owner == owner and not self._expired(job)]
        return sorted(own, key=lambda job: (-job.created, job.id))

    def unfinished(self) -> list[Job]:
        """List the jobs that are to go on, the oldest first."""
        return sorted((job for job in self._kept.values() if job.state in OPEN), key=lambda job: job.created)

    def update(self, id: str, **changes: Any) -> None:
        """Change a job that is still there, on disk where its state changes; one that ends lives on for a while."""
        with self._lock:
            found = self._kept.get(id)
            if found is None:
                return
            state = changes.get("state", found.state)
            if state not in OPEN:
                changes["expires"] = self._now() + self._limits.keep_s
            changed = replace(found, **changes)
            if state == found.state and state in OPEN:
                self._kept[id] = changed
            else:
                self._keep(changed)

    def delete(self, id: str, owner: str) -> None:
        """Delete a job and its files; raises as get."""
        self._remove(self.get(id, owner))

    def sweep(self) -> int:
        """Delete what has expired, and count it."""
        gone = [job for job in [*self._kept.values()] if self._expired(job)]
        for job in gone:
            self._remove(job)
        return len(gone)

    def folder_of(self, job: Job) -> Path:
        """Give the folder of a job."""
        return self._folder / job.id

    def _expired(self, job: Job) -> bool:
        return job.state not in OPEN and job.expires <= self._now()

    def _keep(self, job: Job) -> None:
        write_text(self._folder / job.id / "job.json", json.dumps(asdict(job), ensure_ascii=False) + "\n")
        self._kept[job.id] = job

    def _remove(self, job: Job) -> None:
        with self._lock:
            self._kept.pop(job.id, None)
        (self._folder / job.id / "job.json").unlink(missing_ok=True)
        shutil.rmtree(self._folder / job.id, ignore_errors=True)

    def _load(self, folder: Path) -> None:
        """Read a job of an earlier run; a folder that a crash left half-way is removed."""
        try:
            job = Job(**json.loads((folder / "job.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            shutil.rmtree(folder, ignore_errors=True)
            return
        self._kept[job.id] = replace(job, state="waiting") if job.state == "running" else job
