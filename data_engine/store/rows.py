"""Any sample of a store at once, in bounded memory: words and geometry as Arrow columns, images read when asked for.

A stream is read in order; a trainer that draws groups of samples about one image needs any of them. What is not pixels
is small (a few hundred bytes a sample) and stays in memory, where processes that are forked share it; the images of a
row group are read from the shard, which holds each of them once.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
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
    """Read the samples of a store by their numbers.

    Raises DataError when the folder is no store, and DamagedShardError when a shard cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        import pyarrow as pa

        manifest = open_store(folder)
        self._paths = manifest.paths()
        self._files: dict[int, pyarrow.parquet.ParquetFile] = {}
        self._shown: tuple[tuple[int, int], pyarrow.ListArray] | None = None
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
        self._table = pa.concat_tables(tables).combine_chunks() if tables else empty
        self._groups = _number(keys)
        self._files.clear()

    def __len__(self) -> int:
        return int(self._table.num_rows)

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
            for image, data in zip(row["images"], self._images(number), strict=True):
                image["bytes"] = data
        else:
            row["images"] = [{"bytes": None, **image} for image in row["images"]]
        return row_to_sample(row)

    def texts(self) -> Iterator[str]:
        """Yield every instruction and every answer's template, without reading an image."""
        turns = self._table.column("turns")
        for chunk in turns.chunks:
            flat = chunk.flatten()
            for name in ("instruction", "template"):
                yield from flat.field(name).to_pylist()

    def groups(self) -> list[np.ndarray]:
        """Give the numbers of the samples about the same images, a group each, in the order of their first one."""
        order = np.argsort(self._groups, kind="stable")
        ends = np.flatnonzero(np.diff(self._groups[order])) + 1
        return np.split(order, ends) if len(order) else []

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_files": {}, "_shown": None}

    def _images(self, number: int) -> list[bytes | None]:
        """Read the bytes of a sample's images; those of the last row group that was read are at hand."""
        at = bisect_right(self._starts, number) - 1
        if self._shown is None or self._shown[0] != self._places[at]:
            self._shown = self._places[at], self._read(*self._places[at], [_BYTES]).column("images").combine_chunks()
        images: list[dict[str, bytes | None]] = self._shown[1][number - self._starts[at]].as_py()
        return [image["bytes"] for image in images]

    def _read_all(self) -> Iterator[tuple[tuple[int, int], pyarrow.Table, pyarrow.ListArray]]:
        """Yield each row group's place (shard, group), its columns without images' bytes, and its images' bytes."""
        rest = [name for name in arrow_schema().names if name != "images"]
        for shard in range(len(self._paths)):
            for group in range(self._open(shard).metadata.num_row_groups):
                images = self._read(shard, group, [_BYTES]).column("images").combine_chunks()
                yield (shard, group), self._read(shard, group, [*rest, _PATH]), images

    def _read(self, shard: int, group: int, columns: list[str]) -> pyarrow.Table:
        import pyarrow as pa

        try:
            return self._open(shard).read_row_group(group, columns=columns, use_threads=False)
        except (OSError, pa.ArrowException) as error:
            raise self._damaged(shard, error) from error

    def _open(self, shard: int) -> pyarrow.parquet.ParquetFile:
        """Open a shard, or give the one that is open; images are decoded once each."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if shard not in self._files:
            try:
                self._files[shard] = pq.ParquetFile(
                    self._paths[shard], memory_map=True, read_dictionary=[_BYTES], page_checksum_verification=True
                )
            except (OSError, pa.ArrowException) as error:
                raise self._damaged(shard, error) from error
        return self._files[shard]

    def _damaged(self, shard: int, error: BaseException) -> DamagedShardError:
        why = " ".join(str(error).split())[:200]
        return DamagedShardError(f"{self._paths[shard]} cannot be read ({why}): copy or write the shard again")


def _keys(images: pyarrow.ListArray, paths: pyarrow.ListArray) -> Iterator[bytes]:
    """Give a name for the images of each row of a row group: of their bytes, or their paths."""
    data = images.flatten().field("bytes")
    digests = [hashlib.blake2b(value.as_py() or b"", digest_size=16).digest() for value in data.dictionary]
    numbers, named = data.indices.to_pylist(), paths.flatten().field("path").to_pylist()
    parts = [digests[at] if path is None else path.encode() for at, path in zip(numbers, named, strict=True)]
    ends = np.cumsum(images.value_lengths().to_numpy(zero_copy_only=False))
    for start, end in zip([0, *ends[:-1]], ends, strict=True):
        yield b"\0".join(parts[start:end])


def _number(keys: Sequence[bytes]) -> np.ndarray:
    """Number equal keys alike, in the order in which they come."""
    numbers: dict[bytes, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)
