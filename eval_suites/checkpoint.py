"""A Nadir checkpoint as the one who answers: batches through Nadir.ask_batch, the path that users take."""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import hashlib
from collections.abc import Sequence
from pathlib import Path

from transformers.utils import logging

from eval_suites.cases import Case
from vlm.answer import Nadir, Request
from vlm.model_dir import BUILT_IN


class CheckpointAnswerer:
    """Answer cases with a checkpoint directory, the built-in one by default; its digest covers weights and config."""

    def __init__(self, folder: Path | None = None, *, name: str | None = None, device: str = "cpu") -> None:
        place = folder or BUILT_IN
        logging.disable_progress_bar()
        self._nadir = Nadir.from_pretrained(folder, device=device)
        self.name = name or (f"nadir-{BUILT_IN.name}" if folder is None else place.name)
        self.digest = _digest(place)
        self.dialect: str = self._nadir.model.config.dialect

    def ask(self, cases: Sequence[Case], *, max_new_tokens: int, blind: bool) -> list[str]:
        """Give the raw text of each case's answer; without images where `blind`."""
        requests = [
            Request(
                case.instruction,
                () if blind else case.images,
                window=None if blind else case.window,
                max_new_tokens=max_new_tokens,
            )
            for case in cases
        ]
        return [answer.text for answer in self._nadir.ask_batch(requests)]


def _digest(folder: Path) -> str:
    total = hashlib.sha256()
    for path in sorted([*folder.glob("*.json"), *folder.glob("*.safetensors")]):
        total.update(path.read_bytes())
    return total.hexdigest()[:16]
