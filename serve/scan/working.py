"""The work of a scan: windows are read, skipped where they hold no data, asked, asked again, and journalled.

Threads read and ask; the calling thread alone writes the journal. A few windows are under way at any time, so that
memory is that of these. A window that fails is recorded with its reason, and never stops the others.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from serve.errors import BusyError, RateError, StoppedError
from serve.scan.asking import AnswerError, Asker, GoneError, View, reason_of
from serve.scan.faults import faults
from serve.scan.findings import Finding
from serve.scan.journal import Journal
from serve.scan.options import ScanOptions
from serve.scan.plan import Target, read_targets
from vlm.errors import NadirError, RasterError

if TYPE_CHECKING:
    from vlm.bands import Rendering
    from vlm.raster import Pixels, Raster

ATTEMPTS = 3
_PAUSE_S = 0.5
_AHEAD = 2
Group = tuple[Target, list[int]]


def groups_to_do(plan: Path, journal: Journal, *, batch: int) -> Iterator[Group]:
    """Yield windows that are not finished, or have failed before, in groups of one raster."""
    for target in read_targets(plan):
        numbers = range(target.first, target.first + target.windows)
        left = (number for number in numbers if journal.state(number) in (None, "failed"))
        while group := list(islice(left, batch)):
            yield target, group


class Worker:
    """Read and ask windows in one of several threads; `stop` ends it between two windows."""

    def __init__(self, asker: Asker, instruction: str, options: ScanOptions, stop: threading.Event) -> None:
        self._asker, self._instruction, self._options, self._stop = asker, instruction, options, stop
        self._own = threading.local()

    def __call__(self, group: Group) -> list[Finding]:
        """Give the findings of a group; StoppedError and GoneError where the scan ends before they are known."""
        target, numbers = group
        views: list[View] = []
        findings: list[Finding] = []
        for number in numbers:
            found = self._look(target, number)
            if isinstance(found, View):
                views.append(found)
            else:
                findings.append(found)
        return findings + (self._ask(views) if views else [])

    def _look(self, target: Target, number: int) -> View | Finding:
        """Read what a window shows; it is empty where no pixel is valid."""
        window, attempt = target.window(number), 0
        size = max(1, round(window.w / target.scale)), max(1, round(window.h / target.scale))
        while True:
            self._require_going()
            try:
                raster, rendering = self._open(target)
                pixels: Pixels = raster.read(window, size, rendering)
            except faults() as error:
                self._close()
                attempt += 1
                if attempt == ATTEMPTS:
                    return Finding(number, "failed", reason=reason_of(error))
                self._stop.wait(_PAUSE_S * attempt)
                continue
            if not pixels.valid.any():
                return Finding(number, "empty")
            return View(number, target.path, window, pixels, target.scale)

    def _ask(self, views: Sequence[View]) -> list[Finding]:
        """Ask views together, and one by one where that fails."""
        if len(views) > 1:
            try:
                return self._asker.ask(self._instruction, views, self._options)
            except (GoneError, StoppedError):
                raise
            except faults():
                return [self._ask_one(view) for view in views]
        return [self._ask_one(views[0])]

    def _ask_one(self, view: View) -> Finding:
        """Ask one view until it is answered, refused, or has failed ATTEMPTS times; a full queue is waited for."""
        attempt = 0
        while True:
            self._require_going()
            try:
                return self._asker.ask(self._instruction, [view], self._options)[0]
            except (GoneError, StoppedError):
                raise
            except (BusyError, RateError) as error:
                self._stop.wait(getattr(error, "retry_s", _PAUSE_S))
            except faults() as error:
                attempt += 1
                again = isinstance(error, AnswerError | RasterError) or not isinstance(error, NadirError)
                if not again or attempt == ATTEMPTS:
                    return Finding(view.number, "failed", reason=reason_of(error))
                self._stop.wait(_PAUSE_S * attempt)

    def _open(self, target: Target) -> tuple[Raster, Rendering]:
        """Open a raster once a thread, and keep it open while its windows come."""
        from vlm.raster import Raster

        kept = getattr(self._own, "kept", None)
        if kept is None or kept[0] != target.path:
            self._close()
            raster = Raster.open(target.path)
            self._own.kept = (target.path, raster, raster.renderings(self._options.bands, limit=1)[0])
        _, raster, rendering = self._own.kept
        return raster, rendering

    def _close(self) -> None:
        kept = getattr(self._own, "kept", None)
        if kept is not None:
            kept[1].close()
        self._own.kept = None

    def _require_going(self) -> None:
        if self._stop.is_set():
            raise StoppedError("the scan was stopped: the same command goes on where it was")


def work_off(
    groups: Iterator[Group],
    worker: Worker,
    journal: Journal,
    *,
    threads: int,
    stop: threading.Event,
    tick: Callable[[int], None],
) -> None:
    """Have threads do groups of windows and journal what they find; `tick` hears how many more are finished.

    Raises StoppedError when `stop` is set and GoneError when nobody answers; what was finished by then is kept.
    """
    with ThreadPoolExecutor(threads, thread_name_prefix="nadir-scan") as pool:
        pending: set[Future[list[Finding]]] = set()
        try:
            for group in groups:
                pending.add(pool.submit(worker, group))
                if len(pending) >= _AHEAD * threads:
                    _collect(pending, journal, tick)
            while pending:
                _collect(pending, journal, tick)
        finally:
            if pending:
                stop.set()
                _keep_finished(pending, journal, tick)


def _collect(pending: set[Future[list[Finding]]], journal: Journal, tick: Callable[[int], None]) -> None:
    """Wait for the first groups that are finished, take them out of `pending` and journal them."""
    done, _ = wait(pending, return_when=FIRST_COMPLETED)
    pending -= done
    sound = [future for future in done if future.exception() is None]
    _write([finding for future in sound for finding in future.result()], journal, tick)
    for future in done:
        future.result()


def _keep_finished(pending: set[Future[list[Finding]]], journal: Journal, tick: Callable[[int], None]) -> None:
    """Journal what was under way when the scan was told to end."""
    for future in pending:
        future.cancel()
    done, _ = wait(pending)
    sound = [future for future in done if not future.cancelled() and future.exception() is None]
    _write([finding for future in sound for finding in future.result()], journal, tick)


def _write(findings: list[Finding], journal: Journal, tick: Callable[[int], None]) -> None:
    if findings:
        journal.append(sorted(findings, key=lambda finding: finding.number))
        tick(len(findings))
