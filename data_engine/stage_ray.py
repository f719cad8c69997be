"""Units on a Ray cluster: Ray Data maps them, one block each; a worker that dies is replaced and its unit done again.

Every node needs this package and sees the input and output folders under the same paths. Units write their own shards
and records there, so that nothing but numbers comes back, and a cluster that is lost costs the units that were running.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import Any, Final

from data_engine.unit import Task, run_unit
from vlm.errors import DataError, NadirError

LOCAL: Final = "local"
WINDOW: Final = 512
"""Units that are given to Ray at once; their payloads are in its memory."""
_OBJECT_BYTES: Final = 512 * 2**20


def run_ray(tasks: Iterable[Task], tick: Callable[[int], None], *, faults: int, address: str, workers: int) -> None:
    """Run units on the Ray cluster at `address`; "local" starts one here with `workers` workers (1: every core).

    Raises DataError when a unit fails, when Ray is not installed, and when the cluster is not there.
    """
    with _cluster(address, workers):
        drawn = iter(tasks)
        while window := list(islice(drawn, WINDOW)):
            faults += sum(_run_window([replace(task, faults=faults) for task in window], tick))


def _run_window(tasks: list[Task], tick: Callable[[int], None]) -> Iterator[int]:
    """Run some units and yield the faults of each as it is done."""
    import ray.data
    from ray import cloudpickle

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    items = [{"task": cloudpickle.dumps(task)} for task in tasks]
    done = ray.data.from_items(items, override_num_blocks=len(items)).map(_run_row, num_cpus=1)
    for row in done.iter_rows():
        if row["error"]:
            raise DataError(row["error"])
        tick(row["size"])
        yield row["faults"]


def _run_row(row: dict[str, Any]) -> dict[str, Any]:
    """Run one unit on a worker; a refusal comes back as its sentence."""
    from ray import cloudpickle

    task: Task = cloudpickle.loads(row["task"])
    try:
        return {"size": task.unit.size, "faults": run_unit(task), "error": ""}
    except NadirError as error:
        return {"size": task.unit.size, "faults": 0, "error": str(error)}


@contextmanager
def _cluster(address: str, workers: int) -> Iterator[None]:
    """Connect to a cluster or start one, and leave it; a cluster that this process is in already is used as it is."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise DataError('--ray needs Ray: install the extra with pip install "nadir-vlm[ray]"') from error
    if ray.is_initialized():
        yield
        return
    options: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
    if address == LOCAL:
        cores = workers if workers > 1 else os.cpu_count()
        options |= {"num_cpus": cores, "include_dashboard": False, "object_store_memory": _OBJECT_BYTES}
    else:
        options |= {"address": address}
    try:
        ray.init(**options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise DataError(f"no Ray cluster at {address!r} ({error}): start one, or take --ray {LOCAL}") from error
    try:
        yield
    finally:
        ray.shutdown()
