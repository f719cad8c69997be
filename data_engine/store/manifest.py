"""What a store says about itself: manifest.json, the same bytes for the same samples, and ledger.json with the times.

A folder is a store when it has a manifest, which is written last: without it the stage that makes it is not done.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from data_engine.store.schema import SCHEMA_VERSION
from vlm.errors import DataError
from vlm.output import write_text

MANIFEST: Final = "manifest.json"
LEDGER: Final = "ledger.json"
REJECTED: Final = "rejected.jsonl"
SAMPLES: Final = "nadir samples"
"""What a manifest calls a store that samples can be read from."""
Counts = dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class Shard:
    """Describe one Parquet file of a store: its name, samples, size, SHA-256, and samples by task, source, split."""

    file: str
    samples: int
    bytes: int
    sha256: str
    counts: Counts = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Manifest:
    """Describe a store: the stage and the configuration that wrote it, and its shards in order."""

    folder: Path
    stage: str
    config: dict[str, Any]
    shards: tuple[Shard, ...]
    format: str = SAMPLES

    @property
    def samples(self) -> int:
        """Count the samples of all shards."""
        return sum(shard.samples for shard in self.shards)

    @property
    def counts(self) -> Counts:
        """Count the samples by task, source, split and licence."""
        return add_counts(shard.counts for shard in self.shards)

    def paths(self) -> list[Path]:
        """Give the paths of the shards in order."""
        return [self.folder / shard.file for shard in self.shards]

    def digest(self) -> str:
        """Give a short name for exactly these samples, made of the checksums of the shards."""
        return hashlib.sha256("".join(shard.sha256 for shard in self.shards).encode()).hexdigest()[:16]


def add_counts(parts: Iterable[Counts]) -> Counts:
    """Add counts by field and value; the values sorted by name."""
    total: dict[str, Counter[str]] = {}
    for counts in parts:
        for name, values in counts.items():
            total.setdefault(name, Counter()).update(values)
    return {name: dict(sorted(values.items())) for name, values in total.items()}


def write_manifest(manifest: Manifest) -> Path:
    """Write manifest.json, whole or not at all; the same samples give the same bytes."""
    content = {
        "format": manifest.format,
        "schema": SCHEMA_VERSION,
        "stage": manifest.stage,
        "config": manifest.config,
        "samples": manifest.samples,
        "counts": manifest.counts,
        "shards": [asdict(shard) for shard in manifest.shards],
    }
    return write_text(manifest.folder / MANIFEST, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def load_manifest(folder: Path) -> Manifest:
    """Read the manifest of a store; raises DataError when the folder holds none, or one of another schema."""
    folder = Path(folder)
    path = folder / MANIFEST
    if not path.is_file():
        raise DataError(
            f"{folder} holds no {MANIFEST}, so it is no finished store of samples: name the folder that a verb of "
            "`python -m data_engine` has written, or run that verb again to finish it"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content["schema"]
        shards = tuple(Shard(**shard) for shard in content["shards"])
        manifest = Manifest(folder, content["stage"], content["config"], shards, content["format"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} is no manifest of samples ({type(error).__name__}: {error}): write the store again"
        ) from error
    if version != SCHEMA_VERSION:
        raise DataError(f"{path} has schema {version}, this Nadir reads {SCHEMA_VERSION}: write the store again")
    return manifest


def open_store(folder: Path) -> Manifest:
    """Read the manifest of a store that samples can be read from; DataError for an export, and as `load_manifest`."""
    manifest = load_manifest(folder)
    if manifest.format != SAMPLES:
        raise DataError(f"{folder} is an export ({manifest.format}): name the store that it was made from")
    return manifest
