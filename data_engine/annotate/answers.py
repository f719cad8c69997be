"""Answers, kept by the content of their request, and the tokens that were spent on them: nothing is asked twice.

One SQLite file; every answer is on disk before it is used, so a run that is stopped or killed pays for nothing again.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from pathlib import Path
from typing import Final

from data_engine.annotate.endpoint import Body, Reply
from vlm.errors import DataError, OutputError

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS answers (
    request TEXT PRIMARY KEY, text TEXT NOT NULL, prompt_tokens INTEGER NOT NULL, new_tokens INTEGER NOT NULL,
    cut INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS spent (one INTEGER PRIMARY KEY CHECK (one = 1), tokens INTEGER NOT NULL);
INSERT OR IGNORE INTO spent VALUES (1, 0);
"""
_BUSY_S: Final = 60.0


class BudgetSpentError(DataError):
    """Say that the budget of tokens does not allow another request."""


class Answers:
    """Keep answers in a file and hold spending to a budget of tokens (None: no bound); threads may share one.

    The budget counts what the file has seen spent, in earlier runs too, and what running requests may yet cost. Raises
    OutputError when the file cannot be written.
    """

    def __init__(self, path: Path, *, budget: int | None = None) -> None:
        self.path, self.budget = Path(path), budget
        self._lock = threading.Condition()
        self._reserved = 0
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = sqlite3.connect(self.path, timeout=_BUSY_S, check_same_thread=False, isolation_level=None)
            self._file.execute("PRAGMA journal_mode=WAL")
            self._file.executescript(_TABLES)
        except (sqlite3.Error, OSError) as error:
            raise OutputError(f"{self.path} cannot hold answers ({error}): name another --cache") from error

    @property
    def spent(self) -> int:
        """Count the tokens of all answers that the file ever took in."""
        with self._lock:
            return self._read_spent()

    def find(self, body: Body) -> Reply | None:
        """Give the answer to this very request, if it was answered before."""
        with self._lock:
            row = self._file.execute(
                "SELECT text, prompt_tokens, new_tokens, cut FROM answers WHERE request = ?", (digest_request(body),)
            ).fetchone()
        return None if row is None else Reply(row[0], row[1], row[2], bool(row[3]))

    def reserve(self, tokens: int) -> None:
        """Set tokens aside for a request, after others have given theirs back where the budget is near its end.

        Raises BudgetSpentError when the budget does not hold the request even then.
        """
        with self._lock:
            while self.budget is not None and (spent := self._read_spent()) + self._reserved + tokens > self.budget:
                if not self._reserved:
                    raise BudgetSpentError(
                        f"the budget of {self.budget:,} tokens does not allow another request of up to {tokens:,}: "
                        f"{spent:,} are spent; raise --budget, and the same command goes on"
                    )
                self._lock.wait()
            self._reserved += tokens

    def release(self, tokens: int) -> None:
        """Give back tokens that were set aside."""
        with self._lock:
            self._reserved -= tokens
            self._lock.notify_all()

    def keep(self, body: Body, reply: Reply) -> None:
        """Keep an answer and count what it cost."""
        row = (digest_request(body), reply.text, reply.prompt_tokens, reply.new_tokens, reply.cut)
        with self._lock:
            try:
                self._file.execute("BEGIN IMMEDIATE")
                self._file.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?)", row)
                self._file.execute("UPDATE spent SET tokens = tokens + ?", (reply.prompt_tokens + reply.new_tokens,))
                self._file.execute("COMMIT")
            except sqlite3.Error as error:
                raise OutputError(f"{self.path} cannot be written ({error}): make room on its disk") from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()

    def __enter__(self) -> Answers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read_spent(self) -> int:
        return int(self._file.execute("SELECT tokens FROM spent").fetchone()[0])


def digest_request(body: Body) -> str:
    """Name a request by its content."""
    return hashlib.sha256(json.dumps(body, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
