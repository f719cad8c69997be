"""The engine `vllm`: images are read and worded here, tokens come from one vLLM or several, started or running already.

Tiles travel as sheets (vlm.sheet), so that what vLLM sees of a raster is what this process has read of it, window by
window. Closing the stream of an answer closes its connection, and vLLM ends the work.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

from serve.engines.conversation import build_messages
from serve.engines.engine import Load, Prompt, Sampling, plain_guide
from serve.engines.stops import Stops
from serve.engines.turns import Turns
from serve.engines.vllm_process import VllmProcess
from serve.errors import BusyError, RequestError, StoppedError, TooLargeError
from serve.settings import Limits
from vlm.processor import TiledImage
from vlm.prompter import Prompter, View, cost_of
from vlm.prompts import Message
from vlm.records import Answer
from vlm.sheet import pack_sheet

_AT_ONCE = 32
"""Answers that one vLLM writes at a time: enough to fill its batches, and the others wait here in fair turns."""
_READERS = 4
TIMEOUT = httpx2.Timeout(600.0, connect=10.0)
_DONE = "[DONE]"
_GONE = "vLLM stopped while it was answering: ask again in a few seconds"


@dataclass(slots=True)
class Upstream:
    """Hold one vLLM: how it is reached, what it calls the model, its process where this server started it."""

    http: httpx2.AsyncClient
    model: str
    process: VllmProcess | None = None
    running: int = 0

    @property
    def ready(self) -> bool:
        return self.process is None or self.process.ready


class VllmEngine:
    """Answer prompts by vLLM."""

    def __init__(
        self,
        prompter: Prompter,
        upstreams: Sequence[Upstream],
        *,
        name: str,
        adapters: Sequence[str] = (),
        limits: Limits | None = None,
    ) -> None:
        bounds = limits or Limits()
        self.name, self.adapters = name, tuple(adapters)
        self._prompter, self.upstreams = prompter, tuple(upstreams)
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="nadir-read")
        self._turns = Turns(
            at_once=_AT_ONCE * len(self.upstreams), waiting=bounds.waiting, per_owner=bounds.open_per_key
        )

    def load(self) -> Load:
        """Count the prompts that wait and those that are being answered."""
        return self._turns.load()

    async def generate(self, prompt: Prompt) -> AsyncGenerator[str | Answer, None]:
        """Yield the text in pieces and at last the answer; closing the generator, or cancelling, stops the work."""
        async with self._turns.turn(prompt.owner):
            began = time.perf_counter()
            view, body = await asyncio.get_running_loop().run_in_executor(self._readers, self._prepare, prompt)
            read_ms = (time.perf_counter() - began) * 1000
            text, ids, usage = "", list[int](), dict[str, int]()
            async with self._chosen() as upstream:
                asked = {**body, "model": prompt.adapter or upstream.model}
                async with aclosing(_events(upstream, asked)) as events:
                    async for event in events:
                        usage = event.get("usage") or usage
                        piece, new_ids = _piece(event)
                        text, ids = text + piece, ids + new_ids
                        if piece:
                            yield piece
            stages = {"read": read_ms, "generate": (time.perf_counter() - began) * 1000 - read_ms}
            cost = cost_of(view, usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0), stages)
            whole = self._whole(text, ids, prompt.sampling)
            if rest := whole[len(text) :]:
                yield rest
            yield self._prompter.place(prompt.request, view, whole, cost)

    async def close(self) -> None:
        """Close the connections, and end what was started."""
        self._readers.shutdown(wait=False, cancel_futures=True)
        for upstream in self.upstreams:
            await upstream.http.aclose()
            if upstream.process is not None:
                await asyncio.to_thread(upstream.process.stop)

    def _whole(self, text: str, ids: Sequence[int], sampling: Sampling) -> str:
        """Give the text of an answer with the half character at its end that vLLM leaves out of a stream."""
        decoded = str(self._prompter.processor.tokenizer.decode(ids, skip_special_tokens=True))
        whole = Stops(sampling.stop).before(decoded)
        return whole if whole.startswith(text) else text

    def _prepare(self, prompt: Prompt) -> tuple[View, dict[str, Any]]:
        """Read the images and word the conversation; in a thread, since rasters block."""
        view = self._prompter.look(prompt.request)
        messages = _with_sheets(build_messages(self._prompter, prompt, view), view.images)
        guide = plain_guide(prompt, self._prompter.dialect_of(prompt.request))
        guided = {} if guide is None else {"structured_outputs": {guide.kind: _guide_value(guide.kind, guide.text)}}
        body = {
            "messages": messages,
            "max_tokens": prompt.request.max_new_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
            "return_token_ids": True,
            **_drawn(prompt.sampling),
            **guided,
        }
        return view, body

    @asynccontextmanager
    async def _chosen(self) -> AsyncIterator[Upstream]:
        """Choose the vLLM with the fewest answers in work; BusyError where none is ready."""
        ready = [upstream for upstream in self.upstreams if upstream.ready]
        if not ready:
            raise BusyError("vLLM is being started again: ask again in a few seconds")
        upstream = min(ready, key=lambda one: one.running)
        upstream.running += 1
        try:
            yield upstream
        finally:
            upstream.running -= 1


async def _events(upstream: Upstream, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
    """Yield the events of an answer; what vLLM refuses, and its end, become errors of this server."""
    ended = False
    try:
        async with upstream.http.stream("POST", "/v1/chat/completions", json=body) as reply:
            if reply.status_code != 200:
                raise _refusal(reply.status_code, (await reply.aread()).decode(errors="replace"))
            async for line in reply.aiter_lines():
                if not line.startswith("data:"):
                    continue
                if (data := line.removeprefix("data:").strip()) == _DONE:
                    ended = True
                    break
                event = json.loads(data)
                if "error" in event:
                    raise StoppedError(_GONE)
                yield event
    except httpx2.TransportError as error:
        raise StoppedError(_GONE) from error
    if not ended:
        raise StoppedError(_GONE)


def _refusal(status: int, text: str) -> Exception:
    """Give the error of a reply that is none."""
    try:
        sentence = str(json.loads(text)["error"]["message"])
    except (ValueError, LookupError, TypeError):
        sentence = text[:200]
    if status >= 500:
        return StoppedError(_GONE)
    if "maximum context length" in sentence or "max_model_len" in sentence:
        return TooLargeError(f"the question is longer than the model reads: {sentence}")
    return RequestError(f"vLLM does not take the question: {sentence}")


def _piece(event: dict[str, Any]) -> tuple[str, list[int]]:
    """Give the text and the tokens of an event."""
    choice = (event.get("choices") or [{}])[0]
    return (choice.get("delta") or {}).get("content") or "", choice.get("token_ids") or []


def _with_sheets(messages: list[Message], images: Sequence[TiledImage]) -> list[Message]:
    """Put the images in the places that the messages hold for them."""
    sheets = iter(images)

    def filled(part: dict[str, Any]) -> dict[str, Any]:
        if part["type"] != "image":
            return part
        data = base64.b64encode(pack_sheet(next(sheets))).decode()
        return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}

    return [
        message
        if isinstance(message["content"], str)
        else {**message, "content": [filled(part) for part in message["content"]]}
        for message in messages
    ]


def _drawn(sampling: Sampling) -> dict[str, Any]:
    """Give vLLM's names of how tokens are drawn."""
    stop = {"stop": list(sampling.stop)} if sampling.stop else {}
    if sampling.temperature <= 0:
        return {"temperature": 0, **stop}
    return {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": sampling.seed % 2**63,
        **stop,
    }


def _guide_value(kind: str, text: str) -> Any:
    return json.loads(text) if kind == "json" else text
