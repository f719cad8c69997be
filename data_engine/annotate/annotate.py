"""The work on a shard and the stage behind `python -m data_engine annotate`.

The samples about one image, one after the other in a store, are read as one: together they hold its facts. A request is
made of the facts (and the image), the answer is read and held against the facts, and what stands becomes samples. A
request whose answer cannot be read or does not stand is made again with another seed, up to `tries` times.
"""

from __future__ import annotations

import base64
import io
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from data_engine import generate
from data_engine.annotate.answers import Answers, BudgetSpentError
from data_engine.annotate.check import find_contradiction
from data_engine.annotate.endpoint import Asker, Body, Endpoint, EndpointError, NoAnswerError, RequestRefusedError
from data_engine.annotate.facts import Facts, collect_facts
from data_engine.annotate.prompts import Prompt, find_prompt, read_captions, read_objects, render_prompt
from data_engine.annotations import merge_samples
from data_engine.filter.text import TextRules, judge_text
from data_engine.objects import seeded
from data_engine.stage import StageOptions, Unit, list_shards, write_stage
from data_engine.store.images import ImageFaultError
from data_engine.store.ledger import Ledger
from data_engine.store.manifest import open_store
from data_engine.store.pixels import load_rgb
from data_engine.store.shards import read_shard
from vlm.errors import DataError
from vlm.records import Image, Region, Sample, Turn

_IMAGE_TOKENS: Final = 1500
_CHARACTERS_A_TOKEN: Final = 3
_AHEAD: Final = 2


@dataclass(frozen=True, slots=True)
class AnnotateOptions:
    """Hold what is asked: of which model, with which prompt, and how.

    `count` captions an image; `images` sends the picture, its longer side at most `picture_px`; `budget` bounds the
    tokens in all; `concurrency` requests run at a time; `key_from` names the environment variable that holds the key.
    """

    endpoint: str
    model: str
    prompt: str = "rs_gpt4v_global"
    count: int = 2
    images: bool = False
    picture_px: int = 1024
    budget: int | None = None
    concurrency: int = 8
    tries: int = 2
    temperature: float = 0.7
    max_new_tokens: int = 800
    timeout_s: float = 120.0
    attempts: int = 6
    key_from: str = "OPENAI_API_KEY"
    cache: Path | None = None

    def connect(self) -> Endpoint:
        """Give the endpoint with the key of the environment."""
        key = os.environ.get(self.key_from)
        return Endpoint(self.endpoint, key, timeout_s=self.timeout_s, attempts=self.attempts)


