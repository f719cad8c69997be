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
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from serve.app.fetching import fetch, require_allowed
from serve.app.services import Services
from serve.errors import FormatError, RequestError, TooLargeError
from serve.settings import Limits
from serve.store.disk import guarded
from serve.store.inspect import inspect_file

_RASTER = re.compile(r"(?:raster:)?([0-9a-f]{20})")
_HEAD = 48


@asynccontextmanager
async def gathered(references: Sequence[str], services: Services, owner: str) -> AsyncIterator[tuple[Path, ...]]:
    """Give the files of references in their order, for as long as the block lasts.

    Raises RequestError, MissingError, TooLargeError or FormatError where one cannot be had.
    """
    limits = services.limits
    if len(references) > limits.images:
        raise TooLargeError(f"the question has {len(references)} images: at most {limits.images} are taken")
    with _folder(services.store.folder / "incoming") as folder:
        paths = []
        for number, reference in enumerate(references, start=1):
            if found := _RASTER.fullmatch(reference):
                paths.append(services.store.path_of(services.store.get(found[1], owner)))
            else:
                path = folder / f"image{number}"
                await _write(reference, path, services)
                paths.append(await asyncio.to_thread(_inspected, path, limits))
        yield tuple(paths)


async def _write(reference: str, path: Path, services: Services) -> None:
    """Write the bytes of an image to a file."""
    if reference.startswith("data:"):
        await asyncio.to_thread(_write_data_url, reference, path, services)
    elif reference.startswith(("http://", "https://")):
        hosts = services.settings.image_hosts
        require_allowed(reference, hosts)
        with guarded(), path.open("wb") as file:
            async for piece in fetch(reference, most_bytes=services.limits.body_bytes, hosts=hosts):
                services.store.require_disk(len(piece))
                file.write(piece)
    else:
        raise RequestError(
            f"image {reference[:_HEAD]!r} is none: expected the id of a raster, a data URL with base64, or an address"
        )


def _write_data_url(url: str, path: Path, services: Services) -> None:
    data = decode_data_url(url)
    services.store.require_disk(len(data))
    with guarded():
        path.write_bytes(data)


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


def _inspected(path: Path, limits: Limits) -> Path:
    """Look at a file that came with a question, and give it the suffix of its format."""
    if not path.stat().st_size:
        raise FormatError(f"{path.name} is empty: expected the bytes of an image")
    found = inspect_file(path, path.name, limits)
    return path.rename(path.with_name(f"{path.name}{found.suffix}"))


@contextmanager
def _folder(parent: Path) -> Iterator[Path]:
    """Make a folder for as long as the block lasts; BusyError on a full disk."""
    with guarded():
        made = tempfile.TemporaryDirectory(dir=parent, ignore_cleanup_errors=True)
    with made as folder:
        yield Path(folder)
