"""The exponential moving average of the weights: often better than the last ones, at the cost of a copy in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

FILE = "average.pt"


class Average:
    """Follow the trained weights of a model: average = decay * average + (1 - decay) * weights, in float32."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self._live = {name: one for name, one in model.named_parameters() if one.requires_grad}
        self._mean = {name: one.detach().float().clone() for name, one in self._live.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Follow a step."""
        for name, one in self._live.items():
            self._mean[name].lerp_(one.float(), 1 - self.decay)

    @contextmanager
    @torch.no_grad()
    def shown(self) -> Iterator[None]:
        """Let the model hold the average, to be saved or scored, and then its own weights again."""
        own = {name: one.detach().clone() for name, one in self._live.items()}
        for name, one in self._live.items():
            one.copy_(self._mean[name])
        try:
            yield
        finally:
            for name, one in self._live.items():
                one.copy_(own[name])

    def save(self, folder: Path) -> None:
        """Write the average into a checkpoint's folder."""
        torch.save(self._mean, folder / FILE)

    def load(self, folder: Path) -> None:
        """Go on from a checkpoint's average; one written without begins at the weights of now."""
        if (folder / FILE).exists():
            self._mean = torch.load(folder / FILE, weights_only=True)
        else:
            self._mean = {name: one.detach().float().clone() for name, one in self._live.items()}
