"""Records of a JSON list or of JSON lines, one at a time, however large the file is."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, Final, TextIO

from data_engine.formats.format import OnError
from vlm.errors import DataError

Record = dict[str, Any]

_CHUNK: Final = 1 << 20
_LONGEST_RECORD_LINES: Final = 200
_NOT_UTF8: Final = re.compile("[\udc80-\udcff]")
_DECODER: Final = json.JSONDecoder(strict=False)


def read_records(path: Path, on_error: OnError) -> Generator[tuple[str, Record]]:
    """Yield (where it stands, record) for each object of a JSON list or of JSON lines.

    A line that is cut off or is no object goes to `on_error`; a record that is wrapped over several lines is put
    together. A JSON list that breaks off raises DataError after its whole records, since what follows is lost.
    """
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape") as file:
            start = file.read(_CHUNK)
            if start.lstrip().startswith("["):
                items = _list_items(start, file, path)
            else:
                file.seek(0)
                items = _line_items(file, path, on_error)
            for where, item in items:
                if isinstance(item, dict):
                    yield where, item
                else:
                    on_error(DataError(f"{where} is {type(item).__name__} {item!r:.60}: expected a JSON object"))
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}): name a JSON or JSON-lines file") from error


def _list_items(buffer: str, file: TextIO, path: Path) -> Iterator[tuple[str, Any]]:
    """Yield the items of a JSON list, decoding a growing piece of the file at a time."""
    position, number, ended = buffer.index("[") + 1, 0, False
    while True:
        position = _skip(buffer, position)
        try:
            if buffer[position : position + 1] == "]":
                return
            item, end = _DECODER.raw_decode(buffer, position)
        except json.JSONDecodeError as error:
            if ended:
                raise DataError(
                    f"{path} breaks off after {number} records ({error.msg}): it is cut or damaged, copy it again"
                ) from error
            more = file.read(max(_CHUNK, len(buffer)))
            buffer, position, ended = buffer[position:] + more, 0, not more
            continue
        if _NOT_UTF8.search(buffer, position, end):
            raise DataError(f"{path} record {number + 1} is not UTF-8 text: save the file as UTF-8")
        position, number = end, number + 1
        yield f"{path} record {number}", item


def _skip(buffer: str, position: int) -> int:
    """Step over blanks and commas between items."""
    while buffer[position : position + 1] in (" ", "\n", "\r", "\t", ","):
        position += 1
    return position


def _line_items(file: TextIO, path: Path, on_error: OnError) -> Iterator[tuple[str, Any]]:
    """Yield the items of JSON lines; `waiting` are lines that do not make a record yet."""
    waiting, first = "", 0
    for number, line in enumerate(file, start=1):
        text = waiting + line
        if not text.strip():
            continue
        first = first if waiting else number
        found, item = _decode(text)
        if not found and waiting and line.lstrip().startswith("{"):
            found, item = _decode(line)
            if found:
                _report_broken(path, first, waiting, on_error)
                first = number
        if found:
            waiting = ""
            yield f"{path} line {first}", item
        elif number - first < _LONGEST_RECORD_LINES:
            waiting = text
        else:
            _report_broken(path, first, text, on_error)
            waiting = ""
    if waiting.strip():
        _report_broken(path, first, waiting, on_error)


def _decode(text: str) -> tuple[bool, Any]:
    if _NOT_UTF8.search(text):
        return False, None
    try:
        return True, _DECODER.decode(text.strip())
    except json.JSONDecodeError:
        return False, None


def _report_broken(path: Path, number: int, text: str, on_error: OnError) -> None:
    """Say which line is no JSON."""
    excerpt = text.strip()[:60].encode("utf-8", "replace").decode("utf-8")
    on_error(DataError(f"{path} line {number} is not valid JSON in UTF-8 ({excerpt!r}): expected one object a line"))
