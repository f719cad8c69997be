"""Progress of a run: a bar on a terminal, a line every few seconds elsewhere; both with rate and time left."""

from __future__ import annotations

import logging
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

LOG = logging.getLogger("nadir.eval")
EVERY_S = 10.0


class Progress:
    """Show how far each stage of a suite is."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        score = TextColumn("{task.fields[score]}")
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), score)
        self._bar = Bar(*columns, console=console, disable=not console.is_terminal)
        self._tasks: dict[str, TaskID] = {}
        self._began: dict[str, float] = {}
        self._last = time.monotonic()

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def step(self, title: str, done: int, total: int, score: str = "") -> None:
        """Report that `done` of `total` cases of a stage are answered, and their score so far."""
        now = time.monotonic()
        began = self._began.setdefault(title, now)
        if title not in self._tasks:
            self._tasks[title] = self._bar.add_task(title, total=total, score="")
        self._bar.update(self._tasks[title], completed=done, score=score)
        if self._bar.disable and done and (now - self._last >= EVERY_S or done == total):
            rate = done / max(1e-6, now - began)
            left_s = (total - done) / max(rate, 1e-6)
            LOG.info("%s: %d of %d, %.1f/s, %.0f s left %s", title, done, total, rate, left_s, score)
            self._last = now
