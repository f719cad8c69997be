"""The files that the house rules look at, read once."""

from __future__ import annotations

import ast
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("vlm", "data_engine", "train", "eval_suites", "serve")


@dataclass(frozen=True)
class Source:
    """Hold one Python file: its path in the repository and its text."""

    path: Path
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def room(self) -> str:
        return self.path.parts[0]

    @property
    def module(self) -> str:
        parts = self.path.with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def kept_files() -> list[Path]:
    """List what git keeps or would keep, as paths in the repository; outside a checkout, every file of it."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):
        names = [str(path.relative_to(ROOT)) for room in (*ROOMS, "tests", "docs") for path in (ROOT / room).rglob("*")]
    return sorted(Path(name) for name in names if name and (ROOT / name).is_file())


@pytest.fixture(scope="session")
def files() -> list[Path]:
    return kept_files()


@pytest.fixture(scope="session")
def sources(files: list[Path]) -> list[Source]:
    return [Source(path, (ROOT / path).read_text(encoding="utf-8")) for path in files if path.suffix == ".py"]


@pytest.fixture(scope="session")
def room_sources(sources: list[Source]) -> list[Source]:
    return [source for source in sources if source.room in ROOMS]
