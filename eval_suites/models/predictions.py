"""A file of predictions as the one who answers: what another program asked, scored on the suite's own questions.

Any file that `eval_suites.readers` takes, such as samples.jsonl of another run. A case without a row is wrong.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from eval_suites.cases import Case
from eval_suites.readers.keys import ID, Keys
from eval_suites.readers.rows import Row, load_rows
from vlm.errors import DataError

LOG = logging.getLogger("nadir.eval")
_FORMS: Final[tuple[Callable[[str], str], ...]] = (
    str,
    lambda name: Path(name.replace("\\", "/")).name,
    lambda name: Path(name.replace("\\", "/")).stem,
)


class PredictionAnswerer:
    """Answer each case with what a file says; it cannot be asked without the images."""

    batch = 1_000_000
    sees = False

    def __init__(self, path: Path, *, name: str | None = None, dialect: str = "nadir") -> None:
        self._path, self._rows = path, load_rows(path)
        self._keys = Keys(self._rows, (), {}, str(path))
        self._answer = self._keys.find_prediction()
        self.name, self.dialect = name or path.stem, dialect
        self.digest = hashlib.sha256(json.dumps([self._rows, dialect], default=str).encode()).hexdigest()[:16]
        self.facts: dict[str, object] = {"predictions": path.name, "answer": self._answer, "dialect": dialect}

    def begin(self, folder: Path) -> None:
        """Do nothing: nothing is kept beside the samples."""

    def ask(self, cases: Sequence[Case], *, max_new_tokens: int, blind: bool) -> list[str | None]:
        """Give what the file says of each case, None where it says nothing."""
        del max_new_tokens, blind
        said = self._pair(cases)
        missing = [case.id for case in cases if case.id not in said]
        if missing:
            words = "%d of %d cases have no prediction, such as %s: they count as wrong"
            LOG.warning(words, len(missing), len(cases), missing[0])
        return [_as_text(said.get(case.id, {}).get(self._answer)) for case in cases]

    def close(self) -> None:
        """Do nothing: a file has nothing under way."""

    def _pair(self, cases: Sequence[Case]) -> dict[str, Row]:
        """Give the rows by case id, by the key and form (whole, file name, stem) that pair most of them."""
        best: dict[str, Row] = {}
        for key in filter(None, (self._keys.find("", (name,)) for name in ID)):
            for form in _FORMS:
                rows = {form(str(row.get(key))): row for row in self._rows}
                known = {form(case.id): case.id for case in cases}
                found = {known[name]: row for name, row in rows.items() if name in known}
                if len(found) > len(best) and len(rows) == len(self._rows) and len(known) == len(cases):
                    best = found
        if not best:
            row = {key: value for key, value in self._rows[0].items() if key != self._answer}
            raise DataError(
                f"{self._path} says nothing of the {len(cases)} cases: no key of its rows ({str(row)[:80]}) gives "
                f"their ids, such as {cases[0].id!r}, once each"
            )
        return best


def _as_text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)
