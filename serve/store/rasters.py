"""The rasters that were sent, on disk: a folder each, with the file and raster.json beside it.

    DATA/rasters/<id>/scene.tif     written whole under DATA/incoming first, inspected, then moved here
    DATA/rasters/<id>/raster.json   whose it is, what it is, when it goes

A raster is seen by its owner alone: to others it is missing. No path of a client is ever used: an id is 20 hex digits
of the server's own, and a name is cleaned before it becomes a file name.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from serve.errors import BusyError, MissingError, TooLargeError
from serve.settings import Limits
from serve.store.inspect import inspect_file, sound
from vlm.output import write_text
from vlm.raster import Raster

_UNSAFE = re.compile(r"[^\w.-]+", re.ASCII)
_NAME_CHARACTERS = 60
Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class StoredRaster:
    """Describe one raster; times are seconds since 1970, `bounds` west, south, east, north in degrees (None: no map).

    `bands` are their names, `gsd_m` metres a pixel, `advice` a sentence on what would make it faster.
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


class RasterStore:
    """Keep rasters under a folder; safe to use from several threads of one process."""

    def __init__(self, folder: Path, limits: Limits, *, now: Clock = time.time) -> None:
        self.folder, self.limits, self._now = folder.resolve(), limits, now
        self.coming: Counter[str] = Counter()
        self._kept: dict[str, StoredRaster] = {}
        shutil.rmtree(self.folder / "incoming", ignore_errors=True)
        (self.folder / "incoming").mkdir(parents=True)
        (self.folder / "rasters").mkdir(exist_ok=True)
        for entry in os.scandir(self.folder / "rasters"):
            self._load(Path(entry.path))

    def path_of(self, raster: StoredRaster) -> Path:
        """Give the file of a raster."""
        return self.folder / "rasters" / raster.id / raster.name

    def get(self, id: str, owner: str) -> StoredRaster:
        """Find a raster of an owner; MissingError for one that is not there, expired, or somebody else's."""
        found = self._kept.get(id)
        if found is None or found.owner != owner or found.expires <= self._now():
            raise MissingError(f"there is no raster {id[:40]!r}: expected an id that POST /v1/rasters gave to this key")
        return found

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
        return coming + sum(raster.bytes for raster in [*self._kept.values()] if owner in (None, raster.owner))

    @contextmanager
    def receiving(self, owner: str, name: str) -> Iterator[Incoming]:
        """Open a place for a file that comes in pieces; what is not kept in the block leaves nothing behind."""
        self.sweep()
        incoming = Incoming(self, owner, name)
        try:
            yield incoming
        finally:
            incoming.discard()

    def require_room(self, owner: str, more: int) -> None:
        """Raise TooLargeError where a quota, BusyError where the disk, does not hold so many bytes more."""
        if self.bytes_of(owner) + more > self.limits.quota_bytes:
            raise TooLargeError(
                f"the rasters of this key would exceed {self.limits.quota_bytes:,} bytes: delete some first"
            )
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
        write_text(folder / "raster.json", json.dumps(asdict(raster), ensure_ascii=False) + "\n")
        os.replace(folder, self.folder / "rasters" / raster.id)
        self._kept[raster.id] = raster

    def _load(self, folder: Path) -> None:
        """Read a raster of an earlier run; a folder that a crash left half-way is removed."""
        try:
            fields = json.loads((folder / "raster.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            shutil.rmtree(folder, ignore_errors=True)
            return
        bounds = None if fields["bounds"] is None else tuple(fields["bounds"])
        self._kept[fields["id"]] = StoredRaster(**{**fields, "bands": tuple(fields["bands"]), "bounds": bounds})

    def _remove(self, raster: StoredRaster) -> None:
        self._kept.pop(raster.id, None)
        folder = self.folder / "rasters" / raster.id
        (folder / "raster.json").unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)


class Incoming:
    """Take one file in pieces, bounded by upload limit, quota and disk; `keep` makes a raster of it."""

    def __init__(self, store: RasterStore, owner: str, name: str) -> None:
        self._store, self._owner, self._name = store, owner, name
        self._folder = store.folder / "incoming" / token_hex(10)
        self._folder.mkdir()
        self._file: BinaryIO = (self._folder / "file").open("wb")
        self._bytes = 0

    def write(self, piece: bytes) -> None:
        """Write the next piece; TooLargeError, or BusyError on a full disk."""
        most = self._store.limits.upload_bytes
        if self._bytes + len(piece) > most:
            raise TooLargeError(f"{self._name} has more than {most:,} bytes, which is the most: cut it into parts")
        self._store.require_room(self._owner, len(piece))
        self._store.coming[self._owner] += len(piece)
        self._bytes += len(piece)
        try:
            self._file.write(piece)
        except OSError as error:
            raise BusyError(f"the server's disk refuses ({error.strerror}): nothing was kept; ask again") from error

    def keep(self) -> StoredRaster:
        """Inspect the file and move it in among the rasters; raises as inspect_file."""
        self._file.close()
        raster = self._store.describe(self._folder / "file", self._owner, self._name)
        os.replace(self._folder / "file", self._folder / raster.name)
        self._store.take_in(raster, self._folder)
        return raster

    def discard(self) -> None:
        """Give back the room that was reserved, and remove what was not kept."""
        self._file.close()
        self._store.coming[self._owner] -= self._bytes
        shutil.rmtree(self._folder, ignore_errors=True)


def clean_name(name: str, suffix: str) -> str:
    """Make a file name of what a client calls its file: ASCII, short, no folder, with the suffix of its format."""
    stem = _UNSAFE.sub("_", re.split(r"[/\\]", name)[-1]).strip("._-")
    stem = re.sub(r"\.(tiff?|png|jpe?g|webp|bmp|jp2)$", "", stem, flags=re.IGNORECASE)
    return f"{stem[:_NAME_CHARACTERS] or 'raster'}{suffix}"


def _bounds(raster: Raster) -> tuple[float, float, float, float] | None:
    """Give west, south, east, north of a raster's outline in degrees; west > east across the antimeridian."""
    if not raster.grid.georeferenced:
        return None
    import numpy as np

    along, width, height = np.linspace(0, 1, 9), raster.width, raster.height
    x = np.concatenate([along, along, along * 0, along * 0 + 1]) * width
    y = np.concatenate([along * 0, along * 0 + 1, along, along]) * height
    lon, lat = raster.grid.to_wgs84(x, y)
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        return None
    if np.ptp(lon) > 180:
        lon = np.where(lon < 0, lon + 360, lon)
        west, east = float(lon.min()), float(lon.max()) - 360
    else:
        west, east = float(lon.min()), float(lon.max())
    return west, float(lat.min()), east, float(lat.max())


def _named(sentence: str | None, path: Path, name: str) -> str | None:
    return None if sentence is None else sentence.replace(str(path), name)
