"""Windows on a Ray cluster: Ray Data gives them to actors that have loaded the model once; the journal stays here.

Every node needs this package and sees the rasters under the same paths. What comes back are findings, which this
process alone writes down, so that a cluster that is lost costs the windows that were under way.
"""

from __future__ import annotations

import logging
import os
import pickle
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, Final, cast

from serve.errors import RequestError, StoppedError
from serve.scan.findings import Finding
from serve.scan.journal import Journal
from serve.scan.options import ScanOptions
from serve.scan.who import Who
from serve.scan.working import Group, Worker
from vlm.errors import NadirError

LOCAL: Final = "local"
_GROUPS: Final = 512
_OBJECT_BYTES: Final = 256 * 2**20


class Actor:
    """Load the model once in a worker process, and answer groups of windows there."""

    def __init__(self, who: Who, instruction: str, options: ScanOptions) -> None:
        self._work = Worker(who.build(), instruction, options, threading.Event())

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Answer one group; a refusal comes back as its sentence."""
        try:
            return {"findings": pickle.dumps(self._work(pickle.loads(row["group"]))), "error": ""}
        except NadirError as error:
            return {"findings": b"", "error": str(error)}


def work_on_ray(
    groups: Iterator[Group],
    who: Who,
    instruction: str,
    options: ScanOptions,
    journal: Journal,
    *,
    address: str,
    actors: int,
    stop: threading.Event,
    tick: Callable[[int], None],
) -> None:
    """Have `actors` processes of the cluster at `address` ("local" starts one here) do groups of windows.

    Raises RequestError where Ray is not installed, the cluster is not there, or an actor cannot answer at all.
    """
    with _cluster(address, actors):
        while chunk := list(islice(groups, _GROUPS * actors)):
            for findings in _run_chunk(chunk, who, instruction, options, actors):
                journal.append(findings)
                tick(len(findings))
                if stop.is_set():
                    raise StoppedError("the scan was stopped: the same command goes on where it was")


def _run_chunk(
    chunk: list[Group], who: Who, instruction: str, options: ScanOptions, actors: int
) -> Iterator[list[Finding]]:
    """Run some groups on actors and yield the findings of each as it is done."""
    import ray
    import ray.data

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    items = [{"group": pickle.dumps(group)} for group in chunk]
    gpus = 1 if not who.servers and ray.cluster_resources().get("GPU", 0) >= actors else 0
    rows = ray.data.from_items(items, override_num_blocks=len(items)).map(
        cast(Any, Actor),
        fn_constructor_args=(who, instruction, options),
        concurrency=(1, actors),
        num_cpus=1,
        num_gpus=gpus,
    )
    for row in rows.iter_rows():
        if row["error"]:
            raise RequestError(row["error"])
        yield pickle.loads(row["findings"])


@contextmanager
def _cluster(address: str, actors: int) -> Iterator[None]:
    """Connect to a cluster or start one, and leave it; one that this process is in already is used as it is."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise RequestError('--ray needs Ray: install the extra with pip install "nadir-vlm[ray]"') from error
    if ray.is_initialized():
        yield
        return
    options: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
    if address == LOCAL:
        options |= {"num_cpus": actors, "include_dashboard": False, "object_store_memory": _OBJECT_BYTES}
    else:
        options |= {"address": address}
    try:
        ray.init(**options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise RequestError(f"no Ray cluster at {address!r} ({error}): start one, or take --ray {LOCAL}") from error
    try:
        yield
    finally:
        ray.shutdown()
