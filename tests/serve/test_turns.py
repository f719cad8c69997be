"""The queue is fair between owners, bounded, and loses no turn when somebody gives up."""

from __future__ import annotations

import asyncio

import pytest

from serve.engines.turns import Turns
from serve.errors import BusyError, RateError


async def hold(turns: Turns, owner: str, order: list[str], name: str) -> None:
    async with turns.turn(owner):
        order.append(name)
        await asyncio.sleep(0)


async def start(turns: Turns, order: list[str], *names: str) -> list[asyncio.Task[None]]:
    """Queue names such as "a1" (owner a), one after the other."""
    tasks = []
    for name in names:
        tasks.append(asyncio.create_task(hold(turns, name[0], order, name)))
        await asyncio.sleep(0)
    return tasks


def test_owners_take_turns() -> None:
    async def run() -> list[str]:
        turns, order = Turns(at_once=1, waiting=9, per_owner=9), []
        async with turns.turn("z"):
            tasks = await start(turns, order, "a1", "a2", "a3", "b1", "c1", "b2")
            assert (turns.load().waiting, turns.load().running) == (6, 1)
        await asyncio.gather(*tasks)
        assert (turns.load().waiting, turns.load().running) == (0, 0)
        return order

    assert asyncio.run(run()) == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_several_at_once_never_more() -> None:
    async def run() -> int:
        turns, running, most = Turns(at_once=3, waiting=50, per_owner=50), 0, 0

        async def work() -> None:
            nonlocal running, most
            async with turns.turn("a"):
                running += 1
                most = max(most, running)
                await asyncio.sleep(0.001)
                running -= 1

        await asyncio.gather(*[work() for _ in range(20)])
        return most

    assert asyncio.run(run()) == 3


def test_a_full_queue_refuses() -> None:
    async def run() -> None:
        turns, order = Turns(at_once=1, waiting=3, per_owner=2), []
        async with turns.turn("z"):
            tasks = await start(turns, order, "a1", "a2")
            with pytest.raises(RateError, match="2 questions of this key"):
                await turns.turn("a").__aenter__()
            tasks += await start(turns, order, "b1")
            with pytest.raises(BusyError, match="3 questions wait"):
                await turns.turn("c").__aenter__()
        await asyncio.gather(*tasks)
        assert order == ["a1", "b1", "a2"], "who was refused holds nothing up"

    asyncio.run(run())


def test_giving_up_passes_the_turn_on() -> None:
    async def run() -> list[str]:
        turns, order = Turns(at_once=1, waiting=9, per_owner=9), []
        async with turns.turn("z"):
            tasks = await start(turns, order, "a1", "b1", "c1")
            tasks[0].cancel()
        tasks[1].cancel()  # its turn has come in the same moment, and it has not run yet
        await asyncio.gather(*tasks, return_exceptions=True)
        async with turns.turn("d"):
            order.append("d")
        assert (turns.load().waiting, turns.load().running) == (0, 0)
        return order

    assert asyncio.run(run()) == ["c1", "d"]
