"""Shards: Parquet files of samples, written whole or not at all and read a few rows at a time.

Rows stand in small groups with a checksum on every page, so that memory stays flat whatever the size of the file, and
damage costs the group it lies in. An image that several samples of a group share is stored once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from data_engine.store.ledger import Ledger
from data_engine.store.manifest import SAMPLES, Shard, open_store
from data_engine.store.schema import Row, arrow_schema, row_to_sample, sample_to_row
from data_engine.store.writer import Writer
from vlm.errors import DataError
from vlm.records import Sample

if TYPE_CHECKING:
    import pyarrow.parquet

SHARD_SAMPLES: Final = 1024
"""Samples that a shard holds by default."""
GROUP_SAMPLES: Final = 128
"""The most samples of a row group, which is what a reader holds in memory."""
GROUP_BYTES: Final = 32 * 2**20
"""The most image bytes of a row group, repetitions counted."""


class ShardWriter(Writer):
    """Write samples to one Parquet file (see Writer)."""

    suffix = ".parquet"
    format = SAMPLES

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._rows: list[Row] = []
        self._bytes = 0
        self._file: pyarrow.parquet.ParquetWriter | None = None

    def _add(self, sample: Sample) -> None:
        size = sum(len(image.data or b"") for image in sample.images)
        if self._rows and (len(self._rows) >= GROUP_SAMPLES or self._bytes + size > GROUP_BYTES):
            self._flush()
        self._rows.append(sample_to_row(sample))
        self._bytes += size

    def _close(self, *, whole: bool) -> None:
        if whole and self._rows:
            self._flush()
        if self._file is not None:
            self._file.close()

    def _flush(self) -> None:
        import pyarrow as pa

        try:
            table = pa.Table.from_pylist(self._rows, schema=arrow_schema())
        except (pa.ArrowException, OverflowError, TypeError) as error:
            raise DataError(
                f"a sample from {self._rows[0]['id']} to {self._rows[-1]['id']} does not fit the columns of a store "
                f"({error}): its maker has to mend it"
            ) from error
        self._open().write_table(table, row_group_size=len(self._rows))
        self._rows, self._bytes = [], 0

    def _open(self) -> pyarrow.parquet.ParquetWriter:
        import pyarrow.parquet as pq

        if self._file is None:
            self._file = pq.ParquetWriter(
                self.unfinished,
                arrow_schema(),
                compression="zstd",
                compression_level=3,
                dictionary_pagesize_limit=2 * GROUP_BYTES,
                write_page_checksum=True,
            )
        return self._file


def read_samples(folder: Path, ledger: Ledger | None = None) -> Iterator[Sample]:
    """Yield the samples of a store in order, holding one row group in memory.

    With a ledger, samples are counted as read, and damaged rows and shards are dropped with their reason; without one
    they raise DataError.
    """
    manifest = open_store(folder)
    for shard in manifest.shards:
        yield from read_shard(manifest.folder, shard, ledger)


def read_shard(folder: Path, shard: Shard, ledger: Ledger | None = None, *, start: int = 0) -> Iterator[Sample]:
    """Yield the samples of one shard from row `start` on; damage is handled as in `read_samples`."""
    path = folder / shard.file
    for first, rows in _read_groups(path, start, shard.samples):
        if isinstance(rows, Damage):
            yield from _report_damage(path, first, rows, ledger)
            continue
        for number, row in enumerate(rows, start=first):
            yield from _read_row(row, f"{path} row {number}", ledger)


class DamagedShardError(DataError):
    """Say which shard cannot be read, and from where on."""


@dataclass(frozen=True, slots=True)
class Damage:
    """Say why and how many rows of a shard cannot be read."""

    lost: int
    detail: str


def _report_damage(path: Path, first: int, damage: Damage, ledger: Ledger | None) -> Iterator[Sample]:
    where = f"{path} rows {first} to {first + damage.lost - 1}"
    if ledger is None:
        raise DamagedShardError(f"{where} cannot be read ({damage.detail}): copy or write the shard again")
    ledger.read += damage.lost
    ledger.drop("damaged shard", damage.detail, where, count=damage.lost)
    yield from ()


def _read_row(row: Row, where: str, ledger: Ledger | None) -> Iterator[Sample]:
    if ledger is not None:
        ledger.read += 1
    try:
        sample = row_to_sample(row)
    except DataError as error:
        if ledger is None:
            raise DataError(f"{where}: {error}") from error
        ledger.drop("bad row", str(error), where)
        return
    yield sample


def _read_groups(path: Path, start: int, samples: int) -> Iterator[tuple[int, list[Row] | Damage]]:
    """Yield (number of its first row, rows or what is wrong with them) of each row group from row `start` on."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    first = 0
    try:
        with pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False) as file:
            for group in range(file.metadata.num_row_groups):
                count, skipped = file.metadata.row_group(group).num_rows, max(0, start - first)
                if skipped < count:
                    yield first + skipped, _read_group(file, group, skipped)
                first += count
        if first < samples:
            yield first, Damage(samples - first, f"the shard holds {first} samples, its manifest says {samples}")
    except (OSError, pa.ArrowException) as error:
        lost_from = max(first, start)
        yield lost_from, Damage(max(1, samples - lost_from), _cause(error))


def _read_group(file: pyarrow.parquet.ParquetFile, group: int, skipped: int) -> list[Row] | Damage:
    import pyarrow as pa

    try:
        rows: list[Row] = file.read_row_group(group, use_threads=False).slice(skipped).to_pylist()
    except (OSError, pa.ArrowException) as error:
        return Damage(file.metadata.row_group(group).num_rows - skipped, _cause(error))
    return rows


def _cause(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
