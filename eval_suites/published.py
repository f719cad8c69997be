"""Published numbers: who reported what, by which protocol, from where; as fractions (CIDEr 0..10).

They stand beside own results of the same protocol only. A protocol that no rule here has (another judge, another
split, a scorer that was never released) keeps its name, so that its numbers stand nowhere else. `source` says where the
number was read; "at second hand" means in another project's table.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Final

MOST_SHOWN: Final = 8


@dataclass(frozen=True, slots=True)
class Published:
    """Hold one model's published scores in a suite by a protocol: measure or category to value."""

    suite: str
    protocol: str
    model: str
    source: str
    scores: dict[str, float]

    def numbers(self) -> str:
        """Write the scores in a line."""
        return ", ".join(f"{name} {value:.4g}" for name, value in list(self.scores.items())[:MOST_SHOWN])


def find_published(suite: str, protocol: str | None = None) -> tuple[Published, ...]:
    """Give what is published about a suite, by one protocol or by all."""
    return tuple(one for one in load_published() if one.suite == suite and protocol in (None, one.protocol))


@lru_cache(maxsize=1)
def load_published() -> tuple[Published, ...]:
    """Read the numbers that lie beside this file."""
    rows = json.loads((files("eval_suites") / "published.json").read_text(encoding="utf-8"))
    return tuple(Published(**row) for row in rows)
