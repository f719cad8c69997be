"""Answers of an endpoint, kept: one line a request as soon as it is answered, found again by model and request."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

from eval_suites.models.endpoint import Reply

LOG = logging.getLogger("nadir.eval")


class Responses:
    """Keep the replies to requests in a file that a kill at any moment leaves readable; safe to use from threads."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._known, whole = _load(path)
        self._lock = threading.Lock()
        self._file = path.open("ab")
        if self._file.tell() != whole:
            LOG.warning("%s was cut off in its last line: that request is asked again", path)
            self._file.truncate(whole)

    def find(self, key: str) -> Reply | None:
        """Give the reply to a request, or None."""
        with self._lock:
            return self._known.get(key)

    def keep(self, key: str, reply: Reply) -> None:
        """Write a reply down at once."""
        line = json.dumps({"key": key, **asdict(reply)}).encode() + b"\n"
        with self._lock:
            self._known[key] = reply
            self._file.write(line)
            self._file.flush()

    def count(self) -> dict[str, int]:
        """Count what was answered, refused, cut off at the limit of tokens, and what it cost in tokens."""
        with self._lock:
            replies = list(self._known.values())
        return {
            "answered": len(replies),
            "refused": sum(bool(reply.refusal) for reply in replies),
            "cut_off": sum(reply.cut for reply in replies),
            "prompt_tokens": sum(reply.prompt_tokens for reply in replies),
            "new_tokens": sum(reply.new_tokens for reply in replies),
        }

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def request_key(model: str, body: dict[str, Any]) -> str:
    """Give the key of a request, its images included, to a model."""
    return hashlib.sha256(json.dumps([model, body], sort_keys=True).encode()).hexdigest()


def _load(path: Path) -> tuple[dict[str, Reply], int]:
    """Read the replies, and how many bytes of the file are whole lines."""
    found: dict[str, Reply] = {}
    whole = 0
    if path.exists():
        with path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                row = json.loads(line)
                key = row.pop("key")
                found[key] = Reply(**row)
                whole += len(line)
    return found, whole
