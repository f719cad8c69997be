"""A dataset, a file of a format, or a store -> the units of a stage, damaged records with them.

Loading a source is cheap (labels and headers) and happens in one process; what costs time, decoding and embedding each
image, is the work of the units.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from data_engine.formats import FORMATS, Format, Reading
from data_engine.intake_options import list_options, parse_options
from data_engine.sources import SOURCES, Source
from data_engine.sources.boundary import name_reason
from data_engine.sources.source import require_split
from data_engine.stage import MapShard, StageOptions, Transform, Unit, Work, list_shards, map_samples
from data_engine.store.images import check_image, embed_image
from data_engine.store.ledger import Ledger
from data_engine.store.manifest import open_store
from vlm.dataset import is_remote
from vlm.errors import DataError
from vlm.records import Image, Sample

LOG = logging.getLogger("nadir.data")
STORE: Final = "store"
"""Name of the source that reads what a verb has written."""
ANNOTATIONS: Final = "annotations"
"""The option of detection sets that yields what is known of each image, too: a store has it unless told otherwise."""
CHUNK_BYTES: Final = 128 * 2**20
"""The most image bytes that a chunk of samples holds in memory, where a source gives bytes."""
Fault = tuple[str, str, str]
"""Reason, sentence, place of a record that could not be read."""
Opened = Callable[["Reports"], Iterator[Sample]]


@dataclass(frozen=True, slots=True)
class Plan:
    """Hold what there is to do: the units, their work, and what of the input decides over the output.

    `expect` estimates how many items there are in all, once the source tells how far it is.
    """

    units: Iterable[Unit]
    work: Work
    config: dict[str, Any]
    expect: Callable[[], int | None] | None = None


@dataclass(slots=True)
class Reports:
    """Hear what a source reports while it is read: records that cannot be read, and how far it is.

    `given` counts what came out of it, `parts` are the splits that it is read in, of which `part` are done.
    """

    parts: int = 1
    part: int = 0
    given: int = 0
    faults: list[Fault] = field(default_factory=list)
    _share: float = 0.0

    def __call__(self, reason: str, detail: str, where: str) -> None:
        self.given += 1
        self.faults.append((reason, detail, where))

    def at(self, done: int, total: int) -> None:
        """Take note that `done` of `total` records of this part are read."""
        self._share = (self.part + done / total) / self.parts

    def expect(self) -> int | None:
        """Estimate the number of samples and faults in all; None where the source does not tell."""
        return round(self.given / self._share) if self._share else None


@dataclass(frozen=True, slots=True)
class Chunk:
    """Hold the samples of one unit and the records between them that could not be read."""

    samples: tuple[Sample, ...]
    faults: tuple[Fault, ...]

    def report(self, ledger: Ledger) -> None:
        """Count the records that could not be read."""
        for reason, detail, where in self.faults:
            ledger.read += 1
            ledger.drop(reason, detail, where)
            ledger.tick(1)


def plan_intake(
    source: str,
    root: Path,
    prepare: Transform,
    *,
    splits: Sequence[str],
    reading: Reading,
    size: int,
    options: StageOptions,
    extra: Sequence[str] = (),
) -> Plan:
    """Plan the reading of a dataset, a file of a format or a store, in units of `size` samples (a store: its shards).

    `extra` are the options of that dataset or format alone, `key=value` each. Raises DataError for a name that is none
    of these, for a split that the dataset has not, and for an option that it does not take.
    """
    told: dict[str, Any] = {ANNOTATIONS: True} if ANNOTATIONS in list_options(source) else {}
    told |= parse_options(extra, source)
    config: dict[str, Any] = {"source": source, "root": str(root.absolute())}
    if source == STORE:
        manifest = open_store(root)
        return Plan(list_shards([manifest]), MapShard(prepare), {**config, "digest": manifest.digest()})
    if source in SOURCES:
        splits = splits or SOURCES[source].splits[:1]
        opened = open_source(SOURCES[source], root, splits=splits, seed=reading.seed, told=told)
        config |= {"splits": splits, **({"options": told} if told else {})}
    elif source in FORMATS:
        if len(splits) > 1:
            raise DataError(f"a file of {source} is one split: name one, not {', '.join(splits)}")
        reading = replace(reading, split=splits[0] if splits else reading.split, **told)
        opened = open_format(FORMATS[source], root, reading)
        config |= {"reading": {name: value for name, value in asdict(reading).items() if name != "on_error"}}
    else:
        known = f"{STORE}, the datasets {', '.join(SOURCES)} and the formats {', '.join(FORMATS)}"
        raise DataError(f"no source {source!r}: known are {known}")
    reports = Reports(parts=max(1, len(splits)))
    units = cut_chunks(opened, reports, size=size, max_rejects=options.max_rejects)
    units = tally(units) if options.dry_run else units
    return Plan(units, DoChunk(prepare), {**config, "shard_samples": size}, reports.expect)


def open_source(source: Source, root: Path, *, splits: Iterable[str], seed: int, told: Mapping[str, Any]) -> Opened:
    """Give what loads the splits of a dataset one after the other; `told` are options that it alone takes."""
    for split in splits:
        require_split(source.name, split, source.splits)

    def load(reports: Reports) -> Iterator[Sample]:
        for reports.part, split in enumerate(splits):
            yield from source.load(root, split=split, seed=seed, reject=reports, **told)

    return load


def open_format(format: Format, path: Path, reading: Reading) -> Opened:
    """Give what reads a file or folder of a format."""

    def load(reports: Reports) -> Iterator[Sample]:
        def on_error(error: DataError) -> None:
            reports(name_reason(error), str(error), str(path))

        return format.load(path, replace(reading, on_error=on_error))

    return load


def cut_chunks(opened: Opened, reports: Reports, *, size: int, max_rejects: int) -> Iterator[Unit]:
    """Yield units of `size` samples and those that are about the last one's images, too.

    They are smaller where they hold CHUNK_BYTES, or too many faults.
    """
    samples: list[Sample] = []
    first = held = 0

    def cut() -> Unit:
        nonlocal first, held
        chunk = Chunk(tuple(samples), tuple(reports.faults))
        unit = Unit(_name(chunk, first), len(chunk.samples) + len(chunk.faults), chunk)
        first, held = first + len(samples), 0
        samples.clear()
        reports.faults.clear()
        return unit

    for sample in opened(reports):
        if len(samples) >= size and sample.images != samples[-1].images:
            yield cut()
        samples.append(sample)
        reports.given += 1
        held += sum(len(image.data or b"") for image in sample.images)
        if held >= CHUNK_BYTES or len(reports.faults) > max_rejects:
            yield cut()
    if samples or reports.faults:
        yield cut()


def tally(units: Iterable[Unit]) -> Iterator[Unit]:
    """Pass chunks on and say at the end how many samples of each task they hold, and how many records are damaged."""
    tasks: Counter[str] = Counter()
    faults = 0
    for unit in units:
        chunk: Chunk = unit.payload
        tasks.update(sample.task for sample in chunk.samples)
        faults += len(chunk.faults)
        yield unit
    counts = ", ".join(f"{task} {count:,}" for task, count in sorted(tasks.items()))
    LOG.info("samples by task: %s; damaged records: %d (images are not looked at)", counts or "none", faults)


def _name(chunk: Chunk, first: int) -> str:
    """Name a chunk by its samples, so that a changed dataset is noticed when a run goes on."""
    digest = hashlib.sha256("\n".join(sample.id for sample in chunk.samples).encode()).hexdigest()[:8]
    return f"samples {first} to {first + len(chunk.samples) - 1} ({digest})"


@dataclass(frozen=True, slots=True)
class DoChunk:
    """Do the work of one chunk: count its faults and run `transform` over its samples."""

    transform: Transform

    def __call__(self, unit: Unit, ledger: Ledger) -> Iterator[Sample]:
        chunk: Chunk = unit.payload
        chunk.report(ledger)
        yield from map_samples(_counted(chunk.samples, ledger), self.transform, ledger)


def _counted(samples: Iterable[Sample], ledger: Ledger) -> Iterator[Sample]:
    for sample in samples:
        ledger.read += 1
        yield sample


@dataclass(frozen=True, slots=True)
class Prepare:
    """Look at the images of a sample: `check` decodes each, `embed` puts the bytes in place of the paths.

    Paths are made absolute, so that a store can be read from any folder; `then` goes on with the sample. An image that
    is not there, is broken or has another size than stated raises ImageFaultError, which drops the sample.
    """

    check: bool = True
    embed: bool = False
    then: Transform | None = None

    def __call__(self, sample: Sample, ledger: Ledger) -> Iterator[Sample]:
        prepared = replace(sample, images=tuple(map(self._prepare, sample.images)))
        if self.then is None:
            yield prepared
        else:
            yield from self.then(prepared, ledger)

    def _prepare(self, image: Image) -> Image:
        if self.check:
            check_image(image)
        if self.embed:
            return embed_image(image)
        if image.path is None or is_remote(image.path):
            return image
        return replace(image, path=str(Path(image.path).absolute()))
