"""The folder in which a user keeps a benchmark: its files are found, or the sentence says which are missing.

Archives unpack into folders of their own, so a file may lie anywhere below the folder; its place in the official layout
is tried first. Images are looked for by path, then by name, then by name without the suffix.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from vlm.errors import DataError

IMAGES: Final = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".jp2", ".gif", ".webp"}


class Folder:
    """Find the files of one benchmark below a folder; `layout` and `get` are what a refusal says about them."""

    def __init__(self, root: Path, *, name: str, layout: str, get: str) -> None:
        self.root, self._name, self._layout, self._get = root.expanduser(), name, layout, get
        if not self.root.is_dir():
            raise DataError(f"{self.root} is no folder: {self._help()}")

    def file(self, *patterns: str) -> Path:
        """Give the first file that a pattern finds, in their order; DataError says what the folder must hold."""
        for pattern in patterns:
            found = self.files(pattern)
            if found:
                return found[0]
        raise self.refuse(f"has no {' or '.join(patterns)}")

    def files(self, pattern: str) -> list[Path]:
        """Give the files of a pattern in their official place, or else anywhere below, sorted."""
        return sorted(self.root.glob(pattern)) or sorted(self.root.rglob(pattern))

    def has(self, pattern: str) -> bool:
        """Say whether there is a file of that pattern."""
        return bool(self.files(pattern))

    def json(self, *patterns: str) -> Any:
        """Read a JSON file; DataError where it is missing or broken."""
        path = self.file(*patterns)
        try:
            return json.loads(path.read_text(encoding="utf-8-sig"))
        except ValueError as error:
            raise DataError(f"{path} is not JSON ({error}): {self._help()}") from error

    def rows(self, *patterns: str) -> list[dict[str, Any]]:
        """Read the records of a json, jsonl, csv or parquet file."""
        from eval_suites.readers.rows import load_rows

        return load_rows(self.file(*patterns))

    def image(self, name: str, *places: str) -> str:
        """Give the path of an image that the benchmark names; where it is missing, the path where it should be."""
        for place in ("", *places):
            path = self.root / place / name
            if path.is_file():
                return str(path)
        plain = name.replace("\\", "/")
        by_name, by_stem = self._images
        file = Path(plain)
        found = by_name.get(file.name) or by_stem.get(file.stem) or by_stem.get(file.name) or []
        best = min(found, key=lambda path: (not str(path).endswith(plain), len(path.parts)), default=None)
        return str(best or self.root / (places[0] if places else "") / name)

    def refuse(self, what: str) -> DataError:
        """Build the sentence about a folder that is not what the suite needs."""
        return DataError(f"{self.root} {what}: {self._help()}")

    def _help(self) -> str:
        return f"{self._name} needs {self._layout}; get it from {self._get}"

    @cached_property
    def _images(self) -> tuple[dict[str, list[Path]], dict[str, list[Path]]]:
        by_name: dict[str, list[Path]] = {}
        by_stem: dict[str, list[Path]] = {}
        for path in self._walk():
            by_name.setdefault(path.name, []).append(path)
            by_stem.setdefault(path.stem, []).append(path)
        return by_name, by_stem

    def _walk(self) -> Iterator[Path]:
        return (path for path in sorted(self.root.rglob("*")) if path.suffix.lower() in IMAGES)
