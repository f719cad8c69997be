"""Any sample of a store at once, in bounded memory: words and geometry as Arrow columns, images read when asked for.

A stream is read in order; a trainer that draws groups of samples about one image needs any of them. What is not pixels
is small (a few hundred bytes a sample) and stays in memory, where processes that are forked share it; the images of a
row group are read from the shard, which holds each of them once.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from data_engine.store.manifest import open_store
from data_engine.store.schema import Row, arrow_schema, row_to_sample
from data_engine.store.shards import DamagedShardError
from vlm.records import Sample

if TYPE_CHECKING:
    import pyarrow
    import pyarrow.parquet

_BYTES, _PATH = "images.list.element.bytes", "images.list.element.path"


class Rows(Sequence[Sample]):
    """Read the samples of a store, or those of one split of it, by their numbers.

    Raises DataError when the folder is no store, and DamagedShardError when a shard cannot be read.
    """

    def __init__(self, folder: Path, *, split: str | None = None) -> None:
        import pyarrow as pa

        manifest = open_store(folder)
        self._paths = manifest.paths()
        self._files: dict[int, pyarrow.parquet.ParquetFile] = {}
        self._shown = _Shown()
        self._starts: list[int] = []
        self._places: list[tuple[int, int]] = []
        tables, keys, first = [], list[bytes](), 0
        for place, table, images in self._read_all():
            self._starts.append(first)
            self._places.append(place)
            tables.append(table)
            keys += _keys(images, table.column("images").combine_chunks())
            first += table.num_rows
        empty = pa.schema([field for field in arrow_schema() if field.name != "images"]).empty_table()
        table = pa.concat_tables(tables) if tables else empty
        self._places_of = np.arange(first, dtype=np.int64)
        if split is not None:
            self._places_of = np.flatnonzero([found == split for found in table.column("split").to_pylist()])
            table = table.take(self._places_of)
        self._table = table.combine_chunks()
        self._groups = _number([keys[at] for at in self._places_of])

    def __len__(self) -> int:
        return len(self._places_of)

    @overload
    def __getitem__(self, number: int) -> Sample: ...

    @overload
    def __getitem__(self, number: slice) -> list[Sample]: ...

    def __getitem__(self, number: int | slice) -> Sample | list[Sample]:
        if isinstance(number, slice):
            return [self[one] for one in range(*number.indices(len(self)))]
        if not -len(self) <= number < len(self):
            raise IndexError(f"sample {number} of a store of {len(self)}")
        number %= len(self)
        row: Row = self._table.slice(number, 1).to_pylist()[0]
        if any(image["path"] is None for image in row["images"]):
            for image, data in zip(row["images"], self._images(int(self._places_of[number])), strict=True):
                image["bytes"] = data
        else:
            row["images"] = [{"bytes": None, **image} for image in row["images"]]
        return row_to_sample(row)

    def phrases(self) -> set[str]:
        """Give every phrase that names a region of an answer, without reading an image."""
        found: set[str] = set()
        for chunk in self._table.column("turns").chunks:
            found.update(chunk.flatten().field("answer_regions").flatten().field("phrase").unique().to_pylist())
        return found - {""}

    def column(self, name: str) -> list[str]:
        """Give a text of each sample (its id, task, source, split or licence), without reading an image."""
        found: list[str] = self._table.column(name).to_pylist()
        return found

    def place_counts(self) -> np.ndarray:
        """Give the number of regions of each sample's first answer, without reading an image."""
        counts = []
        for chunk in self._table.column("turns").chunks:
            regions = chunk.flatten().field("answer_regions").value_lengths().to_numpy(zero_copy_only=False)
            counts.append(regions[chunk.offsets.to_numpy()[:-1] - chunk.offsets[0].as_py()])
        return np.concatenate(counts) if counts else np.zeros(0, np.int64)

    def image_counts(self) -> np.ndarray:
        """Give the number of images of each sample."""
        facts = self._table.column("image_facts")
        counts = [chunk.value_lengths().to_numpy(zero_copy_only=False) for chunk in facts.chunks]
        return np.concatenate(counts) if counts else np.zeros(0, np.int64)

    def groups(self) -> list[np.ndarray]:
        """Give the numbers of the samples about the same images, a group each, in the order of their first one."""
        order = np.argsort(self._groups, kind="stable")
        ends = np.flatnonzero(np.diff(self._groups[order])) + 1
        return np.split(order, ends) if len(order) else []

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_files": {}, "_shown": _Shown()}

    def _images(self, row: int) -> list[bytes | None]:
        """Read the bytes of the images of a row of the store; those of the last row group that was read are at hand."""
        at = bisect_right(self._starts, row) - 1
        if self._shown.place != self._places[at]:
            images = self._read(*self._places[at], [_BYTES]).column("images").combine_chunks()
            data = images.flatten().field("bytes")
            offsets = (images.offsets.to_numpy() - images.offsets[0].as_py()).tolist()
            self._shown = _Shown(self._places[at], offsets, data.indices.to_pylist(), data.dictionary)
        return self._shown.images(row - self._starts[at])

    def _read_all(self) -> Iterator[tuple[tuple[int, int], pyarrow.Table, pyarrow.ListArray]]:
        """Yield each row group's place (shard, group), its columns without images' bytes, and its images' bytes."""
        rest = [name for name in arrow_schema().names if name != "images"]
        for shard in range(len(self._paths)):
            self._files[shard] = self._open(shard, check=True)
            for group in range(self._files[shard].metadata.num_row_groups):
                images = self._read(shard, group, [_BYTES]).column("images").combine_chunks()
                yield (shard, group), self._read(shard, group, [*rest, _PATH]), images
            del self._files[shard]

    def _read(self, shard: int, group: int, columns: list[str]) -> pyarrow.Table:
        import pyarrow as pa

        if shard not in self._files:
            self._files[shard] = self._open(shard, check=False)
        try:
            return self._files[shard].read_row_group(group, columns=columns, use_threads=False)
        except (OSError, pa.ArrowException) as error:
            raise self._damaged(shard, error) from error

    def _open(self, shard: int, *, check: bool) -> pyarrow.parquet.ParquetFile:
        """Open a shard so that images are decoded once each; `check` compares every page with its checksum."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return pq.ParquetFile(
                self._paths[shard],
                memory_map=True,
                pre_buffer=False,
                read_dictionary=[_BYTES],
                page_checksum_verification=check,
            )
        except (OSError, pa.ArrowException) as error:
            raise self._damaged(shard, error) from error

    def _damaged(self, shard: int, error: BaseException) -> DamagedShardError:
        why = " ".join(str(error).split())[:200]
        return DamagedShardError(f"{self._paths[shard]} cannot be read ({why}): copy or write the shard again")


@dataclass(frozen=True, slots=True)
class _Shown:
    """Hold the images of one row group: of each row the range of its images, and which of `data` each of them is.

    `known` are those of `data` that were asked for.
    """

    place: tuple[int, int] | None = None
    offsets: Sequence[int] = ()
    numbers: Sequence[int | None] = ()
    data: Any = None
    known: dict[int, bytes] = field(default_factory=dict)

    def images(self, row: int) -> list[bytes | None]:
        """Give the bytes of the images of a row; rows that share an image share them."""
        numbers = self.numbers[self.offsets[row] : self.offsets[row + 1]]
        return [None if number is None else self._image(number) for number in numbers]

    def _image(self, number: int) -> bytes:
        if number not in self.known:
            self.known[number] = self.data[number].as_py()
        return self.known[number]


def _keys(images: pyarrow.ListArray, paths: pyarrow.ListArray) -> Iterator[bytes]:
    """Give a name for the images of each row of a row group: of their bytes, or their paths."""
    data = images.flatten().field("bytes")
    digests = [hashlib.blake2b(value, digest_size=16).digest() for value in data.dictionary.to_pylist()]
    numbers, named = data.indices.to_pylist(), paths.flatten().field("path").to_pylist()
    parts = [digests[at] if path is None else path.encode() for at, path in zip(numbers, named, strict=True)]
    ends = np.cumsum(images.value_lengths().to_numpy(zero_copy_only=False))
    for start, end in zip([0, *ends[:-1]], ends, strict=True):
        yield b"\0".join(parts[start:end])


def _number(keys: Sequence[bytes]) -> np.ndarray:
    """Number equal keys alike, in the order in which they come."""
    numbers: dict[bytes, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)
