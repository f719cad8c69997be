"""One conversation asked twice: of a served vLLM over HTTP, and of transformers' generate in this process."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2
import numpy as np
import torch
from PIL import Image as PILImage

from vlm.model import NadirForConditionalGeneration
from vlm.processor import NadirProcessor
from vlm.prompts import Message, user_message

TOKENS = 10
LOGPROB_ROOM = 2e-3


@dataclass(frozen=True)
class Case:
    """Hold a conversation: questions with the pictures that they come with, and what was answered in between."""

    turns: tuple[tuple[str, tuple[PILImage.Image, ...]], ...]
    model: str = "tiny"
    said: str = "many planes are parked"

    @property
    def messages(self) -> list[Message]:
        found: list[Message] = []
        for words, pictures in self.turns:
            found += [{"role": "assistant", "content": self.said}] if found else []
            found.append(user_message(words, [""] * len(pictures)) if pictures else {"role": "user", "content": words})
        return found

    @property
    def pictures(self) -> list[PILImage.Image]:
        return [picture for _, pictures in self.turns for picture in pictures]


@dataclass(frozen=True)
class Said:
    """Hold what was answered: the prompt's ids, the tokens, and how likely each was."""

    prompt: list[int]
    tokens: list[int]
    logprobs: list[float] = field(default_factory=list)


def picture(width: int, height: int, seed: int) -> PILImage.Image:
    """Draw smooth noise."""
    noise = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return PILImage.fromarray(noise).resize((width, height), PILImage.Resampling.BICUBIC)


def one(words: str, *pictures: PILImage.Image, model: str = "tiny") -> Case:
    """Ask one question."""
    return Case(((words, pictures),), model)


def ask_served(http: httpx2.Client, case: Case, **options: Any) -> Said:
    """Ask vLLM as an OpenAI client does."""
    reply = post(http, case, logprobs=True, return_token_ids=True, **options)
    assert reply.status_code == 200, reply.text
    body = reply.json()
    choice = body["choices"][0]
    return Said(
        body["prompt_token_ids"], choice["token_ids"], [token["logprob"] for token in choice["logprobs"]["content"]]
    )


def post(http: httpx2.Client, case: Case, **options: Any) -> httpx2.Response:
    """Send a conversation; greedy, and no longer than TOKENS unless told otherwise."""
    pictures = iter(case.pictures)
    messages = [
        message
        if isinstance(message["content"], str)
        else {**message, "content": [_part(part, pictures) for part in message["content"]]}
        for message in case.messages
    ]
    body = {"model": case.model, "messages": messages, "max_tokens": TOKENS, "temperature": 0, **options}
    return http.post("/v1/chat/completions", json=body)


def ask_transformers(model: NadirForConditionalGeneration, processor: NadirProcessor, case: Case) -> Said:
    """Ask transformers."""
    text = processor.apply_chat_template(case.messages, add_generation_prompt=True, tokenize=False)
    batch = processor(images=case.pictures, text=text)
    done = model.generate(
        **batch, max_new_tokens=TOKENS, do_sample=False, return_dict_in_generate=True, output_logits=True
    )
    prompt = batch["input_ids"][0].tolist()
    tokens = done.sequences[0, len(prompt) :].tolist()
    logits = torch.cat(done.logits)
    logits[:, model.config.image_token_id] = -torch.inf
    likely = logits.log_softmax(-1)[torch.arange(len(tokens)), torch.tensor(tokens)]
    return Said(prompt, tokens, likely.tolist())


def assert_same(served: Said, expected: Said) -> None:
    """Say that prompt, tokens and their likelihoods are those of transformers."""
    assert served.prompt == expected.prompt
    assert served.tokens == expected.tokens
    assert np.allclose(served.logprobs, expected.logprobs, atol=LOGPROB_ROOM), (served.logprobs, expected.logprobs)


def _part(part: dict[str, str], pictures: Any) -> dict[str, Any]:
    if part["type"] != "image":
        return part
    buffer = io.BytesIO()
    next(pictures).save(buffer, "PNG")
    encoded = base64.b64encode(buffer.getvalue()).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{encoded}"}}


def differ(answers: Sequence[Said]) -> bool:
    """Say whether no two answers are alike, so that a mix-up would show."""
    return all(
        not np.allclose(first.logprobs[:1], second.logprobs[:1], atol=LOGPROB_ROOM)
        for index, first in enumerate(answers)
        for second in answers[:index]
    )
