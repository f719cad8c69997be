"""Where else a run's numbers go: TensorBoard where it is installed, and Weights & Biases when asked."""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from train.progress import Listener
from vlm.errors import InputError


def open_trackers(out: Path, *, wandb: str, settings: Mapping[str, Any]) -> tuple[Listener, ...]:
    """Give what listens to a run's lines: TensorBoard below `out/tensorboard`, and the W&B project if one is named."""
    found: list[Listener] = []
    if find_spec("tensorboard") is not None:
        found.append(_open_tensorboard(out / "tensorboard"))
    if wandb:
        if find_spec("wandb") is None:
            raise InputError("wandb names a project, but the package is not installed: pip install wandb")
        run = import_module("wandb").init(project=wandb, name=out.name, dir=str(out), config=dict(settings))
        found.append(lambda step, line: run.log(line, step=step))
    return tuple(found)


def _open_tensorboard(folder: Path) -> Listener:
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder))

    def listen(step: int, line: dict[str, float]) -> None:
        for name, value in line.items():
            writer.add_scalar(name, value, step)
        writer.flush()

    return listen
