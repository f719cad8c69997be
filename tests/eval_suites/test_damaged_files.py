"""Damaged and odd files of predictions: each is one sentence and exit status 2, or is scored; never a traceback."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval_suites.__main__ import main

ROWS = b'[{"answer": "a", "ground_truth": "b"}]'
DAMAGED = {
    "cut.json": ROWS[:-9], "empty.json": b"", "blank.jsonl": b"\n\n", "bytes.json": bytes(range(256)),
    "null.json": b"null", "number.json": b"3", "words.json": b'["a", "b"]', "nested.json": b'[["a"]]',
    "utf16.json": ROWS.decode().encode("utf-16"), "latin.json": ROWS.replace(b'"a"', b'"\xe9"'),
    "cut.json.gz": gzip.compress(ROWS)[:20], "plain.json.gz": ROWS, "names.csv": b"answer,ground_truth\n",
    "cut.jsonl": ROWS[1:20],
    "long.csv": b"answer,ground_truth\na\nb,c,d,e\n", "table.parquet": b"PAR1xxxx", "zip.npz": b"PK\x03\x04garbage",
    "cut.npy": b"\x93NUMPYgarb", "empty.npz": b"", "nulls.json": b'[{"answer": null, "ground_truth": null}]',
    "shapes.json": b'[{"answer": {"x": 1}, "ground_truth": [[1, "a"]]}]', "model.pkl": b"abc",
}  # fmt: skip
SUITES = ("rsvqa", "choice", "dior-rsvg", "xbd", "change-mask", "dota-text", "retrieval-rsitmd", "zeroshot", "vleo")


def score(path: Path, suite: str) -> int:
    """Give the exit status of the command."""
    try:
        main(["score", str(path), "--suite", suite])
    except SystemExit as stopped:
        return int(str(stopped.code))
    return 0


@pytest.mark.parametrize("suite", SUITES)
def test_a_damaged_file_is_a_sentence(
    suite: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    for name, content in DAMAGED.items():
        path = tmp_path / name
        path.write_bytes(content)
        caplog.clear()
        status = score(path, suite)
        assert status in (0, 2), name
        said = capsys.readouterr().out
        assert "NaN" not in said and (json.loads(said)["n"] > 0 if status == 0 else ": " in caplog.text), name


@pytest.mark.parametrize("suite", ["change-mask", "rrsisd", "rsvqa"])
def test_damaged_arrays_and_pictures_are_a_sentence(suite: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "objects.npz", pred=np.array([None, 1], dtype=object), gt=np.zeros(2))
    np.savez(tmp_path / "flat.npz", pred=np.zeros(5), gt=np.array(["a"] * 5))
    for side in ("pred", "gt"):
        (tmp_path / "masks" / side).mkdir(parents=True)
    (tmp_path / "masks" / "pred" / "a.png").write_bytes(b"\x89PNG broken")
    Image.new("L", (4, 4)).save(tmp_path / "masks" / "gt" / "a.png")
    for name in ("objects.npz", "flat.npz", "masks"):
        assert score(tmp_path / name, suite) in ((0, 2) if suite == "rsvqa" and name == "flat.npz" else (2,)), name
