"""The folder of a run: what it goes on from, and what it leaves.

OUT/checkpoints/step-*/  state to go on from       OUT/model/      what `Nadir.from_pretrained` loads
OUT/log.jsonl            a line of numbers a time  OUT/run.md, loss.png, tensorboard/
OUT/best/, evaluation*   train/evaluation.py
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from train.average import Average
from train.checkpoints import Checkpoints, check_room, say_failure, write_folder
from train.engine import Engine
from train.evaluation import Evaluation
from train.guard import Guard
from train.progress import forget_after
from train.steps import StepResult
from vlm.errors import OutputError

LOG = logging.getLogger("nadir.train")


@dataclass
class Ledger:
    """Count what a run has seen, over all its restarts."""

    conversations: int = 0
    tokens: int = 0
    padding: int = 0
    tiles: int = 0
    starts: int = 0


class Kept(Protocol):
    """Hold a state of a run's own, beside weights and optimizer, that it goes on from."""

    def save(self, folder: Path) -> None:
        """Write the state into a checkpoint's folder."""

    def load(self, folder: Path) -> None:
        """Go on from a checkpoint's state."""


@dataclass
class Run:
    """Write and read the state of a run on all its processes."""

    out: Path
    engine: Engine
    guard: Guard
    average: Average | None
    keep: int
    write_model: Callable[[Path], None]
    """Writes the model's directory; called by the first process with the weights whole."""
    describe: Callable[[Ledger, int, float], None]
    """Writes what tells of the run after `steps` steps and `minutes` minutes; called by the first process."""
    evaluation: Evaluation | None = None
    """What the first process scores models by, if it does."""
    beside: Kept | None = None
    """What else its checkpoints hold, the same on all processes."""
    ledger: Ledger = field(default_factory=Ledger)

    def __post_init__(self) -> None:
        self.checkpoints = Checkpoints(self.out / "checkpoints", self.keep)
        self._written = -1

    @property
    def first(self) -> bool:
        """Tell whether this is the process that writes what is written once."""
        return self.engine.rank == 0

    def resume(self) -> tuple[int, float]:
        """Go on from the newest whole checkpoint, if there is one; give its steps and minutes."""
        found = self.checkpoints.newest() if self.first else None
        step = int(self._share(-1 if found is None else found))
        if self.first:
            self.checkpoints.forget_after(step)
            forget_after(self.out / "log.jsonl", step)
        self.ledger.starts += 1
        if step < 0:
            self._begin()
            return 0, 0.0
        folder = self.checkpoints.path(step)
        notes = self.engine.load(folder)
        self.guard.restore(notes["guard"])
        self.ledger = Ledger(**{**notes["ledger"], "starts": notes["ledger"]["starts"] + 1})
        if self.average is not None:
            self.average.load(folder)
        if self.beside is not None:
            self.beside.load(folder)
        if self.first and self.evaluation is not None:
            self.evaluation.go_on(step=step, minutes=float(notes["minutes"]))
        LOG.info("going on from %s", folder)
        return step, float(notes["minutes"])

    def _begin(self) -> None:
        """Score the model that the run starts from."""
        if self._share(0.0 if self.evaluation is None else 1.0):
            with self.engine.whole():
                if self.first:
                    write_folder(self.out / "model", self.write_model)
            if self.evaluation is not None:
                self.evaluation.begin(self.out / "model")
            self._share(0.0)

    def note(self, result: StepResult, conversations: int) -> None:
        """Count a step, and let the average follow it."""
        self.ledger.conversations += conversations
        self.ledger.tokens += result.tokens
        self.ledger.padding += result.padding
        self.ledger.tiles += result.tiles
        if self.average is not None:
            self.average.update()

    def save(self, step: int, minutes: float, *, last: bool = False) -> float:
        """Write checkpoint and model, have it scored when it is time, and give the seconds that scoring took.

        A failure is told and leaves the ones before; at the end it is an OutputError.
        """
        if step == self._written:
            return self._evaluate(step, minutes, last=last)
        reason = self._find_obstacle()
        if reason is None:
            try:
                self._write(step, minutes)
                self._written = step
                return self._evaluate(step, minutes, last=last)
            except (OSError, RuntimeError, OutputError) as error:
                reason = say_failure(error, self.out)
                self.checkpoints.give_up(step)
                if self.engine.ranks > 1:
                    raise OutputError(f"the checkpoint of step {step} could not be written: {reason}") from error
        stands = f"that of step {self.checkpoints.steps()[-1]} stands" if self.checkpoints.steps() else "there is none"
        said = f"the checkpoint of step {step} could not be written: {reason}; {stands}"
        if last:
            raise OutputError(f"{said}: make room and start again, training goes on from there")
        LOG.error("%s; training goes on", said)
        return 0.0

    def _evaluate(self, step: int, minutes: float, *, last: bool) -> float:
        started = time.monotonic()
        if self.evaluation is not None:
            self.evaluation.follow(self.out / "model", step=step, minutes=minutes, last=last)
        self._share(0.0)
        return time.monotonic() - started

    def _find_obstacle(self) -> str | None:
        """Say why a checkpoint had better not be begun; all processes get the same answer."""
        reason = None
        if self.first:
            try:
                check_room(self.out, checkpoint_bytes(self.engine.model), "a checkpoint and the model")
            except OutputError as error:
                reason = str(error)
        lacks = self._share(0.0 if reason is None else 1.0)
        return None if not lacks else reason or "the first process has no room on its disk"

    def _write(self, step: int, minutes: float) -> None:
        if self.first:
            self.checkpoints.open_new(step)
        self._share(0.0)
        folder = self.checkpoints.new(step)
        notes = {"guard": self.guard.state(), "ledger": vars(self.ledger), "minutes": minutes}
        self.engine.save(folder, notes)
        if self.first and self.average is not None:
            self.average.save(folder)
        if self.first and self.beside is not None:
            self.beside.save(folder)
        self._share(0.0)
        if self.first:
            self.checkpoints.finish(step)
        with self.engine.whole():
            if self.first:
                self._write_model(step, minutes)
        self._share(0.0)

    def _write_model(self, step: int, minutes: float) -> None:
        if self.average is None:
            write_folder(self.out / "model", self.write_model)
        else:
            with self.average.shown():
                write_folder(self.out / "model", self.write_model)
        self.describe(self.ledger, step, minutes)

    def _share(self, value: float) -> float:
        """Give the first process's number to all; nobody goes on before all have come."""
        own = torch.tensor([value if self.first else 0.0], dtype=torch.float64, device=self.engine.device)
        return float(self.engine.total(own))

    def agree(self, minutes: float) -> float:
        """Give the first process's minutes to all, so that all stop and save at the same step."""
        return self._share(minutes)


def checkpoint_bytes(model: nn.Module) -> int:
    """Estimate the bytes of one checkpoint (weights and two moments of what trains, in float32) and of the model."""
    sizes: list[tuple[int, bool, int]] = [
        (int(getattr(one, "ds_numel", one.numel())), one.requires_grad, one.element_size())
        for one in model.parameters()
    ]
    return sum(12 * count * trains + count * width for count, trains, width in sizes)


def settings_of(config: Any) -> dict[str, Any]:
    """Give the fields of a flat configuration as a tracker shows them."""
    return {
        name: value if isinstance(value, str | int | float | bool) else str(value)
        for name, value in vars(config).items()
    }
