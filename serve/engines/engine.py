"""What an engine is: it takes one prompt and gives its words as they come, and then the whole answer.

A prompt names images by path, so that an engine reads what it needs of them; its words are not yet escaped. Whoever
stops listening cancels the work: an engine keeps nothing going for nobody.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Literal, Protocol

from vlm.answer import Request
from vlm.codecs.grammar import answer_pattern
from vlm.records import Answer

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Said:
    """Hold one earlier message of a conversation."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Guide:
    """Hold what an answer's text must be: what a regular expression matches, or JSON by a schema (as JSON text).

    The kind "task" has no text yet: it stands for the expression of the request's task (plain_guide).
    """

    kind: Literal["regex", "json", "task"]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Sampling:
    """Say how tokens are drawn: the likeliest one at temperature 0, else from the `top_p` mass with a seed.

    The answer ends before the first of `stop`, which it does not hold, and is held to `guide`.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    guide: Guide | None = None


GREEDY = Sampling()


@dataclass(frozen=True, slots=True)
class Prompt:
    """Hold one question: who asks, the question with its images, what was said before it, and how to sample.

    The images of the request belong to message `images_at` of `before`, or to the question itself where that is None.
    `adapter` is one of the engine's, or "" for the model itself.
    """

    owner: str
    request: Request
    before: tuple[Said, ...] = ()
    images_at: int | None = None
    sampling: Sampling = GREEDY
    adapter: str = ""


@dataclass(frozen=True, slots=True)
class Load:
    """Count the prompts that wait and those that are being answered."""

    waiting: int
    running: int


class Engine(Protocol):
    """Answer prompts; `name` is the model's name in the API, `adapters` are those that can be asked for by theirs."""

    name: str
    adapters: tuple[str, ...]

    def generate(self, prompt: Prompt) -> AsyncGenerator[str | Answer, None]:
        """Yield the answer's text in pieces as they come, and at last the answer; closing the generator cancels.

        The pieces join to the answer's text. Raises BusyError when the queue is full, and what vlm.answer raises.
        """
        ...

    def load(self) -> Load: ...

    async def close(self) -> None:
        """Stop what runs and free the model."""
        ...


def plain_guide(prompt: Prompt, dialect: str) -> Guide | None:
    """Give the guide of a prompt as an expression or a schema: that of its task in a dialect where it asks for that."""
    guide = prompt.sampling.guide
    if guide is None or guide.kind != "task":
        return guide
    return Guide("regex", answer_pattern(prompt.request.task, dialect, dates=max(1, len(prompt.request.images))))
