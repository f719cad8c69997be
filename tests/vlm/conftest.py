"""The tiny model, its checkpoint directory, and pictures to ask it about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.vlm.tiny import build_tiny
from vlm.answer import Nadir
from vlm.checkpoint import save_checkpoint


@pytest.fixture(scope="session")
def tiny() -> Nadir:
    return Nadir(*build_tiny())


@pytest.fixture(scope="session")
def tiny_model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    save_checkpoint(*build_tiny(), folder)
    return folder


@pytest.fixture
def pictures() -> list[np.ndarray]:
    """Give three pictures of different sizes, (H, W, 3) uint8."""
    rng = np.random.default_rng(0)
    return [
        rng.integers(0, 256, (height, width, 3), dtype=np.uint8) for height, width in ((30, 30), (40, 90), (64, 64))
    ]
