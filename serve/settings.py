"""What a server is told once, when it starts: where it keeps rasters, whom it lets in, and how much of anything."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from hashlib import sha256
from pathlib import Path
from typing import Any

from limits import parse as parse_rate

from serve.errors import RequestError

MIB, GIB = 1024**2, 1024**3
EVERYBODY = "everybody"
_DAY_S = 86_400.0
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class Limits:
    """Bound what one request, one key and the whole server may take.

    Bytes: `body` of a request, `upload` of a raster, `quota` of all rasters of a key, `free` that uploads leave on the
    disk, `block` that decoding one block of a raster may need. Pixels: `raster` with overviews, `flat` without, `whole`
    of formats that are decoded as a whole. A question: `images`, `new_tokens`, `words` (characters), `tiles` an image;
    `waiting` questions in all, `open_per_key` of one key; `held_bytes` are those of all requests that are being
    answered, `stall_s` is how long a client may send or read nothing, `fetch_s` how long an address may take.
    `rasters` of one key. `asks`, `uploads` and `views` (map tiles, lists) are rates of
    one key, such as "120/minute"; rasters are kept `keep_s` seconds, and jobs after they end. `jobs` are open in all,
    `jobs_per_key` of one key, each with `job_windows` windows at most.
    """

    body_bytes: int = 64 * MIB
    upload_bytes: int = 20 * GIB
    quota_bytes: int = 50 * GIB
    free_bytes: int = 2 * GIB
    block_bytes: int = 256 * MIB
    raster_px: int = 40_000_000_000
    flat_px: int = 1_000_000_000
    whole_px: int = 256_000_000
    bands: int = 512
    images: int = 8
    new_tokens: int = 1024
    words: int = 8_000
    tiles: int = 64
    waiting: int = 256
    open_per_key: int = 32
    held_bytes: int = 512 * MIB
    stall_s: float = 60.0
    fetch_s: float = 1800.0
    rasters: int = 10_000
    asks: str = "120/minute"
    uploads: str = "60/minute"
    views: str = "6000/minute"
    jobs: int = 64
    jobs_per_key: int = 4
    job_windows: int = 200_000
    keep_s: float = 7 * _DAY_S


@dataclass(frozen=True, slots=True)
class Settings:
    """Hold the folder of the rasters, the keys, the pages that may ask (CORS), the hosts whose images are fetched.

    `roots` are folders whose files may be registered, `prefixes` addresses under which files may be fetched as rasters.
    Without keys everybody is one user; `require_safe` says where that is refused.
    """

    data: Path
    keys: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    image_hosts: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    roots: tuple[Path, ...] = ()
    prefixes: tuple[str, ...] = ()


def parse_limits(texts: Sequence[str]) -> Limits:
    """Read limits such as "images=4" and "asks=600/minute"; RequestError for an unknown one and for no number."""
    known = {entry.name: entry.type for entry in fields(Limits)}
    given: dict[str, Any] = {}
    for text in texts:
        name, _, value = text.partition("=")
        if name not in known:
            raise RequestError(f"limit {text[:60]!r} is unknown: known are {', '.join(known)}")
        given[name] = _parse_limit(text, value, str(known[name]))
    return Limits(**given)


def _parse_limit(text: str, value: str, kind: str) -> int | float | str:
    try:
        if kind == "str":
            parse_rate(value)
            return value
        number = float(value) if kind == "float" else int(value)
    except ValueError as error:
        expected = "a rate such as 120/minute" if kind == "str" else "a number"
        raise RequestError(f"limit {text[:60]!r} is none: expected {expected}") from error
    if not 0 <= number < float("inf"):
        raise RequestError(f"limit {text[:60]!r} is none: expected 0 or more")
    return number


def require_safe(settings: Settings, host: str) -> None:
    """Raise RequestError for a server without keys that other machines can reach, a short key, a root that is none."""
    if not settings.keys and host not in LOOPBACK:
        raise RequestError(
            f"a server on {host} without a key answers everybody who can reach it: give --key, or serve on 127.0.0.1"
        )
    short = [key for key in settings.keys if len(key) < 8 or not key.isascii() or any(c.isspace() for c in key)]
    if short:
        raise RequestError(f"got {len(short)} keys that are too short: expected 8 printable characters or more")
    for root in settings.roots:
        if not root.is_dir():
            raise RequestError(f"root {root} is no folder: name one whose files may be registered")
    for prefix in settings.prefixes:
        if not re.match(r"https?://[^/?#@\s]+/", prefix):
            raise RequestError(f"address prefix {prefix!r} is none: expected https://host/ or https://host/folder/")


def owner_of(key: str) -> str:
    """Name the owner of a key: a short hash, so that no key is written down."""
    return sha256(key.encode()).hexdigest()[:16]
