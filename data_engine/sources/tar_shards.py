"""WebDataset tars, read as a stream: the files of a record share a name up to the first dot and lie side by side.

    000017.jpg  000017.json   ->   Record("000017", {"jpg": b"...", "json": b"..."})

A tar is read once from front to back, so that memory does not grow with it.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from data_engine.sources.boundary import Reject
from vlm.errors import DataError
from vlm.records import Image

END_BYTES = 1024
"""A tar ends with two empty blocks of 512 bytes; one that does not was cut off."""


@dataclass(frozen=True, slots=True)
class Record:
    """Hold one record of a tar: its name, the tar it comes from, and its files by what follows the first dot."""

    key: str
    shard: Path
    files: dict[str, bytes]

    def text(self, kind: str) -> str:
        """Give one file as text; a missing or undecodable one raises DataError."""
        try:
            return self.data(kind).decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"{self.shard}: {self.key}.{kind} is not UTF-8 text ({error})") from error

    def data(self, kind: str) -> bytes:
        """Give the bytes of one file; a missing one raises DataError that names what the record has."""
        if kind not in self.files:
            raise DataError(f"{self.shard}: record {self.key} has no .{kind}; it has {', '.join(sorted(self.files))}")
        return self.files[kind]

    def image(
        self, kind: str, *, sensor: str | None = None, gsd_m: float | None = None, date: str | None = None
    ) -> Image:
        """Take an encoded image with the size from its header; one that is no image raises DataError."""
        from PIL import Image as Picture

        data = self.data(kind)
        try:
            with Picture.open(io.BytesIO(data)) as picture:
                width, height = picture.size
        except (OSError, Picture.DecompressionBombError) as error:
            raise DataError(f"{self.shard}: {self.key}.{kind} cannot be opened as an image ({error})") from error
        return Image(data=data, width=width, height=height, sensor=sensor, gsd_m=gsd_m, date=date)


def read_shards(paths: Iterable[Path], *, name: str, reject: Reject | None = None) -> Iterator[Record]:
    """Yield the records of each tar in turn; what is left of a damaged tar goes to `reject`, or its error is raised."""
    for path in paths:
        try:
            yield from read_shard(path)
        except DataError as error:
            if reject is None:
                raise
            reject("damaged shard", str(error), name)


def read_shard(path: Path) -> Iterator[Record]:
    """Yield the records of one tar in order; one that is cut off or damaged raises DataError after its records."""
    key, files = "", dict[str, bytes]()
    try:
        with tarfile.open(path, mode="r|") as tar:
            for member in tar:
                stem, _, kind = Path(member.name).name.partition(".")
                if not member.isfile() or not stem:
                    continue
                if files and (stem != key or kind in files):
                    yield Record(key, path, files)
                    files = {}
                stream = tar.extractfile(member)
                key, files[kind] = stem, stream.read() if stream is not None else b""
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DataError(f"{path} cannot be read as a tar ({error}): download it again") from error
    if files:
        yield Record(key, path, files)
    _require_end(path)


def _require_end(path: Path) -> None:
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - END_BYTES))
        if any(stream.read()):
            raise DataError(f"{path} is cut off: it lacks the empty blocks at the end of a tar; download it again")
