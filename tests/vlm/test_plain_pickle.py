"""Pickles of plain values are read, whatever wrote them; one that would run code is not."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vlm.errors import DataError
from vlm.plain_pickle import load_plain_pickle

PLAIN = [{"ref_id": 1, "split": "test", "ids": [np.int64(3)], "sentences": [{"raw": "the ship", "share": 0.5}]}]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("content", [PLAIN, OrderedDict(a=[1, "b"]), np.float32(0.5)])
def test_plain_values_come_back(protocol: int, content: Any, tmp_path: Path) -> None:
    (tmp_path / "refs.p").write_bytes(pickle.dumps(content, protocol=protocol))
    assert load_plain_pickle(tmp_path / "refs.p") == content


@pytest.mark.parametrize("content", [b"cos\nsystem\n(S'true'\ntR.", pickle.dumps(Path), b"", b"no pickle", b"\x80\x04"])
def test_everything_else_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "refs.p").write_bytes(content)
    with pytest.raises(DataError, match=r"refs\.p is no readable pickle .*download it again"):
        load_plain_pickle(tmp_path / "refs.p")
