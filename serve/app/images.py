"""Where a question's images come from: rasters of the key, data URLs, and addresses of hosts that are allowed.

    raster:0f1e..., or the id alone      a raster that this key has sent
    data:image/png;base64,...            an image in the request
    https://host/image.png               only where the server was started with --image-host host

Each becomes a path to a file that was inspected; what came with the question goes with it.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from serve.app.services import Services
from serve.errors import FormatError, RequestError, TooLargeError
from serve.settings import Limits
from serve.store.inspect import inspect_file

_RASTER = re.compile(r"(?:raster:)?([0-9a-f]{20})")
_TIMEOUT_S = 20.0
_HEAD = 48


@asynccontextmanager
async def gathered(references: Sequence[str], services: Services, owner: str) -> AsyncIterator[tuple[Path, ...]]:
    """Give the files of references in their order, for as long as the block lasts.

    Raises RequestError, MissingError, TooLargeError or FormatError where one cannot be had.
    """
    limits = services.limits
    if len(references) > limits.images:
        raise TooLargeError(f"the question has {len(references)} images: at most {limits.images} are taken")
    with tempfile.TemporaryDirectory(dir=services.store.folder / "incoming") as folder:
        paths = []
        for number, reference in enumerate(references, start=1):
            if found := _RASTER.fullmatch(reference):
                paths.append(services.store.path_of(services.store.get(found[1], owner)))
            else:
                data = await _bytes_of(reference, services)
                paths.append(await asyncio.to_thread(_keep, data, Path(folder), f"image{number}", limits))
        yield tuple(paths)


async def _bytes_of(reference: str, services: Services) -> bytes:
    if reference.startswith("data:"):
        return decode_data_url(reference)
    if reference.startswith(("http://", "https://")):
        require_allowed(reference, services.settings.image_hosts)
        return await fetch(reference, services.limits)
    raise RequestError(
        f"image {reference[:_HEAD]!r} is none: expected the id of a raster, a data URL with base64, or an address"
    )


def decode_data_url(url: str) -> bytes:
    """Decode a data URL with base64; RequestError where it is none."""
    head, comma, body = url.partition(",")
    if not comma or not head.endswith(";base64"):
        raise RequestError(f"data URL {url[:_HEAD]!r} is none: expected data:image/png;base64,...")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestError(
            f"data URL {url[:_HEAD]!r} holds no base64 ({error}): expected the bytes of an image"
        ) from error


def require_allowed(url: str, hosts: Sequence[str]) -> None:
    """Raise RequestError unless an address names an allowed host ("host", or "host:port" for another port)."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    named = host if port in (None, usual) else f"{host}:{port}"
    if host is None or parts.username is not None or parts.password is not None or named not in hosts:
        allowed = f"only images of {', '.join(hosts)} are" if hosts else "no address is"
        raise RequestError(
            f"image address {url[:_HEAD]!r} is not fetched: {allowed} (nadir serve --image-host); send the image "
            "itself as a data URL, or upload it to /v1/rasters"
        )


async def fetch(url: str, limits: Limits) -> bytes:
    """Fetch an image from an allowed host, without following it elsewhere.

    Raises RequestError where it cannot be had, TooLargeError when it is larger than a request may be.
    """
    try:
        async with (
            httpx2.AsyncClient(timeout=_TIMEOUT_S, follow_redirects=False, trust_env=False) as client,
            client.stream("GET", url) as response,
        ):
            if response.status_code != 200:
                raise RequestError(f"image address {url[:_HEAD]!r} answers {response.status_code}: expected 200")
            data = bytearray()
            async for piece in response.aiter_bytes():
                data += piece
                if len(data) > limits.body_bytes:
                    raise TooLargeError(f"image {url[:_HEAD]!r} has more than {limits.body_bytes:,} bytes: upload it")
            return bytes(data)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise RequestError(f"image address {url[:_HEAD]!r} cannot be fetched ({type(error).__name__})") from error


def _keep(data: bytes, folder: Path, name: str, limits: Limits) -> Path:
    """Write the bytes of an image to a file that is inspected."""
    if not data:
        raise FormatError(f"{name} is empty: expected the bytes of an image")
    path = folder / name
    path.write_bytes(data)
    found = inspect_file(path, name, limits)
    return path.rename(folder / f"{name}{found.suffix}")
