"""The engine `local`: a checkpoint in this process, by transformers, one question at a time in a thread of its own.

Questions wait in `turns`; torch uses all cores for the one that runs. A question runs as a task apart from whoever
asked it, so that a client who goes away stops it at the next token and never holds up the next one.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import torch
from transformers.generation import StoppingCriteria
from transformers.generation.streamers import BaseStreamer

from serve.engines.conversation import build_messages
from serve.engines.engine import Load, Prompt, plain_guide
from serve.engines.guides import Guided
from serve.engines.stops import Stops
from serve.engines.turns import Turns
from serve.errors import StoppedError
from serve.settings import Limits
from vlm.answer import Nadir, View
from vlm.records import Answer

_HALF_A_CHARACTER = "\ufffd"
_LEAST_TEMPERATURE = 0.01


class LocalEngine:
    """Answer prompts with one Nadir in this process; adapters are merged into a checkpoint, and have no names here."""

    adapters: tuple[str, ...] = ()

    def __init__(self, nadir: Nadir, *, name: str, limits: Limits | None = None) -> None:
        bounds = limits or Limits()
        self.name = name
        self._nadir = nadir
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="nadir-engine")
        self._turns = Turns(at_once=1, waiting=bounds.waiting, per_owner=bounds.open_per_key)
        self._jobs: dict[asyncio.Task[Answer], threading.Event] = {}

    @classmethod
    def from_pretrained(cls, path: Path | None, *, name: str, limits: Limits | None = None) -> Self:
        """Load the checkpoint of a directory, the built-in one for None; CheckpointError as Nadir.from_pretrained."""
        return cls(Nadir.from_pretrained(path), name=name, limits=limits)

    def load(self) -> Load:
        """Count the prompts that wait and the one that is being answered."""
        return self._turns.load()

    async def generate(self, prompt: Prompt) -> AsyncGenerator[str | Answer, None]:
        """Yield the text in pieces and at last the answer; closing the generator, or cancelling, stops the work."""
        loop, pieces = asyncio.get_running_loop(), asyncio.Queue[str | None]()
        stopped = threading.Event()

        def say(piece: str | None) -> None:
            loop.call_soon_threadsafe(pieces.put_nowait, piece)

        job = asyncio.create_task(self._answer(prompt, say, stopped))
        self._jobs[job] = stopped
        job.add_done_callback(lambda done: self._forget(done, pieces))
        sent = ""
        try:
            while (piece := await pieces.get()) is not None:
                sent += piece
                yield piece
            answer = await job
            if rest := answer.text[len(sent) :]:
                yield rest
            yield answer
        finally:
            self._stop(job)

    async def close(self) -> None:
        """Stop what runs, and wait until the thread has ended."""
        for job in list(self._jobs):
            self._stop(job)
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)

    async def _answer(self, prompt: Prompt, say: Callable[[str], None], stopped: threading.Event) -> Answer:
        async with self._turns.turn(prompt.owner):
            running = asyncio.get_running_loop().run_in_executor(self._thread, self._run, prompt, say, stopped)
            return await running

    def _stop(self, job: asyncio.Task[Answer]) -> None:
        """Stop a job: it leaves the queue at once, and the thread ends it at the next token."""
        if not job.done():
            self._jobs[job].set()
            job.cancel()

    def _forget(self, job: asyncio.Task[Answer], pieces: asyncio.Queue[str | None]) -> None:
        """Close the pieces of a job that has ended; whoever still listens gets its error by waiting for it."""
        pieces.put_nowait(None)
        self._jobs.pop(job, None)
        if not job.cancelled():
            job.exception()

    def _run(self, prompt: Prompt, say: Callable[[str], None], stopped: threading.Event) -> Answer:
        """Read, generate and place, in the engine's thread; StoppedError once nobody listens."""
        started = time.perf_counter()
        _require_listener(stopped)
        view = self._nadir.look(prompt.request)
        messages = build_messages(self._nadir.prompter, prompt, view)
        _require_listener(stopped)
        read_ms = (time.perf_counter() - started) * 1000
        pieces = _Pieces(self._nadir.processor.tokenizer, Stops(prompt.sampling.stop), say, stopped)
        how: dict[str, Any] = {"streamer": pieces, "stopping_criteria": [_Ended(pieces)], **self._drawn(prompt)}
        answer = self._nadir.answer([prompt.request], [view], [messages], read_ms=read_ms, **how)[0]
        return self._cut(answer, prompt, view)

    def _drawn(self, prompt: Prompt) -> dict[str, Any]:
        """Give the options of transformers' generate; a seed counts from here on, in the engine's one thread."""
        sampling, options = prompt.sampling, {}
        if guide := plain_guide(prompt, self._nadir.prompter.dialect_of(prompt.request)):
            options["logits_processor"] = [Guided(guide, self._nadir.processor.tokenizer)]
        if sampling.temperature < _LEAST_TEMPERATURE:
            return options
        torch.manual_seed(sampling.seed)
        return {**options, "do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p}

    def _cut(self, answer: Answer, prompt: Prompt, view: View) -> Answer:
        """Give the answer without a stop and what the last token held beyond it."""
        text = Stops(prompt.sampling.stop).before(answer.text)
        if text == answer.text or answer.cost is None:
            return answer
        return self._nadir.prompter.place(prompt.request, view, text, answer.cost)


class _Pieces(BaseStreamer):
    """Turn the tokens of one answer into text that only grows; half a character waits for its other half.

    What may become a stop waits too, and what follows one (`ended`) is not said.
    """

    def __init__(self, tokenizer: Any, stops: Stops, say: Callable[[str], None], stopped: threading.Event) -> None:
        self._tokenizer, self._stops, self._say, self._stopped = tokenizer, stops, say, stopped
        self.ended = False
        self._ids: list[int] = []
        self._sent, self._prompt_seen = 0, False

    def put(self, value: torch.Tensor) -> None:
        """Take the next token (the prompt comes first); StoppedError once nobody listens."""
        _require_listener(self._stopped)
        if not self._prompt_seen:
            self._prompt_seen = True
            return
        self._ids += value.flatten().tolist()
        text = self._tokenizer.decode(self._ids, skip_special_tokens=True)
        sure = self._stops.sure(text)
        self.ended = self._stops.before(text) != text
        if len(sure) > self._sent and not sure.endswith(_HALF_A_CHARACTER):
            self._say(sure[self._sent :])
            self._sent = len(sure)

    def end(self) -> None:
        """Leave what is not said yet to the answer."""


class _Ended(StoppingCriteria):
    """End an answer whose text holds a stop."""

    def __init__(self, pieces: _Pieces) -> None:
        self._pieces = pieces

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **options: Any) -> torch.Tensor:
        """Say for each of the batch, which is one, whether it is done."""
        return torch.full((len(input_ids),), self._pieces.ended, dtype=torch.bool, device=input_ids.device)


def _require_listener(stopped: threading.Event) -> None:
    if stopped.is_set():
        raise StoppedError("the answer was stopped: nobody waits for it any more")
