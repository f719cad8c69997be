"""/v1/ask and its short forms: a question about rasters, answered as Nadir.ask answers it, as JSON."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from serve.app.answering import DEFAULT_NEW_TOKENS, Question, payload, whole_answer
from serve.app.options import Options
from serve.app.services import Owner, Served, Services
from serve.engines.engine import GREEDY, Guide, Sampling
from serve.errors import RequestError
from vlm.records import Task

router = APIRouter(tags=["Ask"])
_IMAGE = "The id of a raster, a data URL, or an address of an allowed host."
_ID = "0f1e2d3c4b5a69788796"


class AskBody(Options):
    """Ask about one image, several dates of one place, or none."""

    instruction: str = Field(min_length=1, examples=["Where are the ships?"])
    images: list[str] = Field(default=[], description=_IMAGE, examples=[[_ID]])
    max_tokens: int = Field(default=DEFAULT_NEW_TOKENS, ge=1)


class FindBody(Options):
    """Find what a phrase names in one image."""

    phrase: str = Field(min_length=1, examples=["ships"])
    image: str = Field(description=_IMAGE, examples=[_ID])
    max_tokens: int = Field(default=DEFAULT_NEW_TOKENS, ge=1)


class ChangeBody(Options):
    """Compare two dates of one place."""

    images: list[str] = Field(min_length=2, max_length=2, description=_IMAGE, examples=[[_ID, _ID]])
    instruction: str = Field(default="What has changed?", min_length=1)
    max_tokens: int = Field(default=DEFAULT_NEW_TOKENS, ge=1)


class NadirAnswer(BaseModel):
    """Hold an answer: words, the model's own text, regions in pixels and as GeoJSON, what did not parse, cost, trace.

    In `words` [1] stands for the first region. GeoJSON is in WGS84; without georeference in pixels, and says so.
    """

    model_config = ConfigDict(extra="allow")

    words: str
    text: str
    regions: list[dict[str, Any]]
    geojson: dict[str, Any]
    issues: list[dict[str, str]]
    notes: list[str]
    cost: dict[str, Any] | None
    trace: list[dict[str, Any]]


@router.post("/v1/ask", response_model=NadirAnswer)
async def ask(body: AskBody, request: Request, services: Served, owner: Owner) -> dict[str, Any]:
    """Answer an instruction about one image, or several dates of one place."""
    return await _answer(body.instruction, body.images, body, body.max_tokens, (request, services, owner))


@router.post("/v1/ground", response_model=NadirAnswer)
async def ground(body: FindBody, request: Request, services: Served, owner: Owner) -> dict[str, Any]:
    """Find what a phrase names, as a box or an oriented box."""
    words = f"Where is {body.phrase}?"
    return await _answer(words, [body.image], _as(body, "ground"), body.max_tokens, (request, services, owner))


@router.post("/v1/segment", response_model=NadirAnswer)
async def segment(body: FindBody, request: Request, services: Served, owner: Owner) -> dict[str, Any]:
    """Find what a phrase names, as a mask."""
    words = f"Segment {body.phrase}."
    return await _answer(words, [body.image], _as(body, "segment"), body.max_tokens, (request, services, owner))


@router.post("/v1/change", response_model=NadirAnswer)
async def change(body: ChangeBody, request: Request, services: Served, owner: Owner) -> dict[str, Any]:
    """Say what has changed between two dates of one place."""
    asked = _as(body, "change")
    return await _answer(body.instruction, body.images, asked, body.max_tokens, (request, services, owner))


def _as(body: Options, task: Task) -> Options:
    """Give the options of a short form, whose task is known; RequestError where another one is asked for."""
    if body.task not in (None, task):
        raise RequestError(f"the task is {body.task!r} here: leave it out, or ask /v1/ask")
    return body.model_copy(update={"task": task})


async def _answer(
    words: str, images: list[str], options: Options, new_tokens: int, served: tuple[Request, Services, str]
) -> dict[str, Any]:
    request, services, owner = served
    sampling = Sampling(guide=Guide("task")) if options.strict else GREEDY
    question = Question(words, tuple(images), options, sampling=sampling, new_tokens=new_tokens)
    return payload(await whole_answer(question, services, owner, request), question, services)
