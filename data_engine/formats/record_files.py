"""JSON lists and JSON lines, written record by record, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from data_engine.formats.json_records import Record
from vlm.output import replacing


def write_records(records: Iterable[Record], path: Path, *, lines: bool) -> int:
    """Write records as JSON lines or as one JSON list with a record a line; gives their number."""
    count = 0
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        if not lines:
            file.write("[")
        for record in records:
            file.write("" if lines or not count else ",")
            file.write("" if lines else "\n")
            file.write(json.dumps(record, ensure_ascii=False) + ("\n" if lines else ""))
            count += 1
        if not lines:
            file.write("\n]\n")
    return count
