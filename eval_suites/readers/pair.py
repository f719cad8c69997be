"""Rows of a file to entries: which key is the prediction, which the target, and which row belongs to which."""

from __future__ import annotations

from pathlib import Path

from eval_suites.readers.loaded import Field, Loaded, Options


def read_pairs(predictions: Path, references: Path | None, fields: tuple[Field, ...], options: Options) -> Loaded:
    """Read rows of predictions and targets, from one file or from two that share an id."""
    raise NotImplementedError
