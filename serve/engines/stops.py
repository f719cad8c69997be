"""Texts at which an answer ends: it does not hold them, and a stream must not say their beginnings too early."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stops:
    """Find the first of several stops in a text that grows."""

    texts: tuple[str, ...] = ()

    def before(self, text: str) -> str:
        """Give the text before the first stop; all of it where there is none."""
        found = [at for stop in self.texts if (at := text.find(stop)) >= 0]
        return text[: min(found)] if found else text

    def sure(self, text: str) -> str:
        """Give the part of a growing text that no stop can take back: without an end that may become one."""
        kept = self.before(text)
        if kept != text:
            return kept
        held = max((_overlap(text, stop) for stop in self.texts), default=0)
        return text[: len(text) - held]


def _overlap(text: str, stop: str) -> int:
    """Count the characters at the end of a text that a stop begins with."""
    most = min(len(text), len(stop) - 1)
    return next((length for length in range(most, 0, -1) if text.endswith(stop[:length])), 0)
