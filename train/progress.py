"""Progress of long work: one JSON line every few seconds, in a file and on the terminal, with rate and time left."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path

LOG = logging.getLogger("nadir.train")


class Progress:
    """Average what is reported between two lines and write a line every `every_s` seconds."""

    def __init__(self, stage: str, path: Path, total_s: float, every_s: float = 15.0) -> None:
        self.stage, self.path, self.total_s, self.every_s = stage, path, total_s, every_s
        self._started = self._last = time.monotonic()
        self._sums: dict[str, float] = {}
        self._steps = 0
        path.parent.mkdir(parents=True, exist_ok=True)

    def step(self, number: int, *, pairs: int, **values: float) -> None:
        """Report one step of `pairs` samples and its values."""
        for name, value in {**values, "pairs": float(pairs)}.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._steps += 1
        now = time.monotonic()
        if now - self._last >= self.every_s:
            self._write(number, now)

    def _write(self, number: int, now: float) -> None:
        means = {name: round(total / self._steps, 4) for name, total in self._sums.items() if name != "pairs"}
        line = {
            "stage": self.stage,
            "step": number,
            **means,
            "samples_per_s": round(self._sums["pairs"] / (now - self._last), 1),
            "left_min": round(max(0.0, self.total_s - (now - self._started)) / 60, 1),
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        LOG.info("%s", json.dumps(line))
        self._last, self._sums, self._steps = now, {}, 0
