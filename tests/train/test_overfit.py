"""The whole path can learn: a few samples of every task by heart, and back through asking, to the last token.

benchmarks/training.py does the same with 32 of each.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.train.made_tasks import ASKED, make_samples
from tests.train.memorise import find_wrong, memorise
from tests.vlm.tiny import build_tiny
from vlm.answer import Nadir

COUNT = 4


@pytest.mark.slow
def test_every_task_is_learned_by_heart_and_comes_back_exactly(tmp_path: Path) -> None:
    made = make_samples(tmp_path, COUNT)
    samples = [sample for kind in ASKED for sample in made[kind]]
    model, processor = build_tiny()
    losses = memorise(model, processor, samples, steps=400)
    assert losses[-1] < 0.02
    assert find_wrong(Nadir(model, processor), samples) == []
