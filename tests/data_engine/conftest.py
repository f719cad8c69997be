"""What the tests of the data engine share: tiny copies of the datasets in their original layouts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.data_engine.makers import MAKERS


@pytest.fixture
def make(tmp_path: Path) -> Callable[[str], Path]:
    """Give a function that writes the tiny copy of a dataset and gives its folder."""

    def write(name: str) -> Path:
        root = tmp_path / name
        root.mkdir()
        MAKERS[name][0](root)
        return root

    return write
