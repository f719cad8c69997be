"""One unit of a stage: run it, write its shard and its record together, and find it done the next time.

The record `OUT/.units/00012.json` is written after the shard, so a unit that has one is done. Units run in any
order, in any process; each gives the same bytes wherever it runs.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from data_engine.store.ledger import Ledger, TooManyRejectsError, parse_ledger
from data_engine.store.manifest import Shard
from data_engine.store.writer import Writer
from vlm.errors import DataError
from vlm.output import replacing, write_text
from vlm.records import Sample

UNITS: Final = ".units"
"""Folder of the records of the units, in the output until all are done."""
REJECTED_SUFFIX, FAILED_SUFFIX = ".rejected.jsonl", ".failed.jsonl"
"""Suffixes of what a unit rejected: one that is done, and one that had too many faults."""


@dataclass(frozen=True, slots=True)
class Unit:
    """Name a piece of work: `key` for messages, `size` items for the progress, `payload` for the work itself."""

    key: str
    size: int
    payload: Any


Work = Callable[[Unit, Ledger], Iterable[Sample]]
"""Make the samples of a unit. It counts `ledger.read` (and then `ledger.made`) when it has an input, drops with
`ledger.drop`, and may call `ledger.tick(n)` as items are done. Other processes need it to be picklable."""


@dataclass(frozen=True, slots=True)
class Task:
    """Hold what a process needs to run one unit; `faults` are those of the units before it."""

    index: int
    unit: Unit
    work: Work
    out: Path
    writer: type[Writer]
    max_rejects: int
    faults: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """Hold what a done unit left: its key, its shard (None for no samples) and its ledger."""

    key: str
    shard: Shard | None
    ledger: Ledger


def run_unit(task: Task, tick: Callable[[int], None] | None = None) -> int:
    """Run one unit, write its shard and its record, and give the number of its faults.

    A unit that fails leaves no shard, but what it had rejected until then.
    """
    ledger = Ledger(max_rejects=task.max_rejects, faults_before=task.faults)
    if tick is not None:
        ledger.tick = tick
    began = time.perf_counter()
    record_path = _record_path(task.out, task.index)
    rejected, failed = record_path.with_suffix(REJECTED_SUFFIX), record_path.with_suffix(FAILED_SUFFIX)
    try:
        with task.writer(task.out / f"shard-{task.index:05d}{task.writer.suffix}") as writer:
            for sample in task.work(task.unit, ledger):
                writer.write(sample)
        ledger.kept = writer.samples
    except TooManyRejectsError:
        write_text(failed, ledger.render_rejected())
        raise
    if not ledger.read:
        ledger.made = ledger.kept + ledger.drops
    ledger.require_balance(task.unit.key)
    ledger.seconds = time.perf_counter() - began
    record = {
        "key": task.unit.key,
        "shard": None if writer.shard is None else asdict(writer.shard),
        "ledger": ledger.to_json(),
    }
    write_text(rejected, ledger.render_rejected())
    write_text(record_path, json.dumps(record, ensure_ascii=False) + "\n")
    failed.unlink(missing_ok=True)
    return ledger.faults


def load_result(out: Path, index: int) -> Result | None:
    """Read the record of a unit; None when it is not done; DataError when the record is damaged."""
    path = _record_path(out, index)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        ledger = parse_ledger(content["ledger"])
        shard = None if content["shard"] is None else Shard(**content["shard"])
        result = Result(content["key"], shard, ledger)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is damaged ({error}): delete it, and its unit is made again") from error
    return result if shard is None or (out / shard.file).is_file() else None


def join_rejected(out: Path, target: Path) -> bool:
    """Join what the units have rejected in one file, in order, those that failed last; false when none has run."""
    folder = out / UNITS
    parts = [*sorted(folder.glob(f"*{REJECTED_SUFFIX}")), *sorted(folder.glob(f"*{FAILED_SUFFIX}"))]
    if parts:
        with replacing(target) as temporary, temporary.open("wb") as whole:
            for part in parts:
                with part.open("rb") as file:
                    shutil.copyfileobj(file, whole)
    return bool(parts)


def _record_path(out: Path, index: int) -> Path:
    return out / UNITS / f"{index:05d}.json"
