"""Jobs at work: a few at a time, in turns that go round the keys; each in a thread that asks the server's engine.

A job that is stopped by the end of the server stays unfinished, and goes on when the server starts again.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from serve.app.statuses import without_folders
from serve.engines.engine import Engine
from serve.engines.turns import Turns
from serve.errors import StoppedError
from serve.scan.asking import EngineAsker
from serve.scan.faults import faults
from serve.scan.ledger import TABLES, Pace
from serve.scan.options import ScanOptions
from serve.scan.run import run_scan
from serve.store.jobs import Job, JobStore
from serve.store.rasters import RasterStore
from vlm.errors import NadirError

AT_ONCE = 2
_MANY = 1_000_000


class JobRunner:
    """Run the jobs of a store with an engine; `start` and `close` belong to the app's event loop."""

    def __init__(self, engine: Engine, rasters: RasterStore, jobs: JobStore) -> None:
        self._engine, self._rasters, self._jobs = engine, rasters, jobs
        self._turns = Turns(at_once=AT_ONCE, waiting=_MANY, per_owner=_MANY)
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="nadir-job")
        self._running: dict[str, tuple[asyncio.Task[None], threading.Event]] = {}

    def start(self) -> None:
        """Go on with the jobs of an earlier run."""
        for job in self._jobs.unfinished():
            self.submit(job)

    def submit(self, job: Job) -> None:
        """Have a job done when its turn comes."""
        stop = threading.Event()
        task = asyncio.create_task(self._run(job, stop))
        self._running[job.id] = task, stop
        task.add_done_callback(lambda _: self._running.pop(job.id, None))

    async def cancel(self, job: Job) -> None:
        """Stop a job, and wait until nothing of it runs."""
        found = self._running.get(job.id)
        if found is None:
            return
        task, stop = found
        stop.set()
        if self._jobs.get(job.id, job.owner).state == "waiting":
            task.cancel()
        await asyncio.wait({task})

    async def close(self) -> None:
        """Stop all jobs, and wait until they have written down where they are."""
        running = [*self._running.values()]
        for _, stop in running:
            stop.set()
        for task, _ in running:
            if not task.done() and self._is_waiting(task):
                task.cancel()
        if running:
            await asyncio.wait({task for task, _ in running})
        self._pool.shutdown(wait=False)

    def _is_waiting(self, task: asyncio.Task[None]) -> bool:
        return any(
            job.state == "waiting" and self._running.get(job.id, (None,))[0] is task for job in self._jobs.unfinished()
        )

    async def _run(self, job: Job, stop: threading.Event) -> None:
        async with self._turns.turn(job.owner):
            if stop.is_set():
                return
            self._jobs.update(job.id, state="running")
            loop = asyncio.get_running_loop()
            try:
                ledger = await loop.run_in_executor(self._pool, self._scan, job, stop, loop)
            except StoppedError:
                return
            except faults() as error:
                self._jobs.update(job.id, state="failed", error=self._sentence(error))
            else:
                self._jobs.update(job.id, state="done", ledger=ledger)

    def _scan(self, job: Job, stop: threading.Event, loop: asyncio.AbstractEventLoop) -> dict[str, Any]:
        """Scan the job's raster in a thread; raises as run_scan."""
        raster = self._rasters.get(job.asked["raster"], job.owner)
        asker = EngineAsker(self._engine, loop, owner=job.owner, stop=stop)
        done = run_scan(
            str(self._rasters.path_of(raster)), job.asked["instruction"], out=result_of(job, self._jobs), asker=asker,
            options=ScanOptions(**job.asked["options"]), stop=stop, tell=lambda pace: self._tell(job, pace),
            called=raster.name,
        )  # fmt: skip
        return self._cleaned(done.ledger)

    def _tell(self, job: Job, pace: Pace) -> None:
        left_s = None if pace.left_s is None else round(pace.left_s, 1)
        progress = {"done": pace.done, "total": pace.total, "per_s": round(pace.rate, 3), "left_s": left_s}
        self._jobs.update(job.id, progress=progress)

    def _cleaned(self, ledger: dict[str, Any]) -> dict[str, Any]:
        """Take the server's folders out of the reasons of a ledger."""
        tables = {name: {self._plain(reason): n for reason, n in ledger[name].items()} for name in TABLES}
        return {**ledger, **tables}

    def _sentence(self, error: BaseException) -> str:
        if isinstance(error, NadirError):
            return self._plain(str(error))
        if isinstance(error, OSError):
            return f"the server's disk refuses ({error.strerror}): delete what is not needed, and start again"
        return "the server met an error of its own; its log says which"

    def _plain(self, sentence: str) -> str:
        return without_folders(sentence, self._rasters.hidden)


def result_of(job: Job, jobs: JobStore) -> Path:
    """Give the file of a job's features."""
    return jobs.folder_of(job) / f"result.{job.asked['format']}"
