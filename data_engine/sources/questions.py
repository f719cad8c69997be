"""A dataset's own question and answer as a turn, and its rows of JSON, read one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_engine import templates
from data_engine.formats.json_records import read_records
from data_engine.sources.boundary import Reject, report_to
from data_engine.sources.source import require_path
from vlm.errors import DataError
from vlm.records import Answer, Task, Turn


def ask(question: str, answer: object, *, task: Task = "vqa") -> Turn:
    """Make a turn of a question and its answer: one line each, braces doubled, the answer without its last period.

    Raises DataError where one of the two is empty.
    """
    asked = templates.escape_braces(" ".join(question.split()))
    answered = templates.write_sentence(str(answer))
    if not asked or not answered:
        raise DataError(f"question {question!r} has the answer {answer!r}: expected neither to be empty")
    return Turn(asked, Answer(answered, task=task))


def read_rows(
    path: Path, *, name: str, layout: str, required: tuple[str, ...], reject: Reject | None
) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON-lines file or a JSON list one at a time.

    One that is broken or lacks one of the `required` keys goes to `reject`, or its DataError is raised.
    """
    on_error = report_to(reject, name)
    for where, record in read_records(require_path(path, name=name, layout=layout), on_error):
        if set(required) <= record.keys():
            yield record
        else:
            on_error(DataError(f"{where} lacks one of {', '.join(required)}: download it again"))
