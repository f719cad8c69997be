"""What the tests of the data engine share: tiny copies of the datasets in their original layouts, and verbs to run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_engine.__main__ import main
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


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """Give a function that runs a verb and gives the line of JSON that it ends with."""

    def call(*arguments: object) -> dict[str, Any]:
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        assert left.value.code in (0, None)
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    return call


@pytest.fixture
def refuse(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Give a function that runs a verb that is refused and gives the sentence."""

    def call(*arguments: object) -> str:
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        assert left.value.code == 2
        return capsys.readouterr().err

    return call
