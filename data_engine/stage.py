"""Stages: units of work -> shards of samples, one shard a unit, so that a stopped run goes on where it was.

`map_store` is what generate, annotate and filter are made of: each shard of the input stores is one unit, and a pure
function turns one sample into any number of them. `write_stage` is for stages that have no store to read: convert and
synth. A unit's shard and its record appear one after the other under `OUT`; the manifest is written when all units are
done. The same command after a stop does the rest, and the bytes are those of a run that was never stopped.
"""

from __future__ import annotations

import fcntl
import json
import logging
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_engine.executors import run_here, run_processes
from data_engine.progress import Progress
from data_engine.store.images import ImageFaultError
from data_engine.store.ledger import MAX_REJECTS, Ledger, TooManyRejectsError, parse_ledger
from data_engine.store.manifest import LEDGER, MANIFEST, REJECTED, Manifest, load_manifest, open_store, write_manifest
from data_engine.store.schema import require_text
from data_engine.store.shards import ShardWriter, read_shard
from data_engine.store.writer import Writer
from data_engine.unit import UNITS, Result, Task, Unit, Work, join_rejected, load_result
from vlm.errors import DataError, NadirError
from vlm.output import write_text
from vlm.records import Sample

__all__ = [
    "MapShard",
    "StageOptions",
    "Transform",
    "Unit",
    "Work",
    "list_shards",
    "map_samples",
    "map_store",
    "write_stage",
]

LOG = logging.getLogger("nadir.data")
RUN, LOCK = "run.json", "lock"
Transform = Callable[[Sample, Ledger], Iterable[Sample]]


@dataclass(frozen=True, slots=True)
class StageOptions:
    """Hold what every verb can be told.

    `dry_run` prints the plan and touches nothing; `max_rejects` bounds the faults of the whole stage; `ray` is the
    address of a Ray cluster ("local" starts one here); `seed` makes other random choices; `workers` processes share
    the units.
    """

    dry_run: bool = False
    max_rejects: int = MAX_REJECTS
    ray: str | None = None
    seed: int = 0
    workers: int = 1


def map_store(
    name: str,
    inputs: Sequence[Path],
    out: Path,
    transform: Transform,
    *,
    options: StageOptions,
    config: Mapping[str, Any] | None = None,
    writer: type[Writer] = ShardWriter,
) -> Ledger:
    """Run `transform` over every sample of the input stores, write the store `out` and give the ledger.

    `transform(sample, ledger)` yields the samples that one becomes; a sample that becomes none needs a `ledger.drop`.
    What it raises as NadirError drops the sample as "failed". `config` holds the parameters that change the output:
    another configuration does not go on with a half-done store. Raises DataError above `options.max_rejects`.
    """
    manifests = [open_store(path) for path in inputs]
    if any(manifest.folder.resolve() == Path(out).resolve() for manifest in manifests):
        raise DataError(f"{name} cannot write into its own input {out}: name another folder")
    sources = [{"store": manifest.folder.name, "digest": manifest.digest()} for manifest in manifests]
    described = {**(config or {}), "inputs": sources}
    units, work = list_shards(manifests), MapShard(transform)
    return write_stage(name, units, work, out, options=options, config=described, writer=writer)


def list_shards(manifests: Iterable[Manifest]) -> list[Unit]:
    """Make a unit of every shard, for the work of MapShard."""
    return [
        Unit(f"{manifest.folder.name}/{shard.file}", shard.samples, (manifest.folder, shard))
        for manifest in manifests
        for shard in manifest.shards
    ]


@dataclass(frozen=True, slots=True)
class MapShard:
    """Do the work of `map_store` on one shard (list_shards)."""

    transform: Transform

    def __call__(self, unit: Unit, ledger: Ledger) -> Iterator[Sample]:
        folder, shard = unit.payload
        yield from map_samples(read_shard(folder, shard, ledger), self.transform, ledger)


