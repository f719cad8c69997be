"""Where units run: in this process, in several, or on a Ray cluster. The result is the same."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace

from data_engine.unit import Task, run_unit
from vlm.errors import DataError

Tick = Callable[[int], None]
_AHEAD = 2
"""Tasks that wait for each process, so that none is idle."""
_LEAVE_SIGINT = (signal.SIGINT, signal.SIG_IGN)
"""Ctrl-C is for the process that the user started; it ends the others."""


def run_here(tasks: Iterable[Task], tick: Tick, *, faults: int) -> None:
    """Run one unit after the other in this process; `faults` are those of the units that were done before."""
    for task in tasks:
        done = _Count(tick)
        faults += run_unit(replace(task, faults=faults), done)
        tick(max(0, task.unit.size - done.items))


def run_processes(tasks: Iterable[Task], tick: Tick, *, faults: int, workers: int) -> None:
    """Run units in `workers` processes; the tasks are drawn as they are needed."""
    running: dict[Future[int], int] = {}
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=signal.signal, initargs=_LEAVE_SIGINT)
    try:
        for task in tasks:
            running[pool.submit(run_unit, replace(task, faults=faults))] = task.unit.size
            while len(running) >= _AHEAD * workers:
                faults += _collect(running, tick)
        while running:
            faults += _collect(running, tick)
    except BrokenProcessPool as error:
        raise DataError(
            "a worker process was killed, perhaps for lack of memory: take fewer --workers; the same command goes on"
        ) from error
    finally:
        if running:  # stopped on the way: what the processes have begun is done again, whole
            for process in multiprocessing.active_children():
                process.terminate()
        pool.shutdown(cancel_futures=True)


def _collect(running: dict[Future[int], int], tick: Tick) -> int:
    """Wait for a unit, report it, and give the faults of those that are done."""
    done, _ = wait(running, return_when=FIRST_COMPLETED)
    faults = 0
    for future in done:
        size = running.pop(future)
        faults += future.result()
        tick(size)
    return faults


class _Count:
    """Pass ticks on and count them."""

    def __init__(self, tick: Tick) -> None:
        self._tick, self.items = tick, 0

    def __call__(self, count: int) -> None:
        self.items += count
        self._tick(count)
