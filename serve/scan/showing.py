"""Progress of a scan: a bar on a terminal, a line every few seconds elsewhere; both with rate, time left and cost."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from serve.scan.ledger import Pace

EVERY_S = 5.0


class Shown:
    """Show the pace of a scan; `say` writes the lines where no terminal is, `price` is that of an hour."""

    def __init__(self, say: Callable[[str], None], *, price: float | None = None, every_s: float = EVERY_S) -> None:
        console = Console(stderr=True)
        self._say, self._price, self._every_s, self._last = say, price, every_s, time.monotonic()
        self._bar = Progress(
            TextColumn("scan"), BarColumn(), TextColumn("{task.description}"), console=console,
            disable=not console.is_terminal,
        )  # fmt: skip
        self._task = self._bar.add_task("", total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def tell(self, pace: Pace) -> None:
        """Show how far the scan is."""
        line = pace.render(price=self._price)
        self._bar.update(self._task, total=pace.total, completed=pace.done, description=line)
        if self._bar.disable and time.monotonic() - self._last >= self._every_s:
            self._last = time.monotonic()
            self._say(line)
