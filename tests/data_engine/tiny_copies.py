"""How tests read the tiny copies: samples by id, and what they answer."""

from __future__ import annotations

from pathlib import Path

from data_engine.sources import SOURCES
from vlm.records import Sample


def read(name: str, root: Path, split: str) -> dict[str, Sample]:
    """Give all samples of a source by id."""
    return {sample.id: sample for sample in SOURCES[name].load(root, split=split)}


def answers(samples: dict[str, Sample]) -> dict[str, str]:
    """Give the template of each sample's first answer by id."""
    return {key: sample.turns[0].answer.template for key, sample in samples.items()}
