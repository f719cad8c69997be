"""The rasters that were sent, on disk: a folder each, with the file and raster.json beside it.

    DATA/rasters/<id>/scene.tif     written whole under DATA/incoming first, inspected, then moved here
    DATA/rasters/<id>/raster.json   whose it is, what it is, when it goes

A file under a folder of the operator's (a root) is registered instead: it stays where it is, and is no longer served
once it has changed.

A raster is seen by its owner alone: to others it is missing. An id is 20 hex digits of the server's own, a name is
cleaned before it becomes a file name, and a path that a client names is opened only where it leads into a root.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from secrets import token_hex
from typing import Self

from serve.errors import BusyError, MissingError, TooLargeError
from serve.settings import Limits
from serve.store.disk import guarded
from serve.store.inspect import inspect_file, sound
from vlm.output import write_text
from vlm.raster import Raster

_UNSAFE = re.compile(r"[^\w.-]+", re.ASCII)
_NAME_CHARACTERS = 60
_OUTLINE_POINTS = 33
Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Source:
    """Name the file of a registered raster, all links followed, and what it was like: bytes, and its last change."""

    path: str
    bytes: int
    changed_ns: int


@dataclass(frozen=True, slots=True)
class StoredRaster:
    """Describe one raster; times are seconds since 1970, `bounds` west, south, east, north in degrees (None: no map).

    `bands` are their names, `gsd_m` metres a pixel, `advice` a sentence on what would make it faster. `source` is the
    file of a raster that was registered, None for one that was sent.
    """

    id: str
    owner: str
    name: str
    bytes: int
    created: float
    expires: float
    width: int
    height: int
    driver: str
    dtype: str
    bands: tuple[str, ...]
    crs: str | None
    gsd_m: float | None
    bounds: tuple[float, float, float, float] | None
    advice: str | None
    source: Source | None = None


class RasterStore:
    """Keep rasters under a folder; safe to use from several threads of one process."""

    def __init__(self, folder: Path, limits: Limits, *, roots: Sequence[Path] = (), now: Clock = time.time) -> None:
        self.folder, self.limits, self._now = folder.resolve(), limits, now
        self.roots = tuple(root.resolve() for root in roots)
        self.coming: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._kept: dict[str, StoredRaster] = {}
        shutil.rmtree(self.folder / "incoming", ignore_errors=True)
        (self.folder / "incoming").mkdir(parents=True)
        (self.folder / "rasters").mkdir(exist_ok=True)
        for entry in os.scandir(self.folder / "rasters"):
            self._load(Path(entry.path))

    @property
    def hidden(self) -> tuple[Path, ...]:
        """Give the folders that no sentence to a client names."""
        return (self.folder, *self.roots)

    def path_of(self, raster: StoredRaster) -> Path:
        """Give the file of a raster."""
        if raster.source is not None:
            return Path(raster.source.path)
        return self.folder / "rasters" / raster.id / raster.name

    def get(self, id: str, owner: str) -> StoredRaster:
        """Find a raster of an owner; MissingError for one that is not there, expired, or somebody else's."""
        found = self._kept.get(id)
        if found is None or found.owner != owner or found.expires <= self._now():
            raise MissingError(f"there is no raster {id[:40]!r}: expected an id that POST /v1/rasters gave to this key")
        if found.source is not None and self._source_of(Path(found.source.path)) != found.source:
            raise MissingError(f"the file of raster {id!r} has changed since it was registered: register it again")
        return found

    def register(self, path: str, owner: str, name: str) -> StoredRaster:
        """Take a file under a root as it lies there; a path that names no root's folder is looked for in each root.

        MissingError for what is in no root, whichever way it is written; the rest is raised as by inspect_file.
        """
        for root in self.roots:
            source = self._source_of(root / path)
            if source is not None:
                return self._register(source, owner, name or Path(source.path).name)
        raise MissingError(f"there is no file {path[:60]!r}: expected one under a folder that nadir serve --root names")

    def _register(self, source: Source, owner: str, name: str) -> StoredRaster:
        raster = replace(self.describe(Path(source.path), owner, name), source=source)
        with self._incoming() as folder:
            self.take_in(raster, folder)
        return raster

    def _source_of(self, path: Path) -> Source | None:
        """Look at a file, all links followed; None where it is no plain file under a root."""
        try:
            real = path.resolve(strict=True)
            found = real.stat()
        except (OSError, ValueError, RuntimeError):
            return None
        if not stat.S_ISREG(found.st_mode) or not any(real.is_relative_to(root) for root in self.roots):
            return None
        return Source(str(real), found.st_size, found.st_mtime_ns)

    @contextmanager
    def _incoming(self) -> Iterator[Path]:
        """Make a folder that is gone after the block, unless it was moved; BusyError on a full disk."""
        folder = self.folder / "incoming" / token_hex(10)
        try:
            with guarded():
                folder.mkdir()
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def list(self, owner: str) -> list[StoredRaster]:
        """List an owner's rasters, the newest first."""
        now = self._now()
        own = [raster for raster in [*self._kept.values()] if raster.owner == owner and raster.expires > now]
        return sorted(own, key=lambda raster: (-raster.created, raster.id))

    def delete(self, id: str, owner: str) -> None:
        """Delete a raster; raises as get."""
        self._remove(self.get(id, owner))

    def sweep(self) -> int:
        """Delete what has expired, and count it."""
        gone = [raster for raster in [*self._kept.values()] if raster.expires <= self._now()]
        for raster in gone:
            self._remove(raster)
        return len(gone)

    def bytes_of(self, owner: str | None = None) -> int:
        """Count the bytes of an owner's rasters, or of all, with those that are coming in."""
        coming = self.coming.total() if owner is None else self.coming[owner]
        own = [raster for raster in [*self._kept.values()] if raster.source is None]
        return coming + sum(raster.bytes for raster in own if owner in (None, raster.owner))

    @contextmanager
    def receiving(self, owner: str, name: str) -> Iterator[Incoming]:
        """Open a place for a file that comes in pieces; what is not kept in the block leaves nothing behind."""
        self.sweep()
        with self._incoming() as folder, guarded(), Incoming(self, owner, name, folder) as incoming:
            yield incoming

    def require_room(self, owner: str, more: int) -> None:
        """Raise TooLargeError where a quota, BusyError where the disk, does not hold so many bytes more."""
        if self.bytes_of(owner) + more > self.limits.quota_bytes:
            raise TooLargeError(
                f"the rasters of this key would exceed {self.limits.quota_bytes:,} bytes: delete some first"
            )
        self.require_disk(more)

    def reserve(self, owner: str, more: int) -> None:
        """Count bytes that come in; raises as require_room."""
        with self._lock:
            self.require_room(owner, more)
            self.coming[owner] += more

    def release(self, owner: str, count: int) -> None:
        """Count bytes no longer as coming in."""
        with self._lock:
            self.coming[owner] -= count

    def require_disk(self, more: int) -> None:
        """Raise BusyError where the disk does not hold so many bytes more beside those that are to stay free."""
        if shutil.disk_usage(self.folder).free - more < self.limits.free_bytes:
            raise BusyError("the server's disk is full: nothing was kept; ask again when others have made room")

    def describe(self, path: Path, owner: str, name: str) -> StoredRaster:
        """Inspect a file and say what it is; raises as inspect_file."""
        found = inspect_file(path, name, self.limits)
        with sound(name), Raster.open(path) as raster:
            return StoredRaster(
                token_hex(10), owner, clean_name(name, found.suffix), path.stat().st_size, self._now(),
                self._now() + self.limits.keep_s, raster.width, raster.height, raster.driver, raster.dtype,
                tuple(raster.bands.labels), raster.crs, raster.gsd_m, _bounds(raster),
                _named(raster.advice, path, name),
            )  # fmt: skip

    def take_in(self, raster: StoredRaster, folder: Path) -> None:
        """Move the folder of an inspected file in among the rasters."""
        if sum(kept.owner == raster.owner for kept in [*self._kept.values()]) >= self.limits.rasters:
            raise TooLargeError(f"this key has {self.limits.rasters:,} rasters, which is the most: delete some first")
        with guarded():
            write_text(folder / "raster.json", json.dumps(asdict(raster), ensure_ascii=False) + "\n")
            os.replace(folder, self.folder / "rasters" / raster.id)
        self._kept[raster.id] = raster

    def _load(self, folder: Path) -> None:
        """Read a raster of an earlier run; a folder that a crash left half-way is removed."""
        try:
            fields = json.loads((folder / "raster.json").read_text(encoding="utf-8"))
            bounds = None if fields["bounds"] is None else tuple(fields["bounds"])
            source = Source(**fields["source"]) if fields.get("source") else None
            fields |= {"bands": tuple(fields["bands"]), "bounds": bounds, "source": source}
            self._kept[fields["id"]] = StoredRaster(**fields)
        except (OSError, ValueError, LookupError, TypeError):
            shutil.rmtree(folder, ignore_errors=True)

    def _remove(self, raster: StoredRaster) -> None:
        self._kept.pop(raster.id, None)
        folder = self.folder / "rasters" / raster.id
        (folder / "raster.json").unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)


