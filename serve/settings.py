"""What a server is told once, when it starts: where it keeps rasters, whom it lets in, and how much of anything."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from serve.errors import RequestError

MIB, GIB = 1024**2, 1024**3
EVERYBODY = "everybody"
_DAY_S = 86_400.0
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class Limits:
    """Bound what one request, one key and the whole server may take.

    Bytes: `body` of a request, `upload` of a raster, `quota` of all rasters of a key, `free` that uploads leave on the
    disk, `block` that decoding one block of a raster may need. Pixels: `raster` with overviews, `flat` without, `whole`
    of formats that are decoded as a whole. A question: `images`, `new_tokens`, `words` (characters), `tiles` an image;
    `waiting` questions in all, `open_per_key` of one key. `asks`, `uploads` and `views` (map tiles, lists) are rates of
    one key, such as "120/minute"; rasters are kept `keep_s` seconds.
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
    waiting: int = 64
    open_per_key: int = 16
    asks: str = "120/minute"
    uploads: str = "60/minute"
    views: str = "6000/minute"
    keep_s: float = 7 * _DAY_S


@dataclass(frozen=True, slots=True)
class Settings:
    """Hold the folder of the rasters, the keys, the pages that may ask (CORS), the hosts whose images are fetched.

    Without keys everybody is one user; `require_safe` says where that is refused.
    """

    data: Path
    keys: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    image_hosts: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)


def require_safe(settings: Settings, host: str) -> None:
    """Raise RequestError for a server without keys that other machines can reach, and for a key that is too short."""
    if not settings.keys and host not in _LOOPBACK:
        raise RequestError(
            f"a server on {host} without a key answers everybody who can reach it: give --key, or serve on 127.0.0.1"
        )
    short = [key for key in settings.keys if len(key) < 8 or not key.isascii() or any(c.isspace() for c in key)]
    if short:
        raise RequestError(f"got {len(short)} keys that are too short: expected 8 printable characters or more")


def owner_of(key: str) -> str:
    """Name the owner of a key: a short hash, so that no key is written down."""
    return sha256(key.encode()).hexdigest()[:16]
