"""Judges: who decides whether an answer means the same, where a protocol asks for that. None, a stub, or any endpoint.

A rule always reports its deterministic part beside the judged one, and the judge's name in the score's protocol.
"""

from __future__ import annotations

import os
from typing import Protocol

from vlm.errors import InputError

MOST_TOKENS = 100


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


class EndpointJudge:
    """Ask an OpenAI-compatible endpoint, once per prompt: equal prompts get the first reply."""

    def __init__(self, url: str, model: str, key: str | None) -> None:
        from eval_suites.models.endpoint import Client, Endpoint

        self.name = model
        self._client = Client(Endpoint(url, model, key), connections=1)
        self._known: dict[str, str] = {}

    def ask(self, prompt: str) -> str:
        """Give the judge's reply as text; EndpointError where the endpoint gives none."""
        if prompt not in self._known:
            messages = [{"role": "user", "content": prompt}]
            body = {"model": self.name, "messages": messages, "temperature": 0, "max_tokens": MOST_TOKENS}
            self._known[prompt] = self._client.complete(body).text
        return self._known[prompt]

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def build_judge(name: str, *, key_from: str) -> Judge:
    """Build the judge of that name: none, stub, or the model behind http://host:8000/v1#MODEL."""
    if name in ("", "none"):
        return NoJudge()
    if name.split("=")[0] == "stub":
        return StubJudge(name.partition("=")[2] or "1")
    url, _, model = name.partition("#")
    if not url.startswith(("http://", "https://")) or not model:
        raise InputError(
            f"no judge {name!r}: expected none, stub, or an address with a model: http://host:8000/v1#MODEL"
        )
    return EndpointJudge(url, model, os.environ.get(key_from))