def map_samples(samples: Iterable[Sample], transform: Transform, ledger: Ledger) -> Iterator[Sample]:
    """Yield what `transform` makes of each sample (already counted as read), and count what it made and dropped.

    Raises DataError when a sample vanishes without a reason.
    """
    for sample in samples:
        given = gone = 0
        before = ledger.drops
        try:
            for made in transform(sample, ledger):
                require_text(made)
                given, gone = given + 1, gone + ledger.drops - before
                yield made
                before = ledger.drops  # what was dropped meanwhile is not of this transform
        except TooManyRejectsError:
            raise
        except ImageFaultError as error:
            ledger.drop(error.reason, str(error), sample.id)
        except NadirError as error:
            ledger.drop("failed", str(error), sample.id)
        gone += ledger.drops - before
        if not given + gone:
            raise DataError(f"sample {sample.id} became nothing and no reason was given: call ledger.drop")
        ledger.made += given + gone - 1
        ledger.tick(1)


def write_stage(
    name: str,
    units: Iterable[Unit],
    work: Work,
    out: Path,
    *,
    options: StageOptions,
    config: Mapping[str, Any] | None = None,
    expect: Callable[[], int | None] | None = None,
    writer: type[Writer] = ShardWriter,
) -> Ledger:
    """Do the work of every unit, one shard each, write the store `out` and give the ledger.

    Units may be drawn lazily; they have to come in the same order each time. `expect` tells the number of items in all
    while it is not known from the units; `writer` writes the shards (Parquet by default). A store that is done already
    is left as it is. Raises DataError when `out` holds another run's output, and above `options.max_rejects`.
    """
    out, run = Path(out), _describe_run(name, options, config)
    if (finished := _find_finished(out, run)) is not None:
        LOG.info("%s is done already", finished.render(name))
        return finished
    if options.dry_run:
        return _say_plan(name, out, units)
    with _claimed(out, run):
        return _run(name, units, work, out, run, options=options, expect=expect, writer=writer)


def _run(
    name: str,
    units: Iterable[Unit],
    work: Work,
    out: Path,
    run: Mapping[str, Any],
    *,
    options: StageOptions,
    expect: Callable[[], int | None] | None,
    writer: type[Writer],
) -> Ledger:
    """Do what is left to do, write the manifest and give the ledger."""
    total = sum(unit.size for unit in units) if isinstance(units, Sequence) else None
    before = _load_results(out)
    began = time.monotonic()
    with Progress(name, total) as progress:
        plan = _Plan(out, units, work, options, writer, progress, expect)
        try:
            _execute(plan, options, faults=sum(result.ledger.faults for result in before))
        except KeyboardInterrupt:
            LOG.warning("%s is stopped: %d units are done; the same command goes on", name, len(_load_results(out)))
            raise
        finally:
            _leave_records(out)
    ledger = _add_up(name, out, units=plan.drawn)
    ledger.seconds = time.monotonic() - began + sum(result.ledger.seconds for result in before)
    _finish(out, run, ledger, writer.format)
    LOG.info("%s", ledger.render(name))
    return ledger


@dataclass(slots=True)
class _Plan:
    """Draw the tasks that are still to do; `drawn` counts all units, `skipped` those that were done."""

    out: Path
    units: Iterable[Unit]
    work: Work
    options: StageOptions
    writer: type[Writer]
    progress: Progress
    expect: Callable[[], int | None] | None
    drawn: int = 0

    def tasks(self) -> Iterator[Task]:
        """Yield a task for each unit that has no record yet; DataError when a record is of another unit."""
        for index, unit in enumerate(self.units):
            self.drawn = index + 1
            if self.expect is not None and (total := self.expect()) is not None:
                self.progress.expect(total)
            done = load_result(self.out, index)
            if done is None:
                yield Task(index, unit, self.work, self.out, self.writer, self.options.max_rejects)
            elif done.key != unit.key:
                raise DataError(
                    f"unit {index} of {self.out} was {done.key!r} and is {unit.key!r} now: the input has changed; "
                    "remove the folder or name another one"
                )
            else:
                self.progress.skip(unit.size)


def _execute(plan: _Plan, options: StageOptions, *, faults: int) -> None:
    advance = plan.progress.advance
    if options.ray is not None:
        from data_engine.stage_ray import run_ray

        run_ray(plan.tasks(), advance, faults=faults, address=options.ray, workers=options.workers)
    elif options.workers > 1:
        run_processes(plan.tasks(), advance, faults=faults, workers=options.workers)
    else:
        run_here(plan.tasks(), advance, faults=faults)


