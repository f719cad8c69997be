"""An OpenAI-compatible endpoint as the one who answers: many requests at a time, each answered one kept at once.

A run that dies at any moment asks again only what was not answered yet. The same question about the same images is
asked once, also where a benchmark holds it twice.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eval_suites.cases import Case
from eval_suites.models.endpoint import Client, Endpoint, EndpointError, Reply
from eval_suites.models.pictures import MOST_PX, encode_images
from eval_suites.models.responses import Responses, request_key
from eval_suites.models.wording import word_prompt
from vlm.prompts import user_message

LOG = logging.getLogger("nadir.eval")
EVERYTHING = 1_000_000


@dataclass(frozen=True, slots=True)
class Asking:
    """Say how an endpoint is asked: dialect of its boxes, requests at a time, longest image side, body fields.

    `extra` is laid over each request's body; a field that is None is left out of it. `tokens` bounds every answer
    instead of the suite's own limit (models that think need more).
    """

    dialect: str = "qwen3"
    concurrency: int = 8
    most_px: int = MOST_PX
    tokens: int | None = None
    extra: dict[str, Any] = field(default_factory=dict)


class ServedAnswerer:
    """Answer cases with a served model; its digest covers address, model and way of asking."""

    batch = EVERYTHING
    sees = True

    def __init__(self, endpoint: Endpoint, asking: Asking, *, name: str | None = None) -> None:
        self._endpoint, self._asking = endpoint, asking
        self.name, self.dialect = name or endpoint.model, asking.dialect
        told = (
            endpoint.url,
            endpoint.model,
            asking.dialect,
            asking.most_px,
            asking.tokens,
            sorted(asking.extra.items()),
        )
        self.digest = hashlib.sha256(repr(told).encode()).hexdigest()[:16]
        self._client = Client(endpoint, connections=asking.concurrency)
        self._responses: Responses | None = None
        self._pool = ThreadPoolExecutor(asking.concurrency, thread_name_prefix="ask")

    @property
    def facts(self) -> dict[str, object]:
        """Give what belongs beside the scores: address, dialect, image size, refusals and answers that were cut."""
        return {
            "endpoint": self._endpoint.url,
            "dialect": self.dialect,
            "most_image_px": self._asking.most_px,
            **(self._responses.count() if self._responses else {}),
        }

    def begin(self, folder: Path) -> None:
        """Keep the answers of the run that follows in its folder."""
        if self._responses:
            self._responses.close()
        self._responses = Responses(folder / f"responses-{self.digest}.jsonl")

    def ask(self, cases: Sequence[Case], *, max_new_tokens: int, blind: bool) -> Iterator[str]:
        """Give the raw text of each case's answer as soon as it and those before it are there."""
        tokens = self._asking.tokens or max_new_tokens
        asked: dict[Any, Future[Reply]] = {}
        questions = [(case.instruction, case.phrase, () if blind else (case.images, case.window)) for case in cases]
        for case, question in zip(cases, questions, strict=True):
            if question not in asked:
                asked[question] = self._pool.submit(self._complete, case, tokens, blind)
        try:
            for question in questions:
                yield asked[question].result().text
        finally:
            for future in asked.values():
                future.cancel()

    def close(self) -> None:
        """End the requests that wait; answers that are there are kept."""
        self._client.close()
        self._pool.shutdown(cancel_futures=True)
        if self._responses:
            self._responses.close()

    def _complete(self, case: Case, tokens: int, blind: bool) -> Reply:
        if self._responses is None:
            raise EndpointError("the endpoint is asked before begin() said where its answers are kept")
        body = self._body(case, tokens, blind)
        key = request_key(self._endpoint.model, body)
        known = self._responses.find(key)
        if known is not None:
            return known
        reply = self._client.complete(body)
        self._responses.keep(key, reply)
        return reply

    def _body(self, case: Case, tokens: int, blind: bool) -> dict[str, Any]:
        urls = [] if blind else encode_images(case, dialect=self.dialect, most_px=self._asking.most_px)
        shown = iter(urls)
        parts = user_message(word_prompt(case, self.dialect), [""] * len(urls))["content"]
        content = [
            {"type": "image_url", "image_url": {"url": next(shown)}} if part["type"] == "image" else part
            for part in parts
        ]
        body = {
            "model": self._endpoint.model,
            "messages": [{"role": "user", "content": content}],
            "max_tokens": tokens,
            "temperature": 0,
            **self._asking.extra,
        }
        return {key: value for key, value in body.items() if value is not None}


def choose_served_model(endpoint: Endpoint) -> str:
    """Ask an endpoint for its only model; raises EndpointError that lists them where it serves several."""
    client = Client(endpoint, connections=1)
    try:
        models = client.list_models()
    finally:
        client.close()
    if len(models) != 1:
        example = f"{endpoint.url}#{models[0] if models else 'MODEL'}"
        raise EndpointError(f"{endpoint.url} serves {', '.join(models) or 'no model'}: name one, as in {example}")
    return models[0]
