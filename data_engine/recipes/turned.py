"""Recipe turned: the sample once more, flipped or turned by quarter turns, with its words, boxes and angles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from data_engine.moves import MOVES, move_sample
from data_engine.recipes.recipe import rng_of
from vlm.records import Sample


def turned(sample: Sample, seed: int) -> Iterator[Sample]:
    """Yield the sample moved by one of the seven symmetries that change it; nothing where its words cannot be moved."""
    move = rng_of(sample, "turned", seed).choice(MOVES[1:])
    moved = move_sample(sample, move)
    if moved is not None:
        yield replace(moved, id=f"{sample.id}/turned-{move.turns}{'-mirrored' if move.mirrored else ''}")
