"""The journal of a scan: one line per finished window, appended, checksummed and synced, so that a kill loses nothing.

    8a1f03c2 {"w": 17, "s": "answered", ...}      the CRC-32 of the JSON in hexadecimal, a space, the JSON

A line that a kill cut off is taken away when the journal is opened again; a damaged line elsewhere counts as not there,
and its window is asked again. Of two lines about one window the later counts. An index beside the journal (8 bytes a
window, rebuilt from the journal at each start) tells where each window's line is, so that memory stays flat.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from serve.scan.findings import Finding, State, finding_from_dict, finding_to_dict

_ENTRY_BYTES = 8
_STATES: tuple[State, ...] = ("answered", "empty", "failed")
_OFFSET_BITS = 56


class Journal:
    """Append findings and look them up by window; belongs to one thread of one process (scan holds a lock)."""

    def __init__(self, file: Path, *, windows: int) -> None:
        self.damaged = 0
        self._windows = windows
        self._file = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
        self._index = os.open(file.with_suffix(".index"), os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        os.ftruncate(self._index, windows * _ENTRY_BYTES)
        self._end = self._recover()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def append(self, findings: Iterable[Finding]) -> None:
        """Write findings and have the disk hold them before this returns; OSError when it cannot."""
        lines = [(finding, render_line(finding)) for finding in findings]
        data, at = b"".join(line for _, line in lines), self._end
        while data:
            written = os.pwrite(self._file, data, at)
            data, at = data[written:], at + written
        os.fdatasync(self._file)
        for finding, line in lines:
            self._note(finding.number, finding.state, self._end)
            self._end += len(line)

    def state(self, number: int) -> State | None:
        """Say what came of a window; None while it is not finished."""
        entry = self._entry(number)
        return None if entry == 0 else _STATES[(entry >> _OFFSET_BITS) - 1]

    def find(self, number: int) -> Finding | None:
        """Read what was found in a window; None while it is not finished."""
        entry = self._entry(number)
        if entry == 0:
            return None
        values = parse_line(self._line_at(entry & ((1 << _OFFSET_BITS) - 1)))
        return None if values is None else finding_from_dict(values)

    def close(self) -> None:
        """Close the files."""
        os.close(self._file)
        os.close(self._index)

    def _recover(self) -> int:
        """Index every sound line and cut off what the last one lacks; give where the journal ends."""
        at = 0
        with os.fdopen(os.dup(self._file), "rb") as lines:
            lines.seek(0)
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                values = parse_line(line)
                if values is None or not 0 <= values["w"] < self._windows:
                    self.damaged += 1
                else:
                    self._note(values["w"], values["s"], at)
                at += len(line)
        os.ftruncate(self._file, at)
        return at

    def _note(self, number: int, state: State, at: int) -> None:
        entry = (_STATES.index(state) + 1) << _OFFSET_BITS | at
        os.pwrite(self._index, entry.to_bytes(_ENTRY_BYTES, "little"), number * _ENTRY_BYTES)

    def _entry(self, number: int) -> int:
        return int.from_bytes(os.pread(self._index, _ENTRY_BYTES, number * _ENTRY_BYTES), "little")

    def _line_at(self, at: int) -> bytes:
        size = 4096
        while True:
            data = os.pread(self._file, size, at)
            if b"\n" in data or len(data) < size:
                return data.partition(b"\n")[0] + b"\n"
            size *= 4


def render_line(finding: Finding) -> bytes:
    """Write a finding as a line with its checksum."""
    body = json.dumps(finding_to_dict(finding), separators=(",", ":")).encode("ascii")
    return b"%08x %s\n" % (zlib.crc32(body), body)


def parse_line(line: bytes) -> dict[str, Any] | None:
    """Read a line of the journal; None where it is damaged."""
    checksum, _, body = line.rstrip(b"\n").partition(b" ")
    if checksum != b"%08x" % zlib.crc32(body):
        return None
    values = json.loads(body)
    return values if isinstance(values, dict) else None


def iterate_findings(journal: Journal, numbers: Iterable[int]) -> Iterator[Finding]:
    """Yield the findings of windows, in the order of their numbers; those that are not finished are left out."""
    for number in numbers:
        if (finding := journal.find(number)) is not None:
            yield finding