def annotate_store(store: Path, out: Path, asked: AnnotateOptions, *, options: StageOptions) -> Ledger:
    """Annotate the images of a store and write the new samples to `out`; give the ledger."""
    found, prompt = open_store(store), find_prompt(asked.prompt)
    out = Path(out)
    if found.folder.resolve() == out.resolve():
        raise DataError(f"annotate cannot write into its own input {out}: name another folder")
    cache = asked.cache or out.with_name(f"{out.name}.answers.sqlite")
    patience = ("budget", "concurrency", "timeout_s", "attempts", "key_from", "cache", "endpoint")
    config = {name: value for name, value in asdict(asked).items() if name not in patience}
    config |= {"template": prompt.file.read_text(encoding="utf-8")}
    config |= {"inputs": [{"store": found.folder.name, "digest": found.digest()}]}
    work = AnnotateShard(replace(asked, cache=cache), seed=options.seed)
    return write_stage("annotate", list_shards([found]), work, out, options=options, config=config)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Hold what an image gave: turns by name, what was rejected with its reason, and whether the service failed."""

    turns: tuple[tuple[str, Turn], ...] = ()
    rejected: tuple[tuple[str, str], ...] = ()
    fault: bool = False


@dataclass(frozen=True, slots=True)
class AnnotateShard:
    """Annotate the images of one shard, several at a time, in their order."""

    asked: AnnotateOptions
    seed: int = 0

    def __call__(self, unit: Unit, ledger: Ledger) -> Iterator[Sample]:
        folder, shard = unit.payload
        prompt = find_prompt(self.asked.prompt)
        groups = (list(group) for _, group in groupby(read_shard(folder, shard, ledger), key=lambda one: one.images))
        path = self.asked.cache or Path(f"{shard.file}.answers.sqlite")
        width = self.asked.concurrency
        with (
            Answers(path, budget=self.asked.budget) as answers,
            Asker(self.asked.connect(), connections=width) as asker,
        ):
            annotator = Annotator(self.asked, prompt, asker, answers, self.seed)
            done = _in_order(groups, lambda group: annotator(merge_samples(group)), width, stop=asker.close)
            for members, outcome in done:
                yield from _settle(members, outcome, ledger)
                ledger.tick(len(members))


@dataclass(frozen=True, slots=True)
class Annotator:
    """Ask about one image and hold the answer against its facts."""

    asked: AnnotateOptions
    prompt: Prompt
    asker: Asker
    answers: Answers
    seed: int = 0

    def __call__(self, sample: Sample) -> Outcome:
        """Give the turns that an image's answers make; only a spent budget and a dead endpoint raise."""
        facts = collect_facts(sample)
        if facts is None or not self.prompt.fits(facts):
            needs = " or ".join(self.prompt.needs)
            return Outcome(rejected=(("no facts", f"{self.prompt.name} needs {needs} of one image"),))
        rejected: list[tuple[str, str]] = []
        for attempt in range(self.asked.tries):
            try:
                text = self._ask(sample.images[0], facts, seed=self.seed + attempt)
                outcome = self._judge(text, facts, sample)
            except (NoAnswerError, RequestRefusedError) as error:
                reason = "no answer" if isinstance(error, NoAnswerError) else "refused request"
                return Outcome(rejected=((reason, str(error)),), fault=True)
            except ImageFaultError as error:
                return Outcome(rejected=((error.reason, str(error)),), fault=True)
            except (BudgetSpentError, EndpointError):
                raise
            except DataError as error:
                rejected = [("unreadable answer", str(error))]
                continue
            if outcome.turns:
                return outcome
            rejected = list(outcome.rejected)
        return Outcome(rejected=tuple(rejected) or (("empty answer", "the answer holds no description"),))

    def _ask(self, image: Image, facts: Facts, *, seed: int) -> str:
        """Give the text of an answer, from the file of answers or from the endpoint."""
        body = self._build(image, facts, seed)
        reply = self.answers.find(body)
        if reply is None:
            words = sum(len(part) for part in _texts(body))
            tokens = words // _CHARACTERS_A_TOKEN + self.asked.images * _IMAGE_TOKENS + self.asked.max_new_tokens
            self.answers.reserve(tokens)
            try:
                reply = self.asker.ask(body)
                self.answers.keep(body, reply)
            finally:
                self.answers.release(tokens)
        if reply.cut:
            raise DataError(f"the answer was cut off after {reply.new_tokens} tokens: raise --max-new-tokens")
        return reply.text

    def _build(self, image: Image, facts: Facts, seed: int) -> Body:
        system, user = render_prompt(self.prompt, facts, count=self.asked.count)
        content: Any = user
        if self.asked.images:
            picture = {"type": "image_url", "image_url": {"url": encode_picture(image, self.asked.picture_px)}}
            content = [picture, {"type": "text", "text": user}]
        return {
            "model": self.asked.model,
            "messages": [{"role": "system", "content": system}, {"role": "user", "content": content}],
            "temperature": self.asked.temperature,
            "max_tokens": self.asked.max_new_tokens,
            "seed": seed,
        }

    def _judge(self, text: str, facts: Facts, sample: Sample) -> Outcome:
        """Read an answer and keep what does not contradict the facts."""
        turns, rejected = [], []
        for name, words, region in self._read(text, facts):
            fault = judge_text(words, TextRules()) or find_contradiction(words, facts)
            if fault is not None:
                rejected.append(fault)
            else:
                turns.append((name, self._turn(f"{sample.id}/{name}", words, region)))
        return Outcome(tuple(turns), tuple(rejected))

    def _read(self, text: str, facts: Facts) -> Iterator[tuple[str, str, Region | None]]:
        """Yield name, words and region of each description in an answer, each text once."""
        if self.prompt.makes == "captions":
            for number, words in enumerate(dict.fromkeys(read_captions(text)[: self.asked.count])):
                yield f"{self.prompt.name}-{number}", words, None
            return
        known = {fact.number: fact for fact in facts.listed}
        for number, words in sorted(read_objects(text).items()):
            if number in known and words:
                yield f"{self.prompt.name}-{number}", words, Region(known[number].geometry)

    def _turn(self, name: str, words: str, region: Region | None) -> Turn:
        rng, text = seeded(self.seed, name), " ".join(words.split()).rstrip(" .")
        if region is None:
            return generate.ask(self.prompt.instructions, text, rng, task="caption")
        pointing = {"region": "{box:0}"}
        return generate.ask(self.prompt.instructions, text, rng, words=pointing, task="region", given=(region,))


def encode_picture(image: Image, longest_px: int) -> str:
    """Give an image as a data URL: JPEG, its longer side at most `longest_px`. ImageFaultError for a bad image."""
    from PIL import Image as Picture

    picture = Picture.fromarray(load_rgb(image, enough_px=longest_px))
    picture.thumbnail((longest_px, longest_px))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _settle(members: Sequence[Sample], outcome: Outcome, ledger: Ledger) -> Iterator[Sample]:
    """Yield the new samples of an image and bring the ledger up to date."""
    first = merge_samples(members)
    for name, turn in outcome.turns:
        yield replace(first, id=f"{first.id}/{name}", turns=(turn,), task=turn.answer.task or first.task)
    for reason, sentence in outcome.rejected:
        ledger.drop(reason, sentence, first.id, fault=outcome.fault)
    if len(members) > 1:
        joined = len(members) - 1
        ledger.drop("read with another", "samples about one image are read as one", first.id, count=joined, fault=False)
    ledger.made += len(outcome.turns) + len(outcome.rejected) - 1


def _in_order(
    groups: Iterable[list[Sample]],
    work: Callable[[list[Sample]], Outcome],
    width: int,
    *,
    stop: Callable[[], None],
) -> Iterator[tuple[list[Sample], Outcome]]:
    """Yield groups with their outcomes in order, `width` at work and twice as many begun.

    When the caller stops or an outcome raises, `stop` ends what is at work; after a spent budget it ends by itself,
    since its answers are paid for.
    """
    pool = ThreadPoolExecutor(width)
    begun: deque[tuple[list[Sample], Future[Outcome]]] = deque()
    ended = False
    try:
        for group in groups:
            begun.append((group, pool.submit(work, group)))
            while len(begun) >= _AHEAD * width:
                members, future = begun.popleft()
                yield members, future.result()
        while begun:
            members, future = begun.popleft()
            yield members, future.result()
        ended = True
    except BudgetSpentError:
        ended = True
        raise
    finally:
        if not ended:
            stop()
        pool.shutdown(wait=True, cancel_futures=True)


def _texts(body: Body) -> Iterator[str]:
    for message in body["messages"]:
        content = message["content"]
        yield from [content] if isinstance(content, str) else [part["text"] for part in content if "text" in part]