class Incoming:
    """Take one file in pieces, bounded by upload limit, quota and disk; `keep` makes a raster of it."""

    def __init__(self, store: RasterStore, owner: str, name: str, folder: Path) -> None:
        self._store, self._owner, self._name, self._folder = store, owner, name, folder
        self._file = (folder / "file").open("wb", buffering=0)
        self._bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._store.release(self._owner, self._bytes)

    def write(self, piece: bytes) -> None:
        """Write the next piece; TooLargeError, or BusyError on a full disk."""
        most = self._store.limits.upload_bytes
        if self._bytes + len(piece) > most:
            raise TooLargeError(f"{self._name} has more than {most:,} bytes, which is the most: cut it into parts")
        self._store.reserve(self._owner, len(piece))
        self._bytes += len(piece)
        rest = memoryview(piece)
        with guarded():
            while rest:
                rest = rest[self._file.write(rest) :]

    def keep(self) -> StoredRaster:
        """Inspect the file and move it in among the rasters; raises as inspect_file."""
        self._file.close()
        raster = self._store.describe(self._folder / "file", self._owner, self._name)
        os.replace(self._folder / "file", self._folder / raster.name)
        self._store.take_in(raster, self._folder)
        return raster


def clean_name(name: str, suffix: str) -> str:
    """Make a file name of what a client calls its file: ASCII, short, no folder, with the suffix of its format."""
    stem = _UNSAFE.sub("_", re.split(r"[/\\]", name)[-1]).strip("._-")
    stem = re.sub(r"\.(tiff?|png|jpe?g|webp|bmp|jp2)$", "", stem, flags=re.IGNORECASE)
    return f"{stem[:_NAME_CHARACTERS] or 'raster'}{suffix}"


