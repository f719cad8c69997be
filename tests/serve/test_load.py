"""Two hundred questions at once: all are answered, in turns, in memory that does not grow with them."""

from __future__ import annotations

import asyncio
import base64
import resource
from collections import Counter
from pathlib import Path

import httpx2
import pytest

from serve.settings import Limits
from tests.serve.live import Live, live
from tests.vlm.made_rasters import UTM, checker, write_raster
from vlm.answer import Nadir

KEYS = tuple(f"key-number-{number}" for number in range(10))
MANY = 200


async def ask_many(own: Live, body: dict[str, object], keys: list[str]) -> list[tuple[str, int]]:
    """Ask once for each of the keys at the same time; give keys and statuses in the order of the answers."""
    answered: list[tuple[str, int]] = []

    async def ask(key: str) -> None:
        response = await http.post("/v1/ask", json=body, headers={"Authorization": f"Bearer {key}"})
        answered.append((key, response.status_code))

    limits = httpx2.Limits(max_connections=None)
    async with httpx2.AsyncClient(base_url=own.url, timeout=500, limits=limits, trust_env=False) as http:
        await asyncio.gather(*[ask(key) for key in keys])
    return answered


@pytest.mark.slow
def test_two_hundred_questions_are_answered_in_turns(nadir: Nadir, tmp_path: Path) -> None:
    """One key asks a hundred and ten times, nine others ten times: the nine are through long before the first."""
    small = write_raster(tmp_path / "small.tif", checker(3, 40, 48), **UTM)
    picture = "data:image/tiff;base64," + base64.b64encode(small.read_bytes()).decode()
    body: dict[str, object] = {"instruction": "How many?", "images": [picture], "max_tokens": 1}
    limits = Limits(free_bytes=0, asks="100000/minute", open_per_key=110)
    with live(nadir, tmp_path, limits=limits, keys=KEYS) as own:
        asyncio.run(ask_many(own, body, list(KEYS)))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        greedy = [KEYS[0]] * (MANY - 10 * (len(KEYS) - 1))
        answered = asyncio.run(ask_many(own, body, greedy + list(KEYS[1:]) * 10))
        grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert [status for _, status in answered] == [200] * MANY
    last_of_others = max(place for place, (key, _) in enumerate(answered) if key != KEYS[0])
    assert last_of_others < 130, "who asks much does not hold up who asks little"
    assert grown_mib < 250, f"{grown_mib:.0f} MiB more for {MANY} questions"
    assert not list((tmp_path / "incoming").iterdir()), "what came with a question goes with it"


@pytest.mark.parametrize(
    ("limits", "keys", "refusal"),
    [
        (Limits(free_bytes=0, asks="100000/minute", open_per_key=4), [KEYS[0]] * 12, 429),
        (Limits(free_bytes=0, asks="100000/minute", waiting=3), list(KEYS) * 2, 503),
    ],
)
def test_what_is_too_much_is_refused_at_once(
    nadir: Nadir, tmp_path: Path, limits: Limits, keys: list[str], refusal: int
) -> None:
    """One is answered and three wait: of one key, or of all; who comes then is told to come again."""
    body: dict[str, object] = {"instruction": "Say much.", "max_tokens": 100}
    with live(nadir, tmp_path, limits=limits, keys=KEYS) as own:
        statuses = Counter(status for _, status in asyncio.run(ask_many(own, body, keys)))
        assert own.http.get("/health").json()["waiting"] == 0
    assert set(statuses) == {200, refusal} and statuses[200] >= 4, statuses
