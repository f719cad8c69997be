"""The folder of a scan beside its output: what it is, its plan, its journal, and a lock for one process at a time.

answers.parquet.scan/run.json        what was asked of what; appears when the plan is whole
answers.parquet.scan/plan.jsonl      a line per raster
answers.parquet.scan/journal.jsonl   a line per finished window
answers.parquet.scan/done.json       the ledger, when the output is written
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from serve.scan.ledger import Ledger
from serve.scan.options import ScanOptions
from serve.scan.plan import Plan
from vlm.errors import OutputError
from vlm.output import replacing

_RUN, _PLAN, _JOURNAL, _DONE, _LOCK = "run.json", "plan.jsonl", "journal.jsonl", "done.json", "lock"


class ScanFolder:
    """Find the files of one scan; `out` is its output."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.path = out.with_name(f"{out.name}.scan")
        self.plan, self.journal = self.path / _PLAN, self.path / _JOURNAL
        self.merged = self.path / f"merged{out.suffix.lower()}"

    @contextmanager
    def claimed(self, *, fresh: bool) -> Iterator[None]:
        """Hold the folder for this process; `fresh` empties it first. OutputError where another process holds it."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise OutputError(f"{self.path} cannot be written ({error.strerror}): choose another --out") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise OutputError(
                f"{self.out} is being written by another scan: wait for it, or choose another --out"
            ) from error
        try:
            if fresh:
                self._empty()
            yield
        finally:
            os.close(lock)

    def load(self, what: dict[str, Any]) -> Plan | None:
        """Give the plan of a scan that was begun; None where none was. OutputError where it was another one."""
        fields = self._read(_RUN)
        if fields is None:
            return None
        known = fields["what"]
        if known != what:
            other = [name for name in what if what[name] != known.get(name)]
            raise OutputError(
                f"{self.out} belongs to another scan ({', '.join(other)} differ): choose another --out, or start "
                "again with --fresh"
            )
        return Plan(**{**fields["plan"], "notes": tuple(fields["plan"]["notes"])})

    def begin(self, what: dict[str, Any], plan: Plan) -> None:
        """Write down what is scanned, after the plan's own file is whole."""
        self._write(_RUN, {"what": what, "plan": asdict(plan)})

    def finish(self, ledger: Ledger) -> None:
        """Write down that the output is whole."""
        self._write(_DONE, ledger.to_dict())

    def finished(self) -> dict[str, Any] | None:
        """Give the ledger of a scan whose output is whole and still there."""
        return self._read(_DONE) if self.out.exists() else None

    def reopen(self) -> None:
        """Forget that the output was whole."""
        (self.path / _DONE).unlink(missing_ok=True)

    def seconds(self) -> float:
        """Give the seconds that earlier runs have worked."""
        return float((self._read("seconds.json") or {}).get("seconds", 0.0))

    def keep_seconds(self, seconds: float) -> None:
        """Write down the seconds of all runs."""
        self._write("seconds.json", {"seconds": seconds})

    def _empty(self) -> None:
        for entry in self.path.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name != _LOCK:
                entry.unlink()

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            values = json.loads((self.path / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise OutputError(f"{self.path / name} cannot be read ({error}): start again with --fresh") from error
        return dict(values)

    def _write(self, name: str, values: dict[str, Any]) -> None:
        with replacing(self.path / name) as temporary, temporary.open("w", encoding="utf-8") as file:
            json.dump(values, file)
            file.flush()
            os.fsync(file.fileno())


def describe(source: str, instruction: str, options: ScanOptions, model: str, digest: str) -> dict[str, Any]:
    """Say what a scan is: two runs that differ here do not share an output."""
    return {"source": source, "instruction": instruction, "model": model, "digest": digest, **options.to_dict()}
