"""What all shards share, whatever their format: written beside their name, counted, checksummed, then put in place."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Final, Self

from data_engine.store.manifest import Shard
from vlm.errors import OutputError
from vlm.records import Sample

_COUNTED: Final = ("task", "source", "split", "licence")


class Writer(ABC):
    """Write samples to one file, which appears under its name when the block ends without an error.

    `shard` describes it then. No samples make no file. Raises OutputError when the file cannot be written.
    """

    suffix: ClassVar[str]
    format: ClassVar[str]

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.unfinished = self.path.with_name(self.path.name + ".new")
        self.samples = 0
        self.shard: Shard | None = None
        self._counts: dict[str, Counter[str]] = {name: Counter() for name in _COUNTED}

    def write(self, sample: Sample) -> None:
        """Add one sample."""
        try:
            if not self.samples:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            self._add(sample)
        except OSError as error:
            raise self._refused(error) from error
        self.samples += 1
        for name, counter in self._counts.items():
            counter[getattr(sample, name)] += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._close(whole=kind is None)
            if kind is None and self.samples:
                self.shard = self._finish()
        except OSError as problem:
            raise self._refused(problem) from problem
        finally:
            self.unfinished.unlink(missing_ok=True)

    @abstractmethod
    def _add(self, sample: Sample) -> None:
        """Write one sample to `unfinished`."""

    @abstractmethod
    def _close(self, *, whole: bool) -> None:
        """Close `unfinished`, with all that was added when it is to be whole."""

    def _finish(self) -> Shard:
        with self.unfinished.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = self.unfinished.stat().st_size
        self.unfinished.replace(self.path)
        counts = {name: dict(sorted(counter.items())) for name, counter in self._counts.items()}
        return Shard(self.path.name, self.samples, size, digest, counts)

    def _refused(self, error: OSError) -> OutputError:
        return OutputError(f"{self.path} cannot be written: {error.strerror or error}; choose a folder that has room")
