"""The tiny model as an engine, and a scene on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serve.live import Live, live
from tests.vlm.made_rasters import UTM, checker, write_raster
from tests.vlm.tiny import build_tiny
from vlm.answer import Nadir


@pytest.fixture(scope="session")
def nadir() -> Nadir:
    return Nadir(*build_tiny())


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_raster(tmp_path_factory.mktemp("scene") / "scene.tif", checker(3, 120, 160), **UTM)


@pytest.fixture(scope="session")
def later(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_raster(tmp_path_factory.mktemp("later") / "later.tif", checker(3, 120, 160, seed=1), **UTM)


@pytest.fixture(scope="session")
def server(nadir: Nadir, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Serve the tiny model to everybody."""
    with live(nadir, tmp_path_factory.mktemp("data")) as running:
        yield running
