"""The ledger of a stage: what came in, what went out, what was dropped and why. The numbers add up or the stage fails.

    read + made = kept + dropped

`read` counts the samples that came in, `made` those that a stage added to them (a sample that becomes five adds four),
`kept` those written, `dropped` those that were not, by reason. Each drop is a line of rejected.jsonl.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from vlm.errors import DataError

LOG = logging.getLogger("nadir.data")
MAX_REJECTS = 100
"""Faults that a stage bears by default before it stops."""
_SHOWN = 5


@dataclass(slots=True)
class Ledger:
    """Count the samples of a stage or of one of its units, and keep each drop with its reason.

    `max_rejects` bounds the faults (damaged input), those of the units before (`faults_before`) included; None is no
    bound. `tick` is told how many items are done.
    """

    max_rejects: int | None = None
    read: int = 0
    made: int = 0
    kept: int = 0
    seconds: float = 0.0
    faults: int = 0
    faults_before: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    tick: Callable[[int], None] = field(default=lambda count: None, repr=False, compare=False)

    @property
    def drops(self) -> int:
        """Give the number of samples that were dropped, for any reason."""
        return self.dropped.total()

    def drop(self, reason: str, detail: str = "", where: str = "", *, count: int = 1, fault: bool = True) -> None:
        """Count `count` samples as dropped: `reason` is a short name, `detail` a sentence, `where` a sample or file.

        `fault` says that the input is damaged; one call is one fault, however many samples it costs. A filter that does
        its work passes false. Raises DataError when there are more faults than `max_rejects`.
        """
        self.dropped[reason] += count
        self.rejected.append({"reason": reason, "where": where, "detail": detail, "count": count, "fault": fault})
        self.faults += fault
        faults = self.faults_before + self.faults
        if self.max_rejects is not None and faults > self.max_rejects:
            raise TooManyRejectsError(
                f"{faults} faults are more than --max-rejects {self.max_rejects} allows; the last was {reason} at "
                f"{where or 'an unnamed place'}: {detail or 'no detail'}; see rejected.jsonl, mend the input or "
                "raise --max-rejects"
            )

    def add(self, other: Ledger) -> None:
        """Add the numbers and the rejected lines of another ledger to this one."""
        self.read += other.read
        self.made += other.made
        self.kept += other.kept
        self.seconds += other.seconds
        self.faults += other.faults
        self.dropped.update(other.dropped)
        self.rejected += other.rejected

    def require_balance(self, name: str) -> None:
        """Raise DataError unless read + made = kept + dropped."""
        if self.read + self.made != self.kept + self.drops:
            raise DataError(
                f"the ledger of {name} does not add up: read {self.read} + made {self.made} is not kept {self.kept} + "
                f"dropped {self.drops} ({dict(self.dropped)}); this is a fault of the stage"
            )

    def to_json(self) -> dict[str, Any]:
        """Give the numbers as plain JSON; drops by reason, the most frequent first."""
        return {
            "read": self.read,
            "made": self.made,
            "kept": self.kept,
            "dropped": dict(sorted(self.dropped.items(), key=lambda item: (-item[1], item[0]))),
            "faults": self.faults,
            "seconds": round(self.seconds, 3),
        }

    def render(self, name: str) -> str:
        """Write the ledger as one line for people, the commonest reasons named."""
        reasons = [f"{reason} {count:,}" for reason, count in self.dropped.most_common(_SHOWN)]
        reasons += ["..."] if len(self.dropped) > _SHOWN else []
        why = f" ({', '.join(reasons)})" if reasons else ""
        rate = f", {(self.kept + self.drops) / self.seconds:,.0f}/s" if self.seconds > 0 else ""
        return (
            f"{name}: read {self.read:,} + made {self.made:,} = kept {self.kept:,} + dropped {self.drops:,}{why}; "
            f"{self.seconds:,.1f} s{rate}"
        )

    def render_rejected(self) -> str:
        """Write the rejected lines as JSON lines."""
        return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in self.rejected)


class TooManyRejectsError(DataError):
    """Say that the input is more damaged than the user allows."""


def parse_ledger(content: dict[str, Any]) -> Ledger:
    """Read the numbers of a ledger back from JSON; the rejected lines stay in rejected.jsonl."""
    return Ledger(
        read=content["read"],
        made=content["made"],
        kept=content["kept"],
        seconds=content["seconds"],
        faults=content["faults"],
        dropped=Counter(content["dropped"]),
    )
