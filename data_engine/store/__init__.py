"""Samples on disk: Parquet shards beside a manifest, written whole or not at all, read in constant memory.

schema      one sample <-> one row; SCHEMA_VERSION and the Arrow schema
shards      ShardWriter, read_shard, read_samples
rows        any sample of a store at once, grouped by images, in bounded memory
pixels      any image of a sample as a picture, and the digest of its bytes
manifest    what a store holds: counts, shards with their checksums, the run that wrote it
ledger      read + made = kept + dropped, each drop with its reason
"""

from __future__ import annotations

from data_engine.store.ledger import Ledger
from data_engine.store.manifest import Manifest, load_manifest, open_store
from data_engine.store.schema import SCHEMA_VERSION, row_to_sample, sample_to_row
from data_engine.store.shards import ShardWriter, read_samples, read_shard

__all__ = [
    "SCHEMA_VERSION", "Ledger", "Manifest", "ShardWriter", "load_manifest", "open_store", "read_samples", "read_shard",
    "row_to_sample", "sample_to_row",
]  # fmt: skip
