"""What a scan adds up to: every window planned is skipped, answered or failed, and every region written or joined."""

from __future__ import annotations

import re
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from serve.scan.findings import Finding
from vlm.errors import DataError

TABLES = ("failed", "left_out")
_SHOWN_REASONS, _MOST_REASONS = 20, 100


@dataclass(slots=True)
class Ledger:
    """Count windows by what came of them, and regions by what became of them.

    `seconds` is the time of all runs, `asked_ms` that of the answers; `failed` and `left_out` count by reason.
    """

    planned: int = 0
    empty: int = 0
    answered: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    issues: int = 0
    regions: int = 0
    joined: int = 0
    features: int = 0
    km2: float = 0.0
    seconds: float = 0.0
    asked_ms: float = 0.0
    prompt_tokens: int = 0
    new_tokens: int = 0

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Ledger:
        """Read a ledger back; inverse of to_dict."""
        known = {name: value for name, value in values.items() if name != "seconds_per_km2"}
        return cls(**known | {name: Counter(values[name]) for name in TABLES})

    def count(self, finding: Finding) -> None:
        """Count one finished window."""
        if finding.state == "empty":
            self.empty += 1
        elif finding.state == "failed":
            self.failed[_short(finding.reason, self.failed)] += 1
        else:
            self.answered += 1
            self.issues += finding.issues
            self.regions += len(finding.regions)
            self.asked_ms += finding.ms
            self.prompt_tokens += finding.prompt_tokens
            self.new_tokens += finding.new_tokens

    def require_sum(self) -> None:
        """Raise DataError where the windows do not add up: a fault of the scan, not of the data."""
        found = self.empty + self.answered + self.failed.total()
        if found != self.planned:
            raise DataError(
                f"{self.planned} windows were planned and {found} are accounted for: scan again with --fresh"
            )

    def to_dict(self) -> dict[str, Any]:
        """Give the ledger as JSON values, with what a square kilometre cost."""
        values = asdict(self) | {"failed": dict(self.failed), "left_out": dict(self.left_out)}
        rounded = {name: round(values[name], 3) for name in ("km2", "seconds", "asked_ms")}
        per_km2 = {} if not self.km2 else {"seconds_per_km2": round(self.seconds / self.km2, 6)}
        return values | rounded | per_km2

    def render(self) -> str:
        """Write the ledger as a sentence."""
        parts = [f"{self.planned:,} windows: {self.answered:,} answered, {self.empty:,} empty"]
        parts[0] += f", {self.failed.total():,} failed"
        parts += [f"  failed {count:,}: {reason}" for reason, count in self.failed.most_common(_SHOWN_REASONS)]
        parts += [f"  left out {count:,}: {reason}" for reason, count in self.left_out.most_common(_SHOWN_REASONS)]
        seams = f" ({self.joined:,} joined at seams)" if self.joined else ""
        parts.append(f"{self.regions:,} regions seen{seams}, {self.features:,} features written")
        return "\n".join(parts)


class Pace:
    """Measure how far a scan is, how fast, and what is left; windows of earlier runs do not count for the rate."""

    def __init__(self, total: int, km2: float, *, done: int = 0) -> None:
        self.total, self.km2, self.done, self._before = total, km2, done, done
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    @property
    def rate(self) -> float:
        """Give windows a second."""
        return (self.done - self._before) / max(1e-6, self.seconds)

    @property
    def left_s(self) -> float | None:
        """Give the seconds that are left, None while nothing is known."""
        return (self.total - self.done) / self.rate if self.done > self._before else None

    def seconds_per_km2(self) -> float | None:
        """Give the seconds that a square kilometre takes at this pace."""
        if not self.km2 or self.done == self._before:
            return None
        return self.total / self.rate / self.km2

    def render(self, *, price: float | None = None) -> str:
        """Write the pace as a line: done, rate, time left, cost of a square kilometre (`price` is that of an hour)."""
        line = f"{self.done:,} of {self.total:,} windows, {self.rate:,.2f}/s"
        if self.left_s is not None:
            line += f", {render_seconds(self.left_s)} left"
        cost = self.seconds_per_km2()
        if cost is not None:
            line += f", {cost:,.3g} s/km2" + (f" ({cost / 3600 * price:,.3g} per km2)" if price else "")
        return line


def render_seconds(seconds: float) -> str:
    """Write a duration: 45 s, 12 min, 3.5 h, 2.1 days."""
    for unit, size, decimals in (("days", 86_400, 1), ("h", 3600, 1), ("min", 60, 0)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:,.{decimals}f} {unit}"
    return f"{seconds:,.0f} s"


def _short(reason: str, known: Counter[str]) -> str:
    """Leave numbers out of a reason; beyond a hundred sentences only their kinds are counted."""
    plain = re.sub(r"\d+(?:[.,]\d+)*", "N", reason)
    return plain if plain in known or len(known) < _MOST_REASONS else plain.partition(":")[0]
