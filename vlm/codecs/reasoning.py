"""Tell the reasoning of a text from its answer: `<think>` parts and `<answer>` tags."""

from __future__ import annotations

import re
from dataclasses import dataclass

_MARK = re.compile(r"<\s*+(/?)\s*+think\s*+>", re.IGNORECASE)
_ANSWER_TAG = re.compile(r"<\s*+/?\s*+answer\s*+>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SplitText:
    """Hold the answer of a text, its reasoning, and the part of the latter that never ends (empty: it does)."""

    answer: str
    reasoning: str
    unfinished: str


def split_reasoning(text: str) -> SplitText:
    """Take `<think>` parts and answer tags out of a text; text without either is the answer as it is.

    Chat templates often write the first `<think>` into the prompt: what stands before a `</think>` that nothing opened
    is reasoning too.
    """
    outside: list[str] = []
    inside: list[str] = []
    end, opened = 0, False
    for mark in _MARK.finditer(text):
        closing = bool(mark[1])
        (inside if opened or closing else outside).append(text[end : mark.start()])
        end, opened = mark.end(), not closing
    unfinished = text[end:] if opened else ""
    (inside if opened else outside).append(text[end:])
    answer = _ANSWER_TAG.sub("", "".join(outside))
    if answer != text:
        answer = answer.strip()
    return SplitText(answer, "\n".join(part.strip() for part in inside if part.strip()), unfinished)
