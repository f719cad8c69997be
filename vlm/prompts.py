"""Prompts: the user's words, the images' notes and the task's hint become chat messages.

Nothing that a user types is a command.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from vlm.errors import InstructionError
from vlm.records import TASKS, Task

WORD_JOINER = "\u2060"

TASK_HINTS: dict[Task, str] = {
    "caption": "Describe the image in one sentence.",
    "classify": "Answer with the scene class.",
    "vqa": "Answer with a word or a short phrase.",
    "count": "Answer with a number.",
    "ground": "Answer with a box.",
    "detect": "Answer with all boxes.",
    "segment": "Answer with a mask.",
    "region": "Describe the region.",
    "change": "Compare the two dates.",
    "chat": "",
}

DIALECT_HINT = "Write places as {} does."
"""What is said to a model that was taught several dialects (train/mixture.py) where another than its own is wanted."""

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}{% else %}<image>{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

Message = dict[str, Any]


def escape_control_tokens(text: str, tokens: Iterable[str]) -> str:
    """Break every control token in `text` with a word joiner, so that it is read as the words it is made of."""
    pattern = "|".join(re.escape(token) for token in sorted(tokens, key=len, reverse=True) if token)
    return re.sub(pattern, lambda found: found[0][0] + WORD_JOINER + found[0][1:], text) if pattern else text


def with_hint(instruction: str, task: Task | None, *, regions: str = "", dialect: str | None = None) -> str:
    """Append the text of the regions that an instruction speaks about, and the hints of a task and of a dialect.

    `dialect` is one that is not the model's own. Raises InstructionError when the instruction is empty or the task
    unknown.
    """
    if not instruction.strip():
        raise InstructionError('the instruction is empty: say what you want to know, such as "Where are the ships?"')
    if task is not None and task not in TASKS:
        raise InstructionError(f"task {task!r} is unknown: known tasks are {', '.join(TASKS)}")
    hints = ("" if task is None else TASK_HINTS[task], DIALECT_HINT.format(dialect) if dialect else "")
    return " ".join(part for part in (instruction.strip(), regions, *hints) if part)


def user_message(text: str, notes: Sequence[str], *, dates: int | None = None) -> Message:
    """Build the user message that holds the images, one note each ("" for none), followed by the text.

    Several dates (by default, each image is one) are numbered from 1, as the dialects number them; the renderings of a
    date share its number.
    """
    content: list[dict[str, str]] = []
    dates = dates or len(notes)
    for index, note in enumerate(notes):
        name = f"Image {index * dates // len(notes) + 1}" if dates > 1 else "Image"
        if dates > 1 or note:
            content.append({"type": "text", "text": f"{name} ({note}): " if note else f"{name}: "})
        content += [{"type": "image"}, {"type": "text", "text": "\n"}]
    return {"role": "user", "content": [*content, {"type": "text", "text": text}]}
