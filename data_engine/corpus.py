"""The corpus of a small model: which datasets, how often, which synthetic places; and what is held out of it.

    python -m data_engine corpus nano DATA out/data

Each part becomes a store below OUT, its images within it, so that the folder is all that training needs. The splits
that the benchmark runner scores on become stores below OUT/held-out, and the images of the corpus are compared with
theirs: corpus.json says how many are shown in both, overlaps.jsonl which. Nothing is left out for that, since the parts
are the published splits; `filter --against` leaves it out. A stopped run goes on; a finished one is known as finished.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from data_engine.filter.clean import CleanRules, look
from data_engine.filter.duplicates import Overlap
from data_engine.intake import DoChunk, Prepare, Reports, cut_chunks, tally
from data_engine.objects import seeded
from data_engine.sources import find_source
from data_engine.stage import StageOptions, Unit, write_stage
from data_engine.store.ledger import Ledger
from data_engine.store.manifest import Manifest, open_store
from data_engine.store.shards import SHARD_SAMPLES
from vlm.errors import DataError
from vlm.output import write_text
from vlm.records import Sample

LOG = logging.getLogger("nadir.data")
SYNTH: Final = "synth"
"""Name of the store of synthetic places."""
HELD_OUT: Final = "held-out"
"""Folder of the stores of what the benchmark runner scores on."""
REPORT: Final = "corpus.json"
OVERLAPS: Final = "overlaps.jsonl"
_MARKS: Final = "fingerprints"
PAIR_EVERY: Final = 5
"""Every fifth synthetic place is a pair of dates."""
GSDS_M: Final = (0.25, 0.35, 0.5, 0.5, 0.8)
_UNIT_PLACES: Final = 16


@dataclass(frozen=True, slots=True)
class Part:
    """Name one store: the dataset that it is made of, its folder below the data root, its split.

    `variants` says how often the dataset is read, each time with another seed: other paraphrases, other absent classes.
    """

    name: str
    source: str
    folder: str
    split: str = "train"
    variants: int = 1


@dataclass(frozen=True, slots=True)
class Corpus:
    """Hold what decides over a corpus: its parts, the number of synthetic places, and what is held out."""

    name: str
    parts: tuple[Part, ...] = ()
    places: int = 0
    held_out: tuple[Part, ...] = ()


def nano() -> Corpus:
    """Give the corpus of nadir-nano."""
    levir, dsifn = "levir_dsifn_samples/LEVIR", "levir_dsifn_samples/DSIFN"
    return Corpus(
        "nano",
        parts=(
            Part("rsicd", "rsicd", "rsicd"),
            Part("hit_uav", "hit_uav", "hit_uav", variants=6),
            Part("rsvqa", "rsvqa", "rsvqa"),
            Part("levir_cd", "levir_cd", levir, variants=4),
            Part("dsifn", "dsifn", dsifn, variants=4),
        ),
        places=1200,
        held_out=(
            Part("rsicd-val", "rsicd", "rsicd", "val"),
            Part("hit_uav-val", "hit_uav", "hit_uav", "val"),
            Part("rsvqa-val", "rsvqa", "rsvqa", "val"),
            Part("levir_cd-val", "levir_cd", levir, "val"),
            Part("levir_cd-test", "levir_cd", levir, "test"),
        ),
    )


def smoke() -> Corpus:
    """Give a corpus of a few synthetic places, to try a machine with."""
    return Corpus("smoke", places=8)


CORPORA: Final[dict[str, Callable[[], Corpus]]] = {"nano": nano, "smoke": smoke}


def find_corpus(name: str) -> Corpus:
    """Look a corpus up by name; DataError lists the known ones."""
    if name not in CORPORA:
        raise DataError(f"no corpus {name!r}: known are {', '.join(CORPORA)}")
    return CORPORA[name]()


def build_corpus(corpus: Corpus, data: Path, out: Path, *, options: StageOptions) -> tuple[Ledger, dict[str, Any]]:
    """Write the stores of a corpus and its report below `out`; give the ledger of all stores and the report.

    Raises DataError when a dataset is not below `data`, before anything is written. A dry run gives an empty report.
    """
    _require_folders(corpus, data)
    ledger = Ledger()
    for part in corpus.parts:
        ledger.add(_write_part(part, data, out / part.name, embed=True, options=options))
    if corpus.places:
        ledger.add(write_places(corpus.places, out / SYNTH, options=options))
    for part in corpus.held_out:
        _write_part(part, data, out / HELD_OUT / part.name, embed=False, options=options)
    if options.dry_run:
        return ledger, {}
    ledger.require_balance(corpus.name)
    return ledger, _write_report(corpus, out, ledger, options)


def store_names(corpus: Corpus) -> list[str]:
    """Name the stores of a corpus below its folder, in order."""
    return [part.name for part in corpus.parts] + ([SYNTH] if corpus.places else [])


def write_places(count: int, out: Path, *, options: StageOptions) -> Ledger:
    """Write a store of synthetic places, those of number 0 to `count` - 1."""
    units = _list_places(count, seed=options.seed)
    return write_stage(SYNTH, units, _render_unit, out, options=options, config={"places": count})


def _list_places(count: int, *, seed: int) -> list[Unit]:
    units = []
    for first in range(0, count, _UNIT_PLACES):
        numbers = range(first, min(first + _UNIT_PLACES, count))
        units.append(Unit(f"places {numbers.start}-{numbers.stop - 1}", len(numbers), (seed, numbers)))
    return units


def place_samples(number: int, *, seed: int = 0) -> Iterator[Sample]:
    """Render a synthetic place, a scene or every fifth time a pair of dates, and yield its samples."""
    from data_engine.synth import pair_samples, render_pair, render_scene, scene_samples

    rng, place = seeded(seed, f"synth/{number}"), (seed << 32) + number
    gsd_m = rng.choice(GSDS_M)
    if number % PAIR_EVERY == 0:
        return pair_samples(render_pair(place, gsd_m=gsd_m), rng)
    return scene_samples(render_scene(place, gsd_m=gsd_m), rng)


def part_samples(part: Part, data: Path, reports: Reports, *, seed: int = 0) -> Iterator[Sample]:
    """Yield the samples of all variants of a part; those about the same images follow each other.

    The first variant is read with `seed` times their number, the others with the seeds that follow.
    """
    source, root = find_source(part.source), data / part.folder
    first = seed * part.variants
    if part.variants == 1:
        yield from source.load(root, split=part.split, seed=first, reject=reports)
        return
    groups: dict[tuple[str | bytes | None, ...], list[Sample]] = {}
    for number in range(first, first + part.variants):
        for sample in source.load(root, split=part.split, seed=number, reject=reports if number == first else _ignore):
            groups.setdefault(tuple(image.path or image.data for image in sample.images), []).append(sample)
    for group in groups.values():
        yield from group


def _ignore(reason: str, detail: str, where: str) -> None:
    """Hear of a fault that the first variant has reported already."""


def _require_folders(corpus: Corpus, data: Path) -> None:
    parts = (*corpus.parts, *corpus.held_out)
    missing = sorted({part.folder for part in parts if not (data / part.folder).is_dir()})
    if missing:
        raise DataError(
            f"{data} lacks {', '.join(missing)}, which the corpus {corpus.name} is made of: name the folder that holds "
            "these datasets (make data DATA=...)"
        )


def _write_part(part: Part, data: Path, out: Path, *, embed: bool, options: StageOptions) -> Ledger:
    reports = Reports()

    def opened(reports: Reports) -> Iterator[Sample]:
        return part_samples(part, data, reports, seed=options.seed)

    units = cut_chunks(opened, reports, size=SHARD_SAMPLES, max_rejects=options.max_rejects)
    units = tally(units) if options.dry_run else units
    config = {**asdict(part), "root": str(data.resolve()), "embed": embed, "shard_samples": SHARD_SAMPLES}
    work = DoChunk(Prepare(embed=embed))
    return write_stage(part.name, units, work, out, options=options, config=config)


def _render_unit(unit: Unit, ledger: Ledger) -> Iterator[Sample]:
    import cv2

    cv2.setNumThreads(1)
    seed, numbers = unit.payload
    for number in numbers:
        yield from place_samples(number, seed=seed)
        ledger.tick(1)


def _write_report(corpus: Corpus, out: Path, ledger: Ledger, options: StageOptions) -> dict[str, Any]:
    """Write corpus.json, and overlaps.jsonl before it; a report about these very stores is left as it is."""
    stores = [open_store(out / name) for name in store_names(corpus)]
    held_out = [open_store(out / HELD_OUT / part.name) for part in corpus.held_out]
    stated = {
        "corpus": asdict(corpus),
        "stores": {store.folder.name: _describe(store) for store in stores},
        "held_out": {store.folder.name: _describe(store) for store in held_out},
    }
    path = out / REPORT
    if path.exists():
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if {name: found.get(name) for name in stated} == json.loads(json.dumps(stated)):
            LOG.info("%s is done already", path)
            return found
    overlaps = _find_overlaps(stores, held_out, out / _MARKS, options)
    shared = {store.folder.name: _count(overlaps, store.folder.name) for store in held_out}
    write_text(out / OVERLAPS, "".join(json.dumps(asdict(overlap)) + "\n" for overlap in overlaps))
    counts = {name: count for name, count in ledger.to_json().items() if name != "seconds"}
    report = {**stated, "ledger": counts, "overlaps": shared}
    write_text(path, json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    shutil.rmtree(out / _MARKS, ignore_errors=True)
    return report


def _find_overlaps(
    stores: list[Manifest], held_out: list[Manifest], marks: Path, options: StageOptions
) -> list[Overlap]:
    if not held_out:
        return []
    _, overlaps = look(stores, held_out, marks, CleanRules(), options)
    return overlaps


def _count(overlaps: list[Overlap], name: str) -> dict[str, int]:
    """Count the images of a held-out store that the corpus shows, and the images of the corpus that show them."""
    found = [overlap for overlap in overlaps if overlap.store == name]
    theirs, ours = ({getattr(overlap, side) for overlap in found} for side in ("held_out", "image"))
    return {"held_out_images": len(theirs), "corpus_images": len(ours)}


def _describe(store: Manifest) -> dict[str, Any]:
    size = sum(shard.bytes for shard in store.shards)
    return {"samples": store.samples, "bytes": size, "digest": store.digest(), "tasks": store.counts.get("task", {})}
