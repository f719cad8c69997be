"""Judges: who decides whether an answer means the same, where a protocol asks for that. None, a stub, or any endpoint.

A rule always reports its deterministic part beside the judged one, and the judge's name in the score's protocol.
"""

from __future__ import annotations

from typing import Protocol


class Judge(Protocol):
    """Answer a prompt about an answer; `name` stands in the report (`none` where nobody judges)."""

    name: str

    def ask(self, prompt: str) -> str:
        """Give the judge's reply as text."""
        ...


class NoJudge:
    """Judge nothing: what a rule would ask counts as wrong."""

    name = "none"

    def ask(self, prompt: str) -> str:
        """Give no reply."""
        del prompt
        return ""


class StubJudge:
    """Give the same reply to every prompt, for tests and dry runs."""

    name = "stub"

    def __init__(self, reply: str = "1") -> None:
        self.reply = reply

    def ask(self, prompt: str) -> str:
        """Give the fixed reply."""
        del prompt
        return self.reply
