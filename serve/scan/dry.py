"""What a scan would do, before it does anything: rasters, windows, area, and what a few windows really take."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from serve.scan.asking import Asker
from serve.scan.ledger import render_seconds
from serve.scan.options import ScanOptions
from serve.scan.plan import Plan, Target, read_targets, write_plan
from serve.scan.working import Worker

PROBES = 3


@dataclass(frozen=True, slots=True)
class Estimate:
    """Hold the plan, how many windows were tried, the seconds of an answered one, and how many answer at once."""

    plan: Plan
    tried: int
    answered: int
    seconds: float
    at_once: int

    @property
    def total_s(self) -> float | None:
        """Give the seconds of the whole scan, as if every window held data; None where none was answered."""
        return self.plan.windows * self.seconds / self.at_once if self.answered else None

    def render(self, *, price: float | None = None) -> str:
        """Write the plan and its cost as lines; `price` is that of an hour."""
        plan = self.plan
        place = f"out in {plan.crs or 'pixels'}"
        lines = [f"{plan.rasters:,} rasters, {plan.windows:,} windows, {plan.km2:,.2f} km2, {place}"]
        lines += plan.notes
        if self.total_s is None:
            lines.append(f"no estimate: of {self.tried} windows that were tried none was answered")
            return "\n".join(lines)
        lines.append(
            f"{self.answered} of {self.tried} windows that were tried took {self.seconds:,.2f} s each, "
            f"{self.at_once} at once: about {render_seconds(self.total_s)}"
        )
        if plan.km2:
            lines[-1] += f", {self.total_s / plan.km2:,.3g} s/km2"
        if price is not None:
            total = self.total_s / 3600 * price
            lines[-1] += f", cost {total:,.2f}" + (f" ({total / plan.km2:,.3g} per km2)" if plan.km2 else "")
        return "\n".join(lines)


def estimate_scan(source: str, instruction: str, options: ScanOptions, asker: Asker) -> Estimate:
    """Plan a scan and ask PROBES windows that are spread over it; nothing is kept."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "plan.jsonl"
        plan = write_plan(source, options, file)
        worker = Worker(asker, instruction, options, threading.Event())
        tried, answered, seconds = 0, 0, 0.0
        for target, number in _spread(file, plan.windows):
            started = time.perf_counter()
            (finding,) = worker((target, [number]))
            tried += 1
            if finding.state == "answered":
                answered, seconds = answered + 1, seconds + time.perf_counter() - started
    return Estimate(plan, tried, answered, seconds / max(1, answered), max(1, asker.at_once))


def _spread(file: Path, windows: int) -> Iterator[tuple[Target, int]]:
    """Yield a few windows that lie far apart."""
    wanted = sorted({(2 * probe + 1) * windows // (2 * PROBES) for probe in range(PROBES)})
    for target in read_targets(file):
        yield from ((target, number) for number in wanted if target.first <= number < target.first + target.windows)
