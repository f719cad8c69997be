"""What `nadir scan` does: what can be refused is refused before the model is loaded; progress; a line of JSON."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from serve.errors import RequestError, StoppedError
from serve.scan.asking import Asker, View, digest_of
from serve.scan.dry import estimate_scan
from serve.scan.findings import Finding
from serve.scan.journal import Journal
from serve.scan.ledger import Ledger
from serve.scan.on_ray import work_on_ray
from serve.scan.options import ScanOptions, require_askable
from serve.scan.run import Scanned, Tick, WorkOff, run_scan
from serve.scan.showing import Shown
from serve.scan.sources import find_sources
from serve.scan.who import Who
from serve.scan.working import Group
from serve.scan.writers import require_suffix
from vlm.cli_ask import check_writable
from vlm.model_dir import model_dir

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Running:
    """Hold how a scan runs, which changes nothing of what it gives.

    `ray` is the address of a cluster and `actors` how many answer there; `price` is that of an hour, in any currency.
    """

    ray: str | None = None
    actors: int = 1
    price: float | None = None
    fresh: bool = False
    dry_run: bool = False


def run_scan_command(
    source: str, instruction: str, *, out: Path, who: Who, options: ScanOptions, running: Running, say: Say, show: Say
) -> None:
    """Scan, or say what a scan would take; `say` writes the line of JSON at the end, `show` what a person reads."""
    require_suffix(out)
    check_writable(out)
    require_askable(instruction, options)
    if who.servers and (who.model is not None or running.ray):
        raise RequestError("--server is given with --model or --ray: servers have their own models and machines")
    next(iter(find_sources(source, asset=options.asset)))
    asker = _Named(who) if running.ray and not running.dry_run else who.build()
    try:
        if running.dry_run:
            show(estimate_scan(source, instruction, options, asker).render(price=running.price))
            return
        scanned = _scan(source, instruction, out, who, options, running, asker, show)
    finally:
        asker.close()
    show(_render(scanned))
    say(json.dumps({"out": str(scanned.path), **scanned.ledger}, ensure_ascii=False))


def _scan(
    source: str,
    instruction: str,
    out: Path,
    who: Who,
    options: ScanOptions,
    running: Running,
    asker: Asker,
    show: Say,
) -> Scanned:
    work: WorkOff | None = None
    if running.ray is not None:
        work = _on_ray(who, instruction, options, running.ray, running.actors)
    with _stopping() as stop, Shown(show, price=running.price) as shown:
        try:
            return run_scan(
                source, instruction, out=out, asker=asker, options=options, work=work, fresh=running.fresh, stop=stop,
                tell=shown.tell, say=show,
            )  # fmt: skip
        except KeyboardInterrupt as error:
            raise StoppedError("the scan was stopped: the same command goes on where it was") from error


def _on_ray(who: Who, instruction: str, options: ScanOptions, address: str, actors: int) -> WorkOff:
    def work(groups: Iterator[Group], journal: Journal, stop: threading.Event, tick: Tick) -> None:
        work_on_ray(
            groups, who, instruction, options, journal, address=address, actors=actors, stop=stop, tick=tick
        )  # fmt: skip

    return work


class _Named:
    """Stand for a model that only the actors of a cluster load: its name and digest are those of LocalAsker."""

    at_once, batch = 1, 4

    def __init__(self, who: Who) -> None:
        self.model = "nadir-nano" if who.model is None else who.model.resolve().name
        self.digest = digest_of(model_dir(who.model))

    def ask(self, instruction: str, views: Sequence[View], options: ScanOptions) -> list[Finding]:
        """Refuse: the actors answer."""
        raise RequestError(f"{self.model} is asked on the cluster alone")

    def close(self) -> None:
        """Do nothing: the actors go with their cluster."""


@contextmanager
def _stopping() -> Iterator[threading.Event]:
    """Let SIGTERM end the scan between two windows, as Ctrl-C does."""
    stop = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)


def _render(scanned: Scanned) -> str:
    return f"{Ledger.from_dict(scanned.ledger).render()}\nwrote {scanned.path}"
