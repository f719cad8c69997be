"""One question from its references to its answer: every route that asks goes through here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request as HttpRequest

from serve.app.images import gathered
from serve.app.options import Options
from serve.app.services import Services
from serve.app.statuses import without_folders
from serve.engines.engine import GREEDY, Prompt, Said, Sampling
from serve.errors import StoppedError
from vlm.records import Answer
from vlm.summary import answer_to_dict
from vlm.vector import answer_to_geojson

DEFAULT_NEW_TOKENS = 256


@dataclass(frozen=True, slots=True)
class Question:
    """Hold one question as it came: words, references of images, options, what was said before, sampling, adapter."""

    words: str
    images: tuple[str, ...]
    options: Options
    before: tuple[Said, ...] = ()
    images_at: int | None = None
    sampling: Sampling = GREEDY
    new_tokens: int = DEFAULT_NEW_TOKENS
    adapter: str = ""


async def answer_pieces(
    question: Question, services: Services, owner: str, client: HttpRequest
) -> AsyncGenerator[str | Answer, None]:
    """Yield the text of an answer in pieces and at last the answer; a client who goes away stops it.

    Raises what gathered, Options.to_request and the engine raise; StoppedError when the client has gone.
    """
    options, limits = question.options, services.limits
    options.to_request(question.words, (), new_tokens=question.new_tokens, limits=limits)
    async with gathered(question.images, services, owner) as paths:
        request = options.to_request(question.words, paths, new_tokens=question.new_tokens, limits=limits)
        prompt = Prompt(owner, request, question.before, question.images_at, question.sampling, question.adapter)
        async with aclosing(_listened(services.engine.generate(prompt), client)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Answer) and piece.cost is not None:
                    services.metrics.count_answer(piece.cost)
                yield piece


async def whole_answer(question: Question, services: Services, owner: str, client: HttpRequest) -> Answer:
    """Give the answer when it is whole; raises as answer_pieces."""
    async with aclosing(answer_pieces(question, services, owner, client)) as pieces:
        async for piece in pieces:
            if isinstance(piece, Answer):
                return piece
    raise StoppedError("the answer was stopped before it was whole: ask again")


def payload(answer: Answer, question: Question, services: Services) -> dict[str, Any]:
    """Give what stands under the key `nadir`: words, regions, GeoJSON, issues, cost, trace. No path of the server."""
    hidden = services.store.hidden
    values = answer_to_dict(answer)
    values["images"] = [reference if len(reference) < 80 else reference[:20] + "..." for reference in question.images]
    values["notes"] = [without_folders(note, hidden) for note in values["notes"]]
    return {**values, "geojson": answer_to_geojson(answer)}


async def _listened(
    talk: AsyncGenerator[str | Answer, None], client: HttpRequest
) -> AsyncGenerator[str | Answer, None]:
    """Pass pieces on while the client is there; closing ends the talk, which stops the work."""
    gone = asyncio.create_task(_left(client))
    step: asyncio.Task[str | Answer | None] | None = None
    try:
        while True:
            step = asyncio.create_task(_next(talk))
            await asyncio.wait({step, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not step.done():
                raise StoppedError("the client has gone away: the answer was stopped")
            piece = step.result()
            if piece is None:
                return
            yield piece
    finally:
        gone.cancel()
        if step is not None and not step.done():
            step.cancel()
        else:
            await talk.aclose()


async def _next(talk: AsyncGenerator[str | Answer, None]) -> str | Answer | None:
    return await anext(talk, None)


async def _left(client: HttpRequest) -> None:
    """Wait until the client has gone away."""
    while (await client.receive())["type"] != "http.disconnect":
        continue
