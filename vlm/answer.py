"""The one path from image and instruction to answer: open, plan, tile, ask, parse, place. Everything else calls this.

    nadir = Nadir.from_pretrained()
    answer = nadir.ask("a.tif", "Where are the ships?")
    answer.to_geojson("ships.geojson")

An answer's regions are in pixels of the original image, whatever window, tile or rendering the model saw.
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from vlm.checkpoint import load_checkpoint
from vlm.errors import InstructionError
from vlm.model import NadirForConditionalGeneration
from vlm.processor import NadirProcessor
from vlm.prompter import Prompter, Request, View, cost_of
from vlm.prompts import Message
from vlm.records import Answer

__all__ = ["Chat", "Nadir", "Request", "View"]
_TURN_OPTIONS = ("task", "regions", "dialect", "max_new_tokens")


class Nadir:
    """Answer instructions about imagery with one checkpoint."""

    def __init__(self, model: NadirForConditionalGeneration, processor: NadirProcessor) -> None:
        self.model, self.processor = model.eval(), processor
        self.prompter = Prompter(model.config, processor)

    @classmethod
    def from_pretrained(
        cls, path: str | Path | None = None, *, dtype: str = "float32", device: str = "cpu", **options: Any
    ) -> Nadir:
        """Load a checkpoint directory; without a path, the built-in nadir-nano.

        `options` go to transformers' from_pretrained, such as attn_implementation="flash_attention_2". Raises
        CheckpointError when the directory has no weights or is not a Nadir checkpoint.
        """
        model, processor = load_checkpoint(path, dtype=dtype, **options)
        nn.Module.to(model, device)
        return cls(model, processor)

    def ask(self, *images_and_instruction: str | Path, **options: Any) -> Answer:
        """Answer an instruction about one image or several dates: `ask("a.tif", "b.tif", "What has changed?")`.

        `options` are the fields of Request. Raises an InputError of vlm.errors for what cannot be asked.
        """
        if len(images_and_instruction) < 2:
            raise InstructionError(
                f"ask got {images_and_instruction}: expected one image or more and then the instruction, such as "
                'ask("a.tif", "Where are the ships?"); ask_text asks without an image'
            )
        *images, instruction = images_and_instruction
        return self.ask_batch([Request(str(instruction), tuple(images), **options)])[0]

    def ask_text(self, instruction: str, **options: Any) -> Answer:
        """Answer an instruction without any image: the blind baseline."""
        return self.ask_batch([Request(instruction, **options)])[0]

    def ask_batch(self, requests: Sequence[Request]) -> list[Answer]:
        """Answer several requests in one batch; a request's answer does not depend on the others."""
        if not requests:
            return []
        started = time.perf_counter()
        views = [self.look(request) for request in requests]
        messages = [[self.message(request, view)] for request, view in zip(requests, views, strict=True)]
        read_ms = (time.perf_counter() - started) * 1000 / len(requests)
        return self.answer(requests, views, messages, read_ms=read_ms)

    def look(self, request: Request) -> View:
        """Read a request's images: open, plan, tile. Several images are dates on the first one's grid."""
        return self.prompter.look(request)

    def message(self, request: Request, view: View) -> Message:
        """Build the user message of a first turn: images, notes, escaped instruction and regions."""
        return self.prompter.message(request, view)

    def words(self, request: Request, view: View) -> str:
        """Render the instruction, its regions and the task's hint as the text that the model reads."""
        return self.prompter.words(request, view)

    def answer(
        self,
        requests: Sequence[Request],
        views: Sequence[View],
        messages: Sequence[list[Message]],
        *,
        read_ms: float,
        **generation: Any,
    ) -> list[Answer]:
        """Generate, parse and place the answers to conversations whose images are already read.

        `generation` goes to transformers' generate: a streamer, or how to sample; by default nothing is sampled.
        """
        encoded = [self.processor.encode(turns, view.images) for turns, view in zip(messages, views, strict=True)]
        for request, view, prompt in zip(requests, views, encoded, strict=True):
            self.prompter.require_room(len(prompt["input_ids"]), request, view)
        batch = self.processor.collate(encoded).to(self.model.device)
        started = time.perf_counter()
        limit = max(request.max_new_tokens for request in requests)
        output = self.model.generate(**batch, **{"max_new_tokens": limit, "do_sample": False} | generation)
        stages = {"read": read_ms, "generate": (time.perf_counter() - started) * 1000 / len(requests)}
        new_ids = output[:, batch["input_ids"].shape[1] :]
        answers = []
        for request, view, prompt, ids in zip(requests, views, encoded, new_ids, strict=True):
            ids = ids[: request.max_new_tokens]
            text = self.processor.tokenizer.decode(ids, skip_special_tokens=True)
            new_tokens = int((ids != self.processor.tokenizer.pad_token_id).sum())
            cost = cost_of(view, len(prompt["input_ids"]), new_tokens, stages)
            answers.append(self.prompter.place(request, view, text, cost))
        return answers

    def chat(self, *images: str | Path, **options: Any) -> Chat:
        """Open a conversation about one image or several dates; the images are read once."""
        return Chat(self, Request("-", tuple(images), **options))


class Chat:
    """Keep images and turns: each question sees the ones before it, and the images are read once."""

    def __init__(self, nadir: Nadir, request: Request) -> None:
        self._nadir, self._request = nadir, request
        self._view = nadir.look(request)
        self._messages: list[Message] = []
        self.answers: list[Answer] = []

    def ask(self, instruction: str, **options: Any) -> Answer:
        """Ask the next question of the conversation; `options` are task, regions, dialect and max_new_tokens.

        Raises InstructionError for other options: the images are read once, when the conversation begins.
        """
        fixed = [name for name in options if name not in _TURN_OPTIONS]
        if fixed:
            raise InstructionError(
                f"a question of a chat got {', '.join(fixed)}: expected {', '.join(_TURN_OPTIONS)}; how the images are "
                "read is said once, to Nadir.chat"
            )
        request = replace(self._request, instruction=instruction, **options)
        words = self._nadir.words(request, self._view)
        message = {"role": "user", "content": words} if self._messages else self._nadir.message(request, self._view)
        answer = self._nadir.answer([request], [self._view], [[*self._messages, message]], read_ms=0.0)[0]
        self._messages += [message, {"role": "assistant", "content": self._nadir.processor.escape(answer.text)}]
        self.answers.append(answer)
        return answer
