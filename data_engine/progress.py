"""Progress of a stage: a bar on a terminal, a line every few seconds elsewhere; both with rate and time left."""

from __future__ import annotations

import logging
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.text import Text

LOG = logging.getLogger("nadir.data")
EVERY_S = 5.0


class Progress:
    """Show how many items of a stage are done; `total` is None while it is not known."""

    def __init__(self, title: str, total: int | None, *, every_s: float = EVERY_S) -> None:
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
        self._bar = Bar(*columns, console=console, disable=not console.is_terminal)
        self._task = self._bar.add_task(title, total=total)
        self.title, self.total, self.done, self.every_s = title, total, 0, every_s
        self._first = 0
        self._began = self._last = time.monotonic()

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def advance(self, count: int = 1) -> None:
        """Report that `count` more items are done."""
        self.done += count
        self._bar.update(self._task, completed=self.done)
        self._report()

    def skip(self, count: int) -> None:
        """Report that `count` items were done before: they do not count for the rate."""
        self._first += count
        self.advance(count)

    def expect(self, total: int) -> None:
        """Say how many items there are in all, as soon as it is known or better known."""
        self.total = total
        self._bar.update(self._task, total=total)

    @property
    def rate(self) -> float:
        """Give the items a second since the beginning, those that were done before left out."""
        return (self.done - self._first) / max(1e-6, time.monotonic() - self._began)

    def _report(self) -> None:
        now = time.monotonic()
        if not self._bar.disable or now - self._last < self.every_s:
            return
        self._last = now
        LOG.info("%s: %s", self.title, self.render())

    def render(self) -> str:
        """Write how far it is, how fast, and the seconds left where they can be told."""
        if self.total is None or self.done == self._first:
            return f"{self.done:,}, {self.rate:,.1f}/s"
        left_s = max(0, self.total - self.done) / self.rate
        return f"{self.done:,} of {self.total:,}, {self.rate:,.1f}/s, {left_s:,.0f} s left"


class _Rate(ProgressColumn):
    """Show the items a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.1f}/s" if speed else "")
