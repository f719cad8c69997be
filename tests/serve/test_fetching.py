"""Addresses are fetched from where the operator said, and from nowhere that only the server can reach."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

import pytest

from serve.app.fetching import fetch, require_allowed, require_under
from serve.errors import RequestError, TooLargeError

LOCAL = "127.0.0.1"


@contextmanager
def host() -> Iterator[tuple[int, list[str]]]:
    """Serve a few addresses on this machine; give the port, and the Host headers that were seen."""
    asked: list[str] = []
    ended = Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.headers["Host"])
            kinds: dict[str, tuple[int, dict[str, str], bytes]] = {
                "/moved": (302, {"Location": f"http://{LOCAL}:{self.server.server_port}/file"}, b""),  # type: ignore[attr-defined]
                "/squeezed": (200, {"Content-Encoding": "gzip"}, gzip.compress(bytes(10_000_000))),
                "/large": (200, {}, bytes(200_000)),
            }
            status, headers, body = kinds.get(self.path, (200, {}, b"the file"))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            if self.path == "/slow":
                self.wfile.flush()
                ended.wait(20)

        def log_message(self, *_: Any) -> None:
            return

    with ThreadingHTTPServer((LOCAL, 0), Handler) as made:
        thread = Thread(target=made.serve_forever)
        thread.start()
        try:
            yield made.server_port, asked
        finally:
            ended.set()
            made.shutdown()
            thread.join()


def get(url: str, *places: str, hosts: Sequence[str] = (), most: int = 100_000, within_s: float = 20.0) -> bytes:
    """Fetch an address whose host resolves to `places`."""

    async def resolve(name: str, port: int) -> Sequence[str]:
        del name, port
        return places

    async def run() -> bytes:
        pieces = fetch(url, most_bytes=most, hosts=hosts, within_s=within_s, resolve=resolve)
        return b"".join([piece async for piece in pieces])

    return asyncio.run(run())


def test_the_place_that_was_looked_at_is_the_one_that_is_asked() -> None:
    """The name leads nowhere, so only the resolved place can have answered; it was asked by the name."""
    with host() as (port, asked):
        url = f"http://images.invalid:{port}/file"
        assert get(url, LOCAL, hosts=(f"images.invalid:{port}", "127.0.0.0/8")) == b"the file"
        assert asked == [f"images.invalid:{port}"]
        assert get(f"http://{LOCAL}:{port}/file", LOCAL, hosts=(f"{LOCAL}:{port}",)) == b"the file"
        assert get(f"http://localhost:{port}/file", LOCAL, hosts=("localhost",)) == b"the file"


@pytest.mark.parametrize(
    "place",
    [
        "127.0.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1",
        "255.255.255.255", "::1", "::", "fe80::1%eth0", "fc00::1", "fec0::1", "ff02::1", "::ffff:127.0.0.1",
        "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:7f00:1::1",
    ],
)  # fmt: skip
def test_names_that_lead_to_private_places_are_refused(place: str) -> None:
    """Also where another place of the same name is public: which one is asked is not the client's to choose."""
    with host() as (port, asked):
        for places in ((place,), ("93.184.215.14", place)):
            with pytest.raises(RequestError, match="is not a public host"):
                get(f"http://images.invalid:{port}/file", *places, hosts=("images.invalid", "192.0.2.0/24"))
        assert asked == []


@pytest.mark.parametrize(
    ("path", "sentence"),
    [("moved", "answers 302"), ("squeezed", "answers compressed bytes"), ("slow", "did not come within")],
)
def test_redirects_compressed_and_slow_answers_are_refused(path: str, sentence: str) -> None:
    with host() as (port, _), pytest.raises(RequestError, match=sentence):
        get(f"http://{LOCAL}:{port}/{path}", LOCAL, hosts=(LOCAL,), within_s=1.0)


def test_more_bytes_than_allowed_and_nobody_there_are_refused() -> None:
    with host() as (port, _), pytest.raises(TooLargeError, match="more than 100,000 bytes"):
        get(f"http://{LOCAL}:{port}/large", LOCAL, hosts=(LOCAL,))
    with pytest.raises(RequestError, match="cannot be fetched"):
        get(f"http://{LOCAL}:{port}/file", LOCAL, hosts=(LOCAL,))


@pytest.mark.parametrize(
    "url",
    [
        "http://evil.org/a.png", "http://img.org@evil.org/a.png", "http://evil.org#img.org", "http://img.org:81/a.png",
        "http://img.org.evil.org/a", "http://[::1]/a", "http://user:pw@img.org/", "http://169.254.169.254/latest",
        "http://img.org:port/", "http:///a.png", "http://img.org\\@evil.org/", "https://IMG.org.:443/",
        "http://2130706433/", "http://0x7f000001/", "http://0177.0.0.1/", "http://127.1/", "http://[::ffff:7f00:1]/",
        "http://img.org\t/", "http://img.org\n.evil.org/", "ftp://img.org/a", "http://img.org%2eevil.org/", "http://[/",
    ],
)  # fmt: skip
def test_addresses_that_only_look_allowed_are_refused(url: str) -> None:
    with pytest.raises(RequestError, match="is not fetched"):
        require_allowed(url, ("img.org", "10.0.0.0/8"))


def test_allowed_addresses() -> None:
    for url in (
        "http://img.org/a.png",
        "https://IMG.org:443/a?b=c#d",
        "http://img.org:8080/a",
        "http://[fd00::1]:81/a",
    ):
        require_allowed(url, ("img.org", "img.org:8080", "[fd00::1]:81"))


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://img.org/cogs/a.tif", True), ("https://IMG.org:443/cogs/b/a.tif?v=1", True),
        ("https://img.org/cogs2/a.tif", False), ("http://img.org/cogs/a.tif", False), ("https://img.org/a.tif", False),
        ("https://img.org/cogs/../a.tif", False), ("https://img.org/cogs/%2e%2e/a.tif", False),
        ("https://img.org/cogs/%252e%252e/a.tif", False), ("https://img.org/cogs/..\\a.tif", False),
        ("https://img.org/cogs/..%2fa.tif", False), ("https://evil.org/cogs/a.tif", False),
        ("https://img.org@evil.org/cogs/a.tif", False), ("https://img.org:444/cogs/a.tif", False),
        ("/cogs/a.tif", False), ("/vsicurl/https://img.org/cogs/a.tif", False),
    ],
)  # fmt: skip
def test_addresses_lie_under_a_prefix_or_are_refused(url: str, allowed: bool) -> None:
    for prefix in ("https://img.org/cogs/", "https://img.org/cogs"):
        if allowed:
            require_under(url, ("https://other.org/", prefix))
        else:
            with pytest.raises(RequestError, match="is not fetched"):
                require_under(url, (prefix,))
