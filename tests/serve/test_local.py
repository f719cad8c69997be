"""The local engine says what Nadir.ask says, piece by piece, and stops when nobody listens."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llguidance import LLMatcher

from serve.engines.engine import Guide, Prompt, Said, Sampling
from serve.engines.local import LocalEngine
from serve.engines.stops import Stops
from serve.errors import RequestError
from vlm.answer import Nadir, Request
from vlm.codecs.grammar import answer_pattern
from vlm.errors import RasterError
from vlm.records import Answer


@asynccontextmanager
async def engine_of(nadir: Nadir) -> AsyncIterator[LocalEngine]:
    engine = LocalEngine(nadir, name="tiny")
    try:
        yield engine
    finally:
        await engine.close()


async def collect(engine: LocalEngine, prompt: Prompt) -> tuple[list[str], Answer]:
    pieces = [piece async for piece in engine.generate(prompt)]
    assert isinstance(pieces[-1], Answer)
    return [str(piece) for piece in pieces[:-1]], pieces[-1]


def asked(*images: Path, words: str = "Where is the red car?", **options: Any) -> Prompt:
    return Prompt("me", Request(words, images, max_new_tokens=options.pop("new_tokens", 24), **options))


def run(nadir: Nadir, *prompts: Prompt) -> list[tuple[list[str], Answer]]:
    async def ask() -> list[tuple[list[str], Answer]]:
        async with engine_of(nadir) as engine:
            return list(await asyncio.gather(*[collect(engine, prompt) for prompt in prompts]))

    return asyncio.run(ask())


def test_pieces_join_to_the_answer_that_ask_gives(nadir: Nadir, scene: Path, later: Path) -> None:
    given = run(nadir, asked(scene), asked(scene, later, words="What has changed?", task="change"))
    expected = [
        nadir.ask(scene, "Where is the red car?", max_new_tokens=24),
        nadir.ask(scene, later, "What has changed?", task="change", max_new_tokens=24),
    ]
    for (pieces, answer), wanted in zip(given, expected, strict=True):
        assert (answer.text, answer.regions, answer.grids) == (wanted.text, wanted.regions, wanted.grids)
        assert "".join(pieces) == answer.text
        assert len(pieces) > 3, "tokens come one by one"


def test_a_conversation_is_what_chat_makes_of_it(nadir: Nadir, scene: Path) -> None:
    chat = nadir.chat(scene, max_new_tokens=12)
    first, second = chat.ask("Where is the red car?"), chat.ask("How many ships are there?")
    said = (Said("user", "Where is the red car?"), Said("assistant", first.text))
    request = Request("How many ships are there?", (scene,), max_new_tokens=12)
    ((_, answer),) = run(nadir, Prompt("me", request, said, images_at=0))
    assert answer.text == second.text


def test_seeds_draw_the_same_and_different_answers(nadir: Nadir, scene: Path) -> None:
    request = Request("Where is the red car?", (scene,), max_new_tokens=16)
    draws = [Prompt("me", request, sampling=Sampling(1.0, 1.0, seed)) for seed in (1, 2, 1)]
    first, other, again = (answer.text for _, answer in run(nadir, *draws))
    assert first == again != other


def test_errors_reach_whoever_asks_and_the_next_question_is_answered(nadir: Nadir, scene: Path) -> None:
    async def ask() -> None:
        async with engine_of(nadir) as engine:
            with pytest.raises(RasterError, match="does not exist"):
                await collect(engine, asked(Path("nowhere.tif")))
            await collect(engine, asked(scene, new_tokens=2))
            assert engine.load().running == engine.load().waiting == 0

    asyncio.run(ask())


def test_closing_the_generator_stops_the_work(nadir: Nadir, scene: Path) -> None:
    """The model would say 300 tokens; after three pieces nobody listens, and the thread is free for the next."""
    tokens = 0
    decode = nadir.processor.tokenizer.decode

    def counting(*arguments: Any, **options: Any) -> str:
        nonlocal tokens
        tokens += 1
        return str(decode(*arguments, **options))

    async def ask() -> None:
        nonlocal tokens
        async with engine_of(nadir) as engine:
            talk = engine.generate(asked(scene, new_tokens=300))
            for _ in range(3):
                await anext(talk)
            waits = engine.generate(asked(scene, new_tokens=300))
            waiting = asyncio.create_task(anext(waits))
            await asyncio.sleep(0.01)
            assert (engine.load().waiting, engine.load().running) == (1, 1)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            await talk.aclose()
            _, answer = await collect(engine, asked(scene, new_tokens=2))
            assert answer.text is not None
            assert engine.load().running == engine.load().waiting == 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nadir.processor.tokenizer, "decode", counting)
        asyncio.run(ask())
    assert tokens < 100, f"{tokens} decodings: the stopped answers went on"


@pytest.mark.parametrize("dialect", ["nadir", "qwen3", "geochat", "lmmrotate"])
@pytest.mark.parametrize("task", ["ground", "segment", "count"])
def test_an_answer_that_is_held_to_its_task_parses(nadir: Nadir, scene: Path, dialect: str, task: Any) -> None:
    """The untrained model babbles; held to the form, what it says is a list of regions until its tokens end."""
    request = Request("Where is the red car?", (scene,), task=task, dialect=dialect, max_new_tokens=60)
    ((pieces, answer),) = run(nadir, Prompt("me", request, sampling=Sampling(1.0, 1.0, 5, guide=Guide("task"))))
    assert "".join(pieces) == answer.text
    beginning = answer_pattern(task, dialect)
    assert LLMatcher.validate_grammar(LLMatcher.grammar_from_regex(beginning)) == ""
    free = nadir.ask(scene, "Where is the red car?", task=task, dialect=dialect, max_new_tokens=60).text
    assert not re.fullmatch(beginning, free), "the form changes nothing"
    assert re.fullmatch(beginning, answer.text) or (answer.cost and answer.cost.new_tokens == 60)
    if task == "count":
        assert re.fullmatch(r"\d{1,5}", answer.text)


@pytest.mark.parametrize(
    ("guide", "held"),
    [
        (Guide("regex", r"(?:yes|no), \d{2} ships"), r"(?:yes|no), \d{2} ships"),
        (Guide("regex", "<box>\\[\\[1\\]\\]</box>\n"), "<box>\\[\\[1\\]\\]</box>\n"),
        (Guide("json", '{"type": "object", "properties": {"n": {"enum": [3, 4]}}, "required": ["n"], '
               '"additionalProperties": false}'), r'\{"n": ?[34]\}'),
    ],
)  # fmt: skip
def test_an_answer_is_held_to_an_expression_or_a_schema(nadir: Nadir, scene: Path, guide: Guide, held: str) -> None:
    for sampling in (Sampling(guide=guide), Sampling(1.5, 1.0, 3, guide=guide)):
        request = Request("How many?", (scene,), max_new_tokens=40)
        ((_, answer),) = run(nadir, Prompt("me", request, sampling=sampling))
        assert re.fullmatch(held, answer.text), answer.text


@pytest.mark.parametrize(
    "guide", [Guide("regex", "(a"), Guide("json", "{"), Guide("json", '{"type": "fish"}'), Guide("regex", "(?=a)b")]
)
def test_a_form_that_cannot_be_read_is_refused(nadir: Nadir, guide: Guide) -> None:
    with pytest.raises(RequestError, match="cannot be held to"):
        run(nadir, Prompt("me", Request("How many?"), sampling=Sampling(guide=guide)))


def test_an_answer_ends_before_a_stop(nadir: Nadir, scene: Path) -> None:
    whole = nadir.ask(scene, "Where is the red car?", max_new_tokens=24).text
    stop = whole[len(whole) // 2 :][:3]
    request = Request("Where is the red car?", (scene,), max_new_tokens=24)
    ((pieces, answer),) = run(nadir, Prompt("me", request, sampling=Sampling(stop=("never said", stop))))
    assert answer.text == whole[: whole.index(stop)] == "".join(pieces)
    assert answer.cost is not None and answer.cost.new_tokens < 24, "generation went on after the stop"
    ((_, unstopped),) = run(nadir, Prompt("me", request, sampling=Sampling(stop=("never said",))))
    assert unstopped.text == whole


@given(
    tokens=st.lists(st.text("ab|", min_size=1, max_size=3), max_size=12),
    stops=st.lists(st.text("ab|", min_size=1, max_size=4), max_size=3),
)
def test_a_growing_text_never_says_what_a_stop_takes_back(tokens: list[str], stops: list[str]) -> None:
    known, text, said = Stops(tuple(stops)), "", ""
    for token in tokens:
        text += token
        assert known.sure(text).startswith(said), "what was said stays said"
        said = known.sure(text)
        if known.before(text) != text:
            break
    assert known.before(text).startswith(said)
    assert not any(stop in known.before(text) for stop in stops)
