"""Which model a user means: a folder, a hub id, an address, a file, a fake."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from eval_suites.models.answerer import Answerer
from eval_suites.models.fakes import FakeAnswerer
from vlm.dialects import get_dialect
from vlm.errors import DataError

if TYPE_CHECKING:
    from eval_suites.models.towers import Towers


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """Say how a model is asked: its name in the results, dialect, device, and what concerns endpoints alone.

    `key_from` names the environment variable that holds the key; `extra` are fields for the body of each request.
    """

    name: str | None = None
    dialect: str | None = None
    device: str = "cpu"
    concurrency: int = 8
    key_from: str = "OPENAI_API_KEY"
    timeout_s: float = 300.0
    tokens: int | None = None
    most_image_px: int = 4096
    extra: dict[str, object] = field(default_factory=dict)


def find_model(spec: str | None, options: ModelOptions) -> Answerer:
    """Build the model that `spec` names (None: the built-in checkpoint).

    Raises DataError, CheckpointError or EndpointError with the sentence that helps.
    """
    if options.dialect is not None:
        get_dialect(options.dialect)
    if spec and spec.startswith(("http://", "https://")):
        return _build_served(spec, options)
    if spec and spec.startswith("fake:"):
        return FakeAnswerer(spec.removeprefix("fake:"), dialect=options.dialect or "nadir")
    path = Path(spec) if spec else None
    if path and path.is_file():
        from eval_suites.models.predictions import PredictionAnswerer

        return PredictionAnswerer(path, name=options.name, dialect=options.dialect or "nadir")
    from eval_suites.models.checkpoint import CheckpointAnswerer, find_checkpoint

    folder = find_checkpoint(spec)
    return CheckpointAnswerer(folder, name=options.name or (spec if folder != path else None), device=options.device)


def find_towers(spec: str | None, options: ModelOptions, *, protocol: str) -> Answerer:
    """Build what answers by the towers of the checkpoint that `spec` names (None: the built-in one).

    Files of predictions and fakes answer as ever; DataError for an endpoint, which has no towers.
    """
    if spec and (spec.startswith("fake:") or Path(spec).is_file()):
        return find_model(spec, options)
    from eval_suites.models.towers import TowerAnswerer

    return TowerAnswerer(load_towers(spec, options), protocol=protocol)


def load_towers(spec: str | None, options: ModelOptions) -> Towers:
    """Load the towers of the checkpoint that `spec` names (None: the built-in one); DataError for what has none."""
    if spec and (spec.startswith(("http://", "https://", "fake:")) or Path(spec).is_file()):
        raise DataError(
            f"{spec} gives no embeddings: name a checkpoint, or write scores or embeddings to a file and use python -m "
            "eval_suites score FILE"
        )
    from eval_suites.models.checkpoint import find_checkpoint
    from eval_suites.models.towers import Towers

    folder = find_checkpoint(spec)
    name = options.name or (spec if spec and folder != Path(spec) else None)
    return Towers(folder, name=name, device=options.device)


def _build_served(spec: str, options: ModelOptions) -> Answerer:
    from eval_suites.models.endpoint import Endpoint
    from eval_suites.models.served import Asking, ServedAnswerer, choose_served_model

    url, _, model = spec.partition("#")
    key = os.environ.get(options.key_from)
    endpoint = Endpoint(url, model, key, timeout_s=options.timeout_s)
    if not model:
        endpoint = Endpoint(url, choose_served_model(endpoint), key, timeout_s=options.timeout_s)
    asking = Asking(
        options.dialect or "qwen3", options.concurrency, options.most_image_px, options.tokens, dict(options.extra)
    )
    return ServedAnswerer(endpoint, asking, name=options.name)