def _bounds(raster: Raster) -> tuple[float, float, float, float] | None:
    """Give west, south, east, north of a raster's outline in degrees; west > east across the antimeridian.

    An outline that goes round a pole, and one as wide as the world, reaches from -180 to 180.
    """
    if not raster.grid.georeferenced:
        return None
    import numpy as np

    along = np.linspace(0, 1, _OUTLINE_POINTS)
    zeros, ones = along * 0, along * 0 + 1
    x = np.concatenate([along, ones, along[::-1], zeros]) * raster.width
    y = np.concatenate([zeros, along, ones, along[::-1]]) * raster.height
    lon, lat = raster.grid.to_wgs84(x, y)
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        return None
    lon = np.unwrap(lon, period=360)
    south, north = float(lat.min()), float(lat.max())
    if abs(lon[-1] - lon[0]) > 180:
        return (-180.0, south, 180.0, 90.0) if south + north > 0 else (-180.0, -90.0, 180.0, north)
    span = float(np.ptp(lon))
    if span > 360 - 1e-6:
        return -180.0, south, 180.0, north
    west = float(lon.min() + 180) % 360 - 180
    return west, south, west + span - (360 if west + span > 180 else 0), north


def _named(sentence: str | None, path: Path, name: str) -> str | None:
    return None if sentence is None else sentence.replace(str(path), name)
