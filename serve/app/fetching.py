"""Images by address, fetched so that nobody reaches through the server what only the server can reach.

An address must be on a list of the operator's. Its host is resolved once, every place it resolves to must be a public
one, and the connection goes to that very place: a name that changes its mind in between leads nowhere else. Redirects
are answers like any other, and no proxy of the environment is asked. Private places are reached where the list names
them: as the address of a host (10.0.0.5, localhost), or as a network that names may lie in (10.0.0.0/8).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import unquote, urlsplit

import httpx2

from serve.errors import RequestError, TooLargeError

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
_STEP_S = 20.0
_SHOWN = 48
_USUAL = {"http": 80, "https": 443}
_EMBEDDING = (ip_network("64:ff9b::/96"), ip_network("2002::/16"), ip_network("2001::/32"))


def require_allowed(url: str, hosts: Sequence[str]) -> None:
    """Raise RequestError unless an address names an allowed host ("host", or "host:port" for another port)."""
    named = _host_of(url)
    if named is None or named not in hosts:
        known = [host for host in hosts if "/" not in host]
        allowed = f"only images of {', '.join(known)} are" if known else "no address is"
        raise RequestError(
            f"image address {url[:_SHOWN]!r} is not fetched: {allowed} (nadir serve --image-host); send the image "
            "itself as a data URL, or upload it to /v1/rasters"
        )


def require_under(url: str, prefixes: Sequence[str]) -> None:
    """Raise RequestError unless an address lies under an allowed prefix ("https://host/folder/")."""
    host, path = _host_of(url), _path_of(url)
    for prefix in prefixes:
        folder = (_path_of(prefix) or "/").rstrip("/") + "/"
        same = host is not None and host == _host_of(prefix) and urlsplit(url).scheme == urlsplit(prefix).scheme
        if same and path is not None and path.startswith(folder):
            return
    allowed = f"only addresses under {', '.join(prefixes)} are" if prefixes else "no address is"
    raise RequestError(
        f"address {url[:_SHOWN]!r} is not fetched: {allowed} (nadir serve --allow-url); upload the file instead"
    )


async def resolve(host: str, port: int) -> Sequence[str]:
    """Give the IP addresses of a host; OSError where it has none."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


async def fetch(
    url: str, *, most_bytes: int, hosts: Sequence[str] = (), within_s: float = 60.0, resolve: Resolve = resolve
) -> AsyncGenerator[bytes, None]:
    """Yield the bytes of an allowed address as they come; `hosts` names the private places and networks too.

    Raises RequestError where it cannot be had in time, TooLargeError when it has more than `most_bytes`.
    """
    shown, seen = repr(url[:_SHOWN]), 0
    ends = asyncio.get_running_loop().time() + within_s
    try:
        async with asyncio.timeout_at(ends):
            place = await _place_of(url, hosts, resolve)
        async with aclosing(_pieces(url, place, shown)) as pieces:
            while True:
                async with asyncio.timeout_at(ends):
                    piece = await anext(pieces, b"")
                if not piece:
                    return
                seen += len(piece)
                if seen > most_bytes:
                    raise TooLargeError(f"image {shown} has more than {most_bytes:,} bytes: upload it")
                yield piece
    except TimeoutError as error:
        raise RequestError(f"image address {shown} did not come within {within_s:.0f} s: upload it instead") from error
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, UnicodeError) as error:
        raise RequestError(f"image address {shown} cannot be fetched ({type(error).__name__})") from error


async def _pieces(url: str, place: str, shown: str) -> AsyncGenerator[bytes, None]:
    """Ask one IP address for an address, by the name that it has."""
    wanted = httpx2.URL(url)
    named = {"Host": wanted.netloc.decode("ascii"), "Accept-Encoding": "identity"}
    async with (
        httpx2.AsyncClient(timeout=_STEP_S, follow_redirects=False, trust_env=False) as client,
        client.stream(
            "GET", wanted.copy_with(host=place), headers=named, extensions={"sni_hostname": wanted.host}
        ) as response,
    ):
        if response.status_code != 200:
            raise RequestError(f"image address {shown} answers {response.status_code}: expected 200")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise RequestError(f"image address {shown} answers compressed bytes: expected the file itself")
        async for piece in response.aiter_raw():
            if piece:
                yield piece


async def _place_of(url: str, hosts: Sequence[str], resolve: Resolve) -> str:
    """Give the IP address to ask; RequestError where any that the name has is not public."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    named = {entry if _is_address(entry) else urlsplit(f"//{entry}").hostname for entry in hosts if "/" not in entry}
    places = await resolve(host, parts.port or _USUAL[parts.scheme])
    networks = [ip_network(entry, strict=False) for entry in hosts if "/" in entry]
    explicit = host in named and (host == "localhost" or _is_address(host))
    for place in places:
        if not (explicit or _is_public(place) or any(_lies_in(place, network) for network in networks)):
            raise RequestError(
                f"image address {url[:_SHOWN]!r} is not fetched: {host} is not a public host; the operator may name "
                "its network (nadir serve --image-host 10.0.0.0/8)"
            )
    return places[0]


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_public(place: str) -> bool:
    """Say whether an IP address is one of the public internet, also when it wraps another."""
    address = ip_address(place.partition("%")[0])
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return _is_public(str(address.ipv4_mapped))
        if any(address in network for network in _EMBEDDING) or address.is_site_local:
            return False
    return address.is_global and not address.is_multicast


def _lies_in(place: str, network: IPv4Network | IPv6Network) -> bool:
    address = ip_address(place.partition("%")[0])
    return address.version == network.version and address in network


def _host_of(url: str) -> str | None:
    """Give the host of an address, with its port where that is unusual; None for what is not plainly one."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    odd = any(ord(character) <= 32 or character == "\\" for character in url)
    if host is None or odd or parts.scheme not in _USUAL or "@" in parts.netloc:
        return None
    shown = f"[{host}]" if ":" in host and port not in (None, _USUAL[parts.scheme]) else host
    return host if port in (None, _USUAL[parts.scheme]) else f"{shown}:{port}"


def _path_of(url: str) -> str | None:
    """Give the path of an address; None for one that climbs, however it is written."""
    try:
        path = urlsplit(url).path
    except ValueError:
        return None
    plain = unquote(unquote(path))
    climbs = any(part in (".", "..") for part in plain.replace("\\", "/").split("/"))
    return None if climbs or "\\" in plain or "\0" in plain else path
