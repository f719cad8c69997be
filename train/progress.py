"""Progress of long work: every few seconds an aligned line on the terminal, and the same as JSON in a file.

sft     1200 of 10000  loss 0.8123  ground 1.2044  vqa 0.3310  lr 7.9e-04   812 ms  10.2k tok/s  41.3 img/s ...
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

LOG = logging.getLogger("nadir.train")
Listener = Callable[[int, dict[str, float]], None]
"""What is told of each line: its step and numbers."""


class Progress:
    """Average what is reported between two lines, and write one every `every_s` seconds or `every_steps` steps."""

    def __init__(
        self,
        stage: str,
        path: Path,
        total_s: float | None,
        every_s: float = 15.0,
        *,
        total_steps: int | None = None,
        every_steps: int | None = None,
        listeners: tuple[Listener, ...] = (),
    ) -> None:
        self.stage, self.path, self.total_s, self.every_s = stage, path, total_s, every_s
        self.total_steps, self.every_steps, self.listeners = total_steps, every_steps, listeners
        self._started = self._last = time.monotonic()
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self._rates: dict[str, float] = {}
        self._steps = 0
        path.parent.mkdir(parents=True, exist_ok=True)

    def step(self, number: int, *, pairs: int, rates: Mapping[str, float] | None = None, **values: float) -> None:
        """Report one step of `pairs` samples: `values` are averaged, `rates` counted a second."""
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
            self._counts[name] = self._counts.get(name, 0) + 1
        for name, value in {**(rates or {}), "samples_per_s": pairs}.items():
            self._rates[name] = self._rates.get(name, 0.0) + value
        self._steps += 1
        now = time.monotonic()
        if now - self._last >= self.every_s or (self.every_steps and number % self.every_steps == 0):
            self._write(number, now)

    def pause(self, seconds: float) -> None:
        """Leave out seconds that were no training."""
        self._started += seconds
        self._last += seconds

    def _write(self, number: int, now: float) -> None:
        took = max(1e-9, now - self._last)
        line: dict[str, Any] = {
            "stage": self.stage,
            "step": number,
            **{name: float(f"{total / self._counts[name]:.9g}") for name, total in self._sums.items()},
            "ms": round(1000 * took / self._steps, 1),
            **{name: round(total / took, 3 if total < took else 1) for name, total in self._rates.items()},
            "left_min": self._left_min(number, now, took / self._steps),
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        LOG.info("%s", render_line(line, self.total_steps))
        for listener in self.listeners:
            listener(number, {name: value for name, value in line.items() if name not in ("stage", "step")})
        self._last, self._sums, self._counts, self._rates, self._steps = now, {}, {}, {}, 0

    def _left_min(self, number: int, now: float, step_s: float) -> float:
        left = [] if self.total_s is None else [self.total_s - (now - self._started)]
        left += [] if self.total_steps is None else [(self.total_steps - number) * step_s]
        return round(max(0.0, min(left, default=0.0)) / 60, 1)


def render_line(line: Mapping[str, Any], total_steps: int | None = None) -> str:
    """Write the numbers of a line of the log in columns that stay where they are from line to line."""
    of = f" of {total_steps}" if total_steps else ""
    parts = [f"{line['stage']:<5} {line['step']:>7}{of}"]
    parts += [f"{name.removeprefix('loss/')} {_show(name, value)}" for name, value in line.items() if name not in KNOWN]
    parts.append(f"{line['ms']:>6.0f} ms")
    return "  ".join([*parts, *(shape.format(line[name]) for name, shape in SHAPES.items() if name in line)])


KNOWN = ("stage", "step", "ms", "samples_per_s", "tokens_per_s", "images_per_s", "wait", "mfu", "peak_gib", "left_min")
SHAPES = {
    "samples_per_s": "{:>6.1f} samples/s",
    "tokens_per_s": "{:>8.0f} tok/s",
    "images_per_s": "{:>6.1f} tiles/s",
    "wait": "wait {:>4.1%}",
    "mfu": "MFU {:>4.1%}",
    "peak_gib": "{:>5.1f} GiB",
    "left_min": "{:>6.1f} min left",
}


def forget_after(path: Path, step: int) -> None:
    """Drop the lines of steps that a run takes again, because it goes on from an earlier checkpoint."""
    if path.exists():
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if _step_of(line) <= step]
        new = path.with_name(path.name + ".new")
        new.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        new.replace(path)


def read_log(path: Path) -> list[dict[str, Any]]:
    """Read the lines of a log; a line that was being written when the run was killed is left out."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError):
        return float("inf")


def _show(name: str, value: float) -> str:
    return f"{value:.1e}" if name == "lr" else f"{value:>7.4f}" if value < 1000 else f"{value:>7.1e}"
