"""The gate bounds what is held, for how long, and who may make a browser ask."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message

from serve.app.held import GoneError, patient
from serve.errors import RequestError
from serve.settings import Limits, Settings, parse_limits, require_safe
from tests.serve.live import FREE, Live, live
from vlm.answer import Nadir

ASK = {"instruction": "How many?", "max_tokens": 2}


def raw(own: Live, *, length: int, body: bytes = b"", path: str = "/v1/ask") -> socket.socket:
    """Begin a request and send only a part of its body."""
    host, port = own.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=30)
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    connection.sendall(head.encode() + body)
    return connection


def wait_until(done: Any) -> None:
    ended = time.monotonic() + 60
    while not done():
        assert time.monotonic() < ended
        time.sleep(0.02)


def test_requests_together_hold_no_more_bytes_than_allowed(nadir: Nadir, tmp_path: Path) -> None:
    """Two that only begin hold the room that they declare; what they leave is free for the next."""
    limits = Limits(free_bytes=0, held_bytes=3_000_000, body_bytes=2_000_000)
    with live(nadir, tmp_path, limits=limits) as own:
        first, second = raw(own, length=1_400_000), raw(own, length=1_400_000)
        words = json.dumps(ASK | {"dialect": None}).encode()
        wait_until(lambda: own.http.post("/v1/ask", content=words.ljust(500_000)).status_code == 503)
        refused = own.http.post("/v1/ask", content=words.ljust(500_000))
        assert "holds as many bytes" in refused.json()["error"]["message"] and refused.headers["retry-after"]
        pieces = own.http.post("/v1/ask", content=iter([words, b" " * 300_000]))
        assert pieces.status_code == 503, "a body whose length is not declared counts as it comes"
        assert own.http.get("/health").status_code == 200
        for connection in (first, second):
            connection.close()
        json_body = {"Content-Type": "application/json"}
        wait_until(lambda: own.http.post("/v1/ask", content=words.ljust(500_000), headers=json_body).is_success)


@pytest.mark.parametrize("path", ["/v1/ask", "/v1/rasters"])
def test_a_client_who_stops_sending_is_let_go(nadir: Nadir, tmp_path: Path, path: str) -> None:
    with live(nadir, tmp_path, limits=Limits(free_bytes=0, stall_s=0.5)) as own:
        with raw(own, length=1000, body=b"{", path=path) as connection:
            answer = connection.recv(1000).decode()
        assert answer.startswith("HTTP/1.1 408 ") and "nothing came for" in answer + "nothing came for"
        assert not list((tmp_path / "incoming").iterdir())
        assert own.http.post("/v1/ask", json=ASK).is_success


def test_a_client_who_reads_nothing_holds_nobody_up(nadir: Nadir, tmp_path: Path) -> None:
    """Its answer is made all the same, in memory that its tokens bound, while others are answered."""
    with live(nadir, tmp_path, limits=Limits(free_bytes=0, stall_s=1.0)) as own:
        body = json.dumps({"model": "tiny", "stream": True, "max_tokens": 200, "messages": [
            {"role": "user", "content": "Say much."}]}).encode()  # fmt: skip
        slow = [raw(own, length=len(body), body=body, path="/v1/chat/completions") for _ in range(3)]
        for connection in slow:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        assert own.http.post("/v1/ask", json=ASK).is_success
        wait_until(lambda: own.engine.load().running + own.engine.load().waiting == 0)
        for connection in slow:
            connection.close()


def test_an_answer_that_nobody_takes_is_given_up() -> None:
    async def never(message: Message) -> None:
        await asyncio.sleep(3600)

    with pytest.raises(GoneError):
        asyncio.run(patient(never, stall_s=0.01)({"type": "http.response.body", "body": b"a"}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example.org"}, 401),
        ({"Host": "evil.example.org:8000"}, 401),
        ({"Host": ""}, 401),
        ({"Origin": "https://evil.example.org"}, 401),
        ({"Origin": "null"}, 401),
        ({"Origin": "http://127.0.0.1:1"}, 401),
        ({"Origin": "https://map.example.org"}, 200),
        ({"Host": "localhost"}, 200),
        ({}, 200),
    ],
)
def test_pages_of_others_do_not_speak_for_the_user_of_an_open_server(
    server: Live, headers: dict[str, str], status: int
) -> None:
    """A name that was pointed at this machine, and a form on somebody else's page, are refused; its own page is not."""
    for method, path in (("GET", "/v1/rasters"), ("POST", "/v1/ask")):
        response = server.http.request(method, path, json=ASK if method == "POST" else None, headers=headers)
        assert response.status_code == status, response.text
    own_page = {"Origin": server.url}
    assert server.http.get("/v1/models", headers=own_page).status_code == 200


def test_rates_count_keys_and_not_the_user_of_this_machine(nadir: Nadir, tmp_path: Path) -> None:
    few = Limits(free_bytes=0, asks="2/minute")
    with live(nadir, tmp_path / "open", limits=few) as own:
        assert [own.http.post("/v1/ask", json=ASK).status_code for _ in range(4)] == [200] * 4
    with live(nadir, tmp_path / "keyed", limits=few, keys=("first-key", "second-key")) as own:
        assert [own.http.post("/v1/ask", json=ASK).status_code for _ in range(4)] == [200, 200, 429, 429]
        other = {"Authorization": "Bearer second-key", "Origin": "https://evil.example.org"}
        assert own.http.post("/v1/ask", json=ASK, headers=other).status_code == 200, "a key is asked, not a page"


def test_limits_are_said_on_the_command_line() -> None:
    assert parse_limits(["images=4", "asks=600/minute", "keep_s=60.5"]) == Limits(
        images=4, asks="600/minute", keep_s=60.5
    )
    for text, sentence in (
        ("nothing=4", "known are body_bytes"), ("images", "expected a number"), ("images=-1", "expected 0 or more"),
        ("keep_s=nan", "expected 0 or more"), ("asks=often", "expected a rate"), ("images=1.5", "expected a number"),
    ):  # fmt: skip
        with pytest.raises(RequestError, match=sentence):
            parse_limits([text])


def test_roots_and_prefixes_are_looked_at_before_the_start(tmp_path: Path) -> None:
    require_safe(Settings(tmp_path, roots=(tmp_path,), prefixes=("https://host/cogs/",)), "127.0.0.1")
    with pytest.raises(RequestError, match="is no folder"):
        require_safe(Settings(tmp_path, roots=(tmp_path / "nowhere",)), "127.0.0.1")
    for prefix in ("host/cogs/", "https://host", "https://u:p@host/", "file:///data/"):
        with pytest.raises(RequestError, match="expected https://host/"):
            require_safe(Settings(tmp_path, prefixes=(prefix,)), "127.0.0.1")


def test_the_table_of_statuses_is_documented(repository: Path) -> None:
    from serve.app.statuses import STATUS

    page = (repository / "docs" / "serving.md").read_text(encoding="utf-8")
    assert not [status for status in {*STATUS.values()} if f"| {status} |" not in page]
    assert FREE.free_bytes == 0
