"""A Nadir checkpoint as the one who answers: batches through Nadir.ask_batch, the path that users take."""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from transformers.utils import logging

from eval_suites.cases import Case
from eval_suites.models.wording import word_prompt
from vlm.answer import Nadir, Request
from vlm.errors import CheckpointError
from vlm.model_dir import BUILT_IN

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


class CheckpointAnswerer:
    """Answer cases with a checkpoint directory, the built-in one by default; its digest covers weights and config."""

    batch = 24
    sees = True

    def __init__(self, folder: Path | None = None, *, name: str | None = None, device: str = "cpu") -> None:
        logging.disable_progress_bar()
        self._nadir = Nadir.from_pretrained(folder, device=device)
        self.name, self.digest = name_checkpoint(folder, name)
        self.dialect: str = self._nadir.model.config.dialect
        self.facts: dict[str, object] = {"dialect": self.dialect}

    def begin(self, folder: Path) -> None:
        """Do nothing: nothing is kept beside the samples."""

    def ask(self, cases: Sequence[Case], *, max_new_tokens: int, blind: bool) -> list[str]:
        """Give the raw text of each case's answer; without images where `blind`."""
        requests = [
            Request(
                word_prompt(case, self.dialect),
                () if blind else case.images,
                window=None if blind else case.window,
                max_new_tokens=max_new_tokens,
            )
            for case in cases
        ]
        return [answer.text for answer in self._nadir.ask_batch(requests)]

    def close(self) -> None:
        """Do nothing: a checkpoint has nothing under way."""


def find_checkpoint(spec: str | None) -> Path | None:
    """Give the folder that a path or hub id names, none for the built-in checkpoint; raises CheckpointError."""
    path = Path(spec) if spec else None
    if path and not path.exists() and _HUB_ID.fullmatch(str(spec)):
        return fetch_checkpoint(str(spec))
    return path


def name_checkpoint(folder: Path | None, name: str | None) -> tuple[str, str]:
    """Give what a checkpoint is called in the results, and the digest of its weights and configuration."""
    usual = f"nadir-{BUILT_IN.name}" if folder is None else folder.name
    return name or usual, _digest(folder or BUILT_IN)


def fetch_checkpoint(hub_id: str) -> Path:
    """Download a checkpoint of the Hugging Face hub, or find it in the cache; raises CheckpointError."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(hub_id, allow_patterns=["*.json", "*.safetensors", "*.txt", "*.jinja"]))
    except (OSError, HfHubHTTPError, HFValidationError, LocalEntryNotFoundError) as error:
        reason = str(error).strip().splitlines()[0]
        raise CheckpointError(
            f"{hub_id} is no folder here and cannot be had from the hub ({reason}): give a checkpoint folder, a hub "
            "id, an address that ends in /v1, a file of predictions or fake:perfect"
        ) from error


def _digest(folder: Path) -> str:
    total = hashlib.sha256()
    for path in sorted([*folder.glob("*.json"), *folder.glob("*.safetensors")]):
        total.update(path.read_bytes())
    return total.hexdigest()[:16]
