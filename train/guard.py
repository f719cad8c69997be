"""Watch the loss: what is no number or far above the recent is left out, and too much of it ends the run."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from vlm.errors import NadirError

MEMORY = 0.98
"""Share of the running mean of the loss that stays at each step."""
WARM = 20
"""Steps before a spike is a spike."""
RECENT = 100
"""Steps within which bad ones count together."""


class TrainingError(NadirError):
    """Say why training cannot go on."""


@dataclass
class Guard:
    """Decide on each piece of a step; its state goes into the checkpoints."""

    spike: float
    """Factor over the running mean from which a loss is a spike; 0 lets every finite loss pass."""
    most: int
    """Bad steps among the last RECENT that end the run."""
    mean: float = 0.0
    seen: int = 0
    skipped: int = 0
    """Steps that lost a piece, over the whole run."""
    bad: list[int] = field(default_factory=list)

    def passes(self, loss: float) -> bool:
        """Tell whether a piece with this loss is learned from."""
        if not math.isfinite(loss):
            return False
        return self.spike <= 0 or self.seen < WARM or loss <= self.spike * self.mean / (1 - MEMORY**self.seen)

    def note(self, step: int, loss: float, *, whole: bool) -> None:
        """Remember a step's loss, or that it was left out; raises TrainingError at the `most`-th bad one of late."""
        if whole:
            self.mean, self.seen = MEMORY * self.mean + (1 - MEMORY) * loss, self.seen + 1
            return
        self.skipped += 1
        self.bad = [*(one for one in self.bad if one > step - RECENT), step]
        if len(self.bad) >= self.most:
            raise TrainingError(
                f"training stopped at step {step}: {len(self.bad)} of the last {RECENT} steps had a loss or gradient "
                f"that is no number or a spike (latest loss {loss:.4g}); lower the learning rate, look at the data "
                "around these steps, and go on from the last checkpoint"
            )

    def state(self) -> dict[str, Any]:
        """Give what a later run goes on from."""
        return {"mean": self.mean, "seen": self.seen, "skipped": self.skipped, "bad": self.bad}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.mean, self.seen = state["mean"], state["seen"]
        self.skipped, self.bad = state["skipped"], list(state["bad"])
