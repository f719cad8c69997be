"""A prompt as the messages that the model reads: what anybody said before is escaped like the question."""

from __future__ import annotations

from dataclasses import replace

from serve.engines.engine import Prompt
from vlm.prompter import Prompter, View
from vlm.prompts import Message


def build_messages(prompter: Prompter, prompt: Prompt, view: View) -> list[Message]:
    """Build the conversation of a prompt whose images are read."""
    earlier = replace(prompt.request, task=None, regions=())
    messages: list[Message] = []
    for index, said in enumerate(prompt.before):
        asked = replace(earlier, instruction=said.text)
        if said.role != "user":
            messages.append({"role": said.role, "content": prompter.processor.escape(said.text)})
        elif index == prompt.images_at:
            messages.append(prompter.message(asked, view))
        else:
            messages.append({"role": "user", "content": prompter.words(asked, view)})
    if prompt.images_at is None:
        return [*messages, prompter.message(prompt.request, view)]
    return [*messages, {"role": "user", "content": prompter.words(prompt.request, view)}]
