"""A result is written whole or not at all."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from vlm.errors import OutputError
from vlm.output import replacing, write_bytes, write_text


def write_half(path: Path, error: Exception) -> None:
    with replacing(path) as new:
        new.write_text("half of the n")
        raise error


def test_full_disk_leaves_the_old_file_and_no_scrap(tmp_path: Path) -> None:
    path = tmp_path / "answer.geojson"
    path.write_text("old")
    with pytest.raises(OutputError, match=r"answer\.geojson cannot be written: No space left"):
        write_half(path, OSError(errno.ENOSPC, "No space left on device"))
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["answer.geojson"]


def test_any_error_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "answer.geojson"
    path.write_text("old")
    with pytest.raises(ValueError, match="not this"):
        write_half(path, ValueError("not this"))
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_folders_are_made_and_files_replaced(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "a.txt"
    assert write_text(path, "é") == path
    assert write_bytes(path, b"b").read_bytes() == b"b"


@pytest.mark.parametrize("place", ["", "file.txt/a.txt"])
def test_impossible_places_are_a_sentence(tmp_path: Path, place: str) -> None:
    (tmp_path / "file.txt").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_text(tmp_path / place, "x")
