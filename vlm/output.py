"""Write results whole or not at all: a new file appears, or replaces an old one, only when it is complete."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from vlm.errors import OutputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; it takes the place of `path` when the block ends without an error.

    Missing folders are made. Whatever lay at `path` survives an error. Raises OutputError when the system refuses.
    """
    temporary = path.with_name(f".{uuid4().hex[:8]}-{path.name}")
    try:
        if path.is_dir():
            raise OutputError(f"{path} cannot be written: it is a folder; name a file in it")
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written: {error.strerror or error}; choose a folder that exists and has room"
        ) from error
    finally:
        _forget(temporary)


def write_text(path: Path, text: str) -> Path:
    """Write text as UTF-8, whole or not at all, and give the path; OutputError when it cannot be written."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def write_bytes(path: Path, data: bytes) -> Path:
    """Write bytes, whole or not at all, and give the path; OutputError when they cannot be written."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)
    return path


def _forget(temporary: Path) -> None:
    try:
        temporary.unlink(missing_ok=True)
    except OSError:
        return
