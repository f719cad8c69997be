"""The engine reads rasters, words them, and gives what Nadir.ask gives; vLLM sees the tiles that were cut here."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from serve.engines.engine import Guide, Prompt, Said, Sampling
from serve.engines.load import reach_process
from serve.engines.vllm import Upstream, VllmEngine
from serve.engines.vllm_process import VllmProcess
from serve.errors import RequestError, TooLargeError
from tests.vlm.made_rasters import UTM, checker, write_raster
from vlm.answer import Nadir, Request
from vlm.prompter import Prompter
from vlm.records import Answer


@pytest.fixture(scope="module")
def later(scene: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_raster(tmp_path_factory.mktemp("later") / "later.tif", checker(4, 120, 160, seed=1), **UTM)


def answer(process: VllmProcess, nadir: Nadir, *prompts: Prompt) -> list[tuple[list[str], Answer]]:
    """Ask all prompts at once."""

    async def collect(engine: VllmEngine, prompt: Prompt) -> tuple[list[str], Answer]:
        pieces = [piece async for piece in engine.generate(prompt)]
        assert isinstance(pieces[-1], Answer)
        return [str(piece) for piece in pieces[:-1]], pieces[-1]

    async def ask() -> list[tuple[list[str], Answer]]:
        upstream = reach_process(process, "tiny")
        engine = VllmEngine(Prompter(nadir.model.config, nadir.processor), [upstream], name="tiny", adapters=("ports",))
        try:
            return list(await asyncio.gather(*[collect(engine, prompt) for prompt in prompts]))
        finally:
            await upstream.http.aclose()

    return asyncio.run(ask())


def test_rasters_are_answered_as_nadir_ask_answers(
    process: VllmProcess, nadir: Nadir, scene: Path, later: Path
) -> None:
    requests = [
        Request("Where is the red car?", (scene,)),
        Request("Where is the red car?", (scene,), window=(20, 10, 90, 100), task="ground"),
        Request("How many ships are there?", (scene,), budget=1, task="count"),
        Request("What has changed?", (scene, later), task="change"),
        Request("What is in this region?", (later,), bands="4,3,2+1", regions=("box:10,20,60,90",)),
        Request("Where is the red car?"),
    ]
    requests = [replace(request, max_new_tokens=16) for request in requests]
    given = answer(process, nadir, *(Prompt("me", request) for request in requests))
    for request, (pieces, found) in zip(requests, given, strict=True):
        (wanted,) = nadir.ask_batch([request])
        assert (found.text, found.regions, found.grids) == (wanted.text, wanted.regions, wanted.grids)
        assert "".join(pieces) == found.text and found.trace == wanted.trace
        assert found.cost is not None and wanted.cost is not None
        assert found.cost.prompt_tokens == wanted.cost.prompt_tokens and found.cost.tiles == wanted.cost.tiles


def test_a_conversation_and_an_adapter(
    process: VllmProcess, nadir: Nadir, adapted: dict[str, tuple[Path, Nadir]], scene: Path
) -> None:
    chat = nadir.chat(scene, max_new_tokens=12)
    first, second = chat.ask("Where is the red car?"), chat.ask("How many ships are there?")
    said = (Said("user", "Where is the red car?"), Said("assistant", first.text))
    request = Request("How many ships are there?", (scene,), max_new_tokens=12)
    talk, ports = Prompt("me", request, said, images_at=0), Prompt("you", request, adapter="ports")
    (_, again), (_, other) = answer(process, nadir, talk, ports)
    assert again.text == second.text
    assert other.text == adapted["ports"][1].ask_batch([request])[0].text != nadir.ask_batch([request])[0].text


def test_sampling_stops_and_forms_reach_vllm(process: VllmProcess, nadir: Nadir, scene: Path) -> None:
    request = Request("Where is the red car?", (scene,), max_new_tokens=24)
    drawn = [Prompt("me", request, sampling=Sampling(1.0, 1.0, seed)) for seed in (1, 2, 1)]
    form = Prompt("me", request, sampling=Sampling(guide=Guide("regex", "[a-d]{4}")))
    strict = Prompt("me", replace(request, task="count"), sampling=Sampling(guide=Guide("task")))
    (_, first), (_, other), (_, again), (_, held), (_, count) = answer(process, nadir, *drawn, form, strict)
    assert first.text == again.text != other.text
    assert len(held.text) == 4 and set(held.text) <= set("abcd") and count.text.isdecimal()
    stop = first.text[len(first.text) // 2 :][:2]
    ((_, cut),) = answer(process, nadir, Prompt("me", request, sampling=Sampling(1.0, 1.0, 1, stop=(stop,))))
    assert cut.text == first.text[: first.text.index(stop)]


def test_a_question_that_is_too_long_is_refused_with_a_sentence(
    process: VllmProcess, nadir: Nadir, scene: Path
) -> None:
    with pytest.raises((RequestError, TooLargeError), match=r"longer than the model reads|does not take"):
        answer(process, nadir, Prompt("me", Request("ships " * 5000, (scene,))))


def test_closing_the_stream_ends_the_work(process: VllmProcess, nadir: Nadir, scene: Path) -> None:
    """vLLM is told by the end of the connection: of 300 tokens and more it writes the first few."""
    sampling = Sampling(guide=Guide("regex", "(?:a ){300}"))

    async def ask() -> None:
        upstream = reach_process(process, "tiny")
        engine = VllmEngine(Prompter(nadir.model.config, nadir.processor), [upstream], name="tiny")
        before = await counted(upstream, "vllm:generation_tokens_total")
        talk = engine.generate(Prompt("me", Request("ships", (scene,), max_new_tokens=700), sampling=sampling))
        assert isinstance(await anext(talk), str) and engine.load().running == 1
        await talk.aclose()
        assert engine.load().running == 0 and upstream.running == 0
        while await counted(upstream, "vllm:num_requests_running"):
            await asyncio.sleep(0.1)
        assert await counted(upstream, "vllm:generation_tokens_total") - before < 200
        await upstream.http.aclose()

    asyncio.run(ask())


async def counted(upstream: Upstream, name: str) -> float:
    """Read a number of vLLM's metrics."""
    lines = (await upstream.http.get("/metrics")).text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f"{name}{{"))
