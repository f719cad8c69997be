"""The scan itself: plan, work, merge, write; each step can be killed and goes on where it was.

scan("area.tif", "Where are the ships?", out="ships.parquet")
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serve.errors import StoppedError
from serve.scan.asking import Asker
from serve.scan.features import Feature, choose_kinds, features_of
from serve.scan.folder import ScanFolder, describe
from serve.scan.journal import Journal
from serve.scan.ledger import Ledger, Pace
from serve.scan.options import ScanOptions, require_askable
from serve.scan.plan import Plan, Target, read_targets, require_unchanged, write_plan
from serve.scan.who import Who
from serve.scan.working import Group, Worker, groups_to_do, work_off
from serve.scan.writers import About, require_suffix, write_features
from vlm.cli_ask import check_writable

_KEEP_EVERY_S = 5.0
Tell = Callable[[Pace], None]
Say = Callable[[str], None]
Tick = Callable[[int], None]
WorkOff = Callable[[Iterator[Group], Journal, threading.Event, Tick], None]
"""Do groups of windows and journal what is found in them."""


@dataclass(frozen=True, slots=True)
class Scanned:
    """Hold where the features of a scan lie, how many there are, and its ledger."""

    path: Path
    features: int
    ledger: dict[str, Any]


def run_scan(
    source: str | Path,
    instruction: str,
    *,
    out: str | Path,
    asker: Asker,
    options: ScanOptions,
    work: WorkOff | None = None,
    fresh: bool = False,
    stop: threading.Event | None = None,
    tell: Tell = lambda _: None,
    say: Say = lambda _: None,
    called: str | None = None,
) -> Scanned:
    """Ask an instruction of every window of a source and write what was found.

    The same call after a kill goes on where it was; windows that have failed are asked again. `tell` hears the pace,
    `say` the notes of the plan; `called` is what the output calls the source (None: each raster by its path); `work`
    does the windows elsewhere than in threads of this process. Raises InputError and DataError for what cannot be
    scanned, OutputError where the output is another scan's or cannot be written, StoppedError when `stop` is set,
    GoneError when nobody answers.
    """
    place, stop = Path(out), stop or threading.Event()
    require_suffix(place)
    require_askable(instruction, options)
    check_writable(place)
    folder = ScanFolder(place)
    what = describe(str(source), instruction, options, asker.model, asker.digest)
    with folder.claimed(fresh=fresh):
        plan = _planned(folder, str(source), options, what)
        for note in plan.notes:
            say(note)
        finished = folder.finished()
        if finished is not None and not finished["failed"]:
            return Scanned(place, finished["features"], finished)
        folder.reopen()
        with Journal(folder.journal, windows=plan.windows) as journal:
            chosen = work or _threads(asker, instruction, options)
            _work(folder, plan, journal, chosen, asker.batch, stop, tell)
            about = About(plan.crs, asker.model, instruction, called)
            ledger = _write_out(folder, plan, journal, options, about, stop)
        folder.finish(ledger)
    return Scanned(place, ledger.features, ledger.to_dict())


def _planned(folder: ScanFolder, source: str, options: ScanOptions, what: dict[str, Any]) -> Plan:
    """Give the plan of a scan that was begun, or make it; a file that changed since is refused."""
    plan = folder.load(what)
    if plan is not None:
        for target in read_targets(folder.plan):
            if not target.left_out:
                require_unchanged(target)
        return plan
    plan = write_plan(source, options, folder.plan)
    folder.begin(what, plan)
    return plan


def _threads(asker: Asker, instruction: str, options: ScanOptions) -> WorkOff:
    """Give what does windows in threads of this process."""

    def work(groups: Iterator[Group], journal: Journal, stop: threading.Event, tick: Tick) -> None:
        worker = Worker(asker, instruction, options, stop)
        work_off(groups, worker, journal, threads=asker.at_once, stop=stop, tick=tick)

    return work


def _work(
    folder: ScanFolder,
    plan: Plan,
    journal: Journal,
    work: WorkOff,
    batch: int,
    stop: threading.Event,
    tell: Tell,
) -> None:
    """Do every window that is not done, and keep the seconds that it took."""
    done = sum(journal.state(number) in ("answered", "empty") for number in range(plan.windows))
    pace, before = Pace(plan.windows, plan.km2, done=done), folder.seconds()
    kept_at = time.monotonic()

    def tick(count: int) -> None:
        nonlocal kept_at
        pace.done += count
        if time.monotonic() - kept_at > _KEEP_EVERY_S:
            kept_at = time.monotonic()
            folder.keep_seconds(before + pace.seconds)
        tell(pace)

    tell(pace)
    groups = groups_to_do(folder.plan, journal, batch=batch)
    try:
        work(groups, journal, stop, tick)
    finally:
        folder.keep_seconds(before + pace.seconds)


def _write_out(
    folder: ScanFolder, plan: Plan, journal: Journal, options: ScanOptions, about: About, stop: threading.Event
) -> Ledger:
    """Count what came of every window, merge, and write the output."""
    ledger = Ledger(planned=plan.windows, km2=plan.km2, seconds=folder.seconds())
    for number in range(plan.windows):
        if (finding := journal.find(number)) is not None:
            ledger.count(finding)
    ledger.require_sum()
    kinds = choose_kinds(options.task, regions=ledger.regions)

    def features() -> Iterator[Feature]:
        for target in _scanned(folder.plan, ledger):
            for feature in features_of(target, journal, kinds):
                if stop.is_set():
                    raise StoppedError("the scan was stopped: the same command goes on where it was")
                ledger.joined += feature.windows - 1
                yield feature

    ledger.features = write_features(features(), folder.out, folder.merged, about)
    return ledger


def _scanned(plan: Path, ledger: Ledger) -> Iterator[Target]:
    """Yield the rasters that were scanned, and count those that were left out."""
    for target in read_targets(plan):
        if target.left_out:
            ledger.left_out[target.left_out] += 1
        else:
            yield target


def scan(
    source: str | Path,
    instruction: str,
    *,
    out: str | Path,
    model: str | Path | None = None,
    servers: Sequence[str] = (),
    asker: Asker | None = None,
    fresh: bool = False,
    **options: Any,
) -> Scanned:
    """Ask an instruction of every window of a raster, a folder, a VRT or a STAC file, and write GeoParquet or others.

    Who answers is the built-in model, the model of a directory, `servers` (addresses), or any Asker. `options` are the
    fields of ScanOptions; raises as run_scan.
    """
    chosen = ScanOptions(**options)
    require_askable(instruction, chosen)
    own = asker or Who(None if model is None else Path(model), tuple(servers)).build()
    try:
        return run_scan(source, instruction, out=out, asker=own, options=chosen, fresh=fresh)
    finally:
        if asker is None:
            own.close()