def _describe_run(name: str, options: StageOptions, config: Mapping[str, Any] | None) -> dict[str, Any]:
    """Describe what decides over the output, as it reads back from JSON."""
    described: dict[str, Any] = json.loads(
        json.dumps({"stage": name, "config": {"seed": options.seed, **(config or {})}}, default=str)
    )
    return described


def _find_finished(out: Path, run: Mapping[str, Any]) -> Ledger | None:
    """Give the ledger of a store that this very run has finished; DataError when another run did."""
    if not (out / MANIFEST).exists():
        return None
    manifest = load_manifest(out)
    _require_same(out, {"stage": manifest.stage, "config": manifest.config}, run)
    return parse_ledger(json.loads((out / LEDGER).read_text(encoding="utf-8")))


@contextmanager
def _claimed(out: Path, run: Mapping[str, Any]) -> Iterator[None]:
    """Claim the output folder for this run, and for this process while the block runs."""
    _open_run(out, run)
    with (out / UNITS / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DataError(f"another process is writing {out}: wait for it, or name another folder") from error
        yield


def _open_run(out: Path, run: Mapping[str, Any]) -> None:
    """Find the output folder claimed by this run, or claim it; DataError when it holds anything else."""
    path = out / UNITS / RUN
    if path.exists():
        _require_same(out, json.loads(path.read_text(encoding="utf-8")), run)
    elif out.is_dir() and any(out.iterdir()):
        raise DataError(f"{out} is not empty and no output of this verb: name a folder that is empty or new")
    else:
        write_text(path, json.dumps(run, indent=1, ensure_ascii=False) + "\n")


def _require_same(out: Path, found: Mapping[str, Any], run: Mapping[str, Any]) -> None:
    was, now = ({"stage": described["stage"], **described["config"]} for described in (found, run))
    if was != now:
        names = [name for name in {**was, **now} if was.get(name) != now.get(name)]
        told = "; ".join(f"{name} was {json.dumps(was.get(name))}, now {json.dumps(now.get(name))}" for name in names)
        raise DataError(f"{out} holds the output of another run ({told}): name another folder or remove this one")


def _say_plan(name: str, out: Path, units: Iterable[Unit]) -> Ledger:
    """Say what there is to do, and touch nothing."""
    sizes = [(unit.size, load_result(out, index) is not None) for index, unit in enumerate(units)]
    done = sum(is_done for _, is_done in sizes)
    items, note = sum(size for size, _ in sizes), f" ({done} units are done already)" if done else ""
    LOG.info("%s would do %d items in %d units%s and write %s; nothing is touched", name, items, len(sizes), note, out)
    return Ledger()


def _load_results(out: Path) -> list[Result]:
    """Read the records of all units that are done, in order."""
    indices = sorted(int(path.stem) for path in (out / UNITS).glob("*.json") if path.stem.isdigit())
    return [result for index in indices if (result := load_result(out, index)) is not None]


def _leave_records(out: Path) -> None:
    """Write what was rejected so far; a run that did nothing at all leaves nothing, and its folder free."""
    if not join_rejected(out, out / REJECTED):
        shutil.rmtree(out / UNITS)
        if not any(out.iterdir()):
            out.rmdir()


def _add_up(name: str, out: Path, *, units: int) -> Ledger:
    """Add the ledgers of all units; DataError when one is missing or the numbers do not add up."""
    results = _load_results(out)
    if len(results) != units:
        raise DataError(f"{out} has {len(results)} done units of {units}: the input has changed; remove the folder")
    ledger = Ledger()
    for result in results:
        ledger.add(result.ledger)
    ledger.require_balance(name)
    return ledger


def _finish(out: Path, run: Mapping[str, Any], ledger: Ledger, format: str) -> None:
    """Write ledger and, last of all, manifest of a store whose units are all done."""
    shards = tuple(result.shard for result in _load_results(out) if result.shard is not None)
    if sum(shard.samples for shard in shards) != ledger.kept:
        raise DataError(f"the shards of {out} do not hold the {ledger.kept} samples that were kept: remove the folder")
    write_text(out / LEDGER, json.dumps(ledger.to_json(), indent=1) + "\n")
    write_manifest(Manifest(out, run["stage"], run["config"], shards, format))
    shutil.rmtree(out / UNITS, ignore_errors=True)
