"""/v1/chat/completions and /v1/models as OpenAI's clients expect them, with the answer's geometry under `nadir`."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any
from uuid import uuid4

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, StreamingResponse

from serve.app.answering import Question, answer_pieces, payload, whole_answer
from serve.app.chat_messages import EXAMPLE, ChatRequest
from serve.app.services import Owner, Served, Services
from serve.app.statuses import error_body, status_of
from serve.errors import MissingError
from vlm.errors import NadirError
from vlm.records import Answer

router = APIRouter(tags=["OpenAI"])
_STARTED = int(time.time())
Pieces = AsyncGenerator[str | Answer, None]


@router.get("/v1/models")
async def list_models(services: Served) -> dict[str, Any]:
    """List the model that is served, and its adapters."""
    return {"object": "list", "data": [_model(name, services) for name in _names(services)]}


@router.get("/v1/models/{model}")
async def get_model(model: str, services: Served) -> dict[str, Any]:
    """Describe the model that is served, or an adapter."""
    _require_model(model, services)
    return _model(model, services)


@router.post("/v1/chat/completions", response_model=None, openapi_extra=EXAMPLE)
async def complete_chat(body: ChatRequest, request: Request, services: Served, owner: Owner) -> Any:
    """Answer a conversation about images, whole or (`stream`) in pieces.

    Images are `image_url` parts (a data URL, raster:ID, or an address of an allowed host) or `file` parts with the id
    of a raster. The response carries `nadir`: regions in pixels, GeoJSON, cost, trace and what did not parse.
    """
    _require_model(body.model, services)
    question = replace(body.to_question(), adapter=body.model if body.model in services.engine.adapters else "")
    head = {"id": f"chatcmpl-{uuid4().hex}", "created": int(time.time()), "model": body.model}
    if body.stream:
        pieces = answer_pieces(question, services, owner, request)
        first = await anext(pieces)
        usage = bool(body.stream_options and body.stream_options.include_usage)
        lines = _events(first, pieces, head, question, services, with_usage=usage, geometry=body.nadir.geometry)
        return StreamingResponse(lines, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
    answer = await whole_answer(question, services, owner, request)
    given = payload(answer, question, services)
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": _content(given, body.nadir.geometry)},
        "finish_reason": _finish(answer, question),
        "logprobs": None,
    }
    whole = {**head, "object": "chat.completion", "choices": [choice], "usage": _usage(answer)}
    return JSONResponse({**whole, "nadir": given})


async def _events(
    first: str | Answer,
    pieces: Pieces,
    head: dict[str, Any],
    question: Question,
    services: Services,
    *,
    with_usage: bool,
    geometry: str,
) -> AsyncIterator[str]:
    """Write the answer as server-sent events; the last chunk with a choice carries `nadir`.

    Text comes as the model writes it, GeoJSON when the answer is whole.
    """
    chunk = {**head, "object": "chat.completion.chunk"}
    yield _event({**chunk, "choices": [_choice({"role": "assistant", "content": ""})]})
    try:
        async with aclosing(pieces):
            async for piece in _after(first, pieces):
                if isinstance(piece, str):
                    if geometry == "text":
                        yield _event({**chunk, "choices": [_choice({"content": piece})]})
                    continue
                given = payload(piece, question, services)
                rest = {} if geometry == "text" else {"content": _content(given, geometry)}
                last = {**chunk, "choices": [_choice(rest, _finish(piece, question))]}
                yield _event({**last, "nadir": given})
                if with_usage:
                    yield _event({**chunk, "choices": [], "usage": _usage(piece)})
    except NadirError as error:
        yield _event(error_body(error, status_of(error), hidden=services.store.hidden))
    yield "data: [DONE]\n\n"


async def _after(first: str | Answer, pieces: Pieces) -> AsyncIterator[str | Answer]:
    yield first
    async for piece in pieces:
        yield piece


def _content(given: dict[str, Any], geometry: str) -> str:
    """Give the message of an answer from what stands under `nadir`."""
    if geometry == "text":
        return str(given["text"])
    return json.dumps({**given["geojson"], "words": given["words"]}, ensure_ascii=False, allow_nan=False)


def _event(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False, allow_nan=False)}\n\n"


def _choice(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}


def _finish(answer: Answer, question: Question) -> str:
    return "length" if answer.cost is not None and answer.cost.new_tokens >= question.new_tokens else "stop"


def _usage(answer: Answer) -> dict[str, int]:
    prompt, new = (answer.cost.prompt_tokens, answer.cost.new_tokens) if answer.cost is not None else (0, 0)
    return {"prompt_tokens": prompt, "completion_tokens": new, "total_tokens": prompt + new}


def _names(services: Services) -> tuple[str, ...]:
    return (services.engine.name, *services.engine.adapters)


def _model(name: str, services: Services) -> dict[str, Any]:
    parent = {} if name == services.engine.name else {"parent": services.engine.name}
    return {"id": name, "object": "model", "created": _STARTED, "owned_by": "nadir", **parent}


def _require_model(name: str, services: Services) -> None:
    if name not in _names(services):
        raise MissingError(f"model {name[:60]!r} is not served: expected {' or '.join(map(repr, _names(services)))}")
