"""The stage behind `python -m data_engine filter`: fingerprints, a verdict over each sample, then the rules.

The first pass reads every image once and leaves numbers beside the output (OUT.fingerprints, removed at the end); the
verdicts need all of them at once; the second pass writes what stays. Both passes are stages, so a stopped run goes on,
and processes or a cluster share the work.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np

from data_engine.filter.duplicates import REASONS, UNREADABLE, Overlap, Verdict, judge
from data_engine.filter.fingerprints import load_fingerprints, write_fingerprints
from data_engine.filter.geometry import GeometryRules, find_geometry_fault
from data_engine.filter.scores import ScoreRules, find_score_faults, load_clip
from data_engine.filter.signature import SIMILARITY
from data_engine.filter.text import TextRules, find_text_fault
from data_engine.stage import StageOptions, Unit, list_shards, write_stage
from data_engine.store.ledger import Ledger
from data_engine.store.manifest import MANIFEST, Manifest, open_store
from data_engine.store.shards import read_shard
from vlm.errors import DataError
from vlm.output import write_text
from vlm.records import Sample

OVERLAPS: Final = "overlaps.jsonl"
"""File of the images that the corpus shares with held-out stores, in the output."""
_BATCH: Final = 64


@dataclass(frozen=True, slots=True)
class CleanRules:
    """Hold what a sample has to keep; None leaves a kind of rule out. `similarity` is that of `duplicates.judge`."""

    similarity: float = SIMILARITY
    text: TextRules | None = field(default_factory=TextRules)
    geometry: GeometryRules | None = field(default_factory=GeometryRules)
    scores: ScoreRules | None = None


def clean(
    stores: Sequence[Path], out: Path, rules: CleanRules, *, held_out: Sequence[Path] = (), options: StageOptions
) -> tuple[Ledger, list[Overlap]]:
    """Write what is good in the stores to `out`; give the ledger and what they share with the held-out stores."""
    corpus, kept_apart = [open_store(path) for path in stores], [open_store(path) for path in held_out]
    out = Path(out)
    if any(store.folder.resolve() == out.resolve() for store in (*corpus, *kept_apart)):
        raise DataError(f"filter cannot write into its own input {out}: name another folder")
    config = {
        "rules": asdict(rules),
        "inputs": [_describe(store) for store in corpus],
        "held_out": [_describe(store) for store in kept_apart],
    }
    marks = out.with_name(f"{out.name}.fingerprints")
    verdicts: dict[int, Verdict] = {}
    if options.dry_run:
        write_fingerprints([*stores, *held_out], marks / "corpus", options=options)
    elif not (out / MANIFEST).exists():
        verdicts, overlaps = look(corpus, kept_apart, marks, rules, options)
        write_text(marks / OVERLAPS, "".join(json.dumps(asdict(overlap)) + "\n" for overlap in overlaps))
    units = _list_units(corpus, verdicts)
    ledger = write_stage("filter", units, CleanShard(rules), out, options=options, config=config)
    if (marks / OVERLAPS).exists():
        shutil.copyfile(marks / OVERLAPS, out / OVERLAPS)
        shutil.rmtree(marks)
    return ledger, _load_overlaps(out)


@dataclass(frozen=True, slots=True)
class CleanShard:
    """Drop the bad samples of one shard: first by the verdict over them, then by the rules."""

    rules: CleanRules

    def __call__(self, unit: Unit, ledger: Ledger) -> Iterator[Sample]:
        folder, shard, verdict = unit.payload
        numbered = enumerate(read_shard(folder, shard, ledger))
        seen = 0
        while batch := list(islice(numbered, _BATCH)):
            seen = batch[-1][0] + 1
            if seen > len(verdict.codes):
                break
            good = [sample for number, sample in batch if self._judge(number, sample, verdict, ledger)]
            yield from self._score(good, ledger)
            ledger.tick(len(batch))
        if seen != len(verdict.codes):
            raise DataError(f"{folder / shard.file} is not what it was when its images were read: filter it again")

    def _judge(self, number: int, sample: Sample, verdict: Verdict, ledger: Ledger) -> bool:
        """Drop a sample that the verdict or a rule is against, and say whether it is good."""
        if verdict.codes[number]:
            code = int(verdict.codes[number])
            ledger.drop(REASONS[code], verdict.notes[number], sample.id, fault=code == UNREADABLE)
            return False
        fault = find_text_fault(sample, self.rules.text) if self.rules.text else None
        if fault is None and self.rules.geometry:
            fault = find_geometry_fault(sample, self.rules.geometry)
        if fault is not None:
            ledger.drop(*fault, sample.id, fault=False)
        return fault is None

    def _score(self, samples: list[Sample], ledger: Ledger) -> Iterator[Sample]:
        if self.rules.scores is None:
            yield from samples
            return
        faults = find_score_faults(samples, self.rules.scores, load_clip(self.rules.scores.clip))
        for at, sample in enumerate(samples):
            if at in faults:
                ledger.drop(*faults[at], sample.id, fault=False)
            else:
                yield sample


def look(
    corpus: Sequence[Manifest], held_out: Sequence[Manifest], marks: Path, rules: CleanRules, options: StageOptions
) -> tuple[dict[int, Verdict], list[Overlap]]:
    """Fingerprint all stores and judge the corpus; give the verdicts by the number of the shard, and the overlaps.

    The fingerprints are stores below `marks`, so that a stopped run goes on.
    """
    write_fingerprints([store.folder for store in corpus], marks / "corpus", options=options)
    for number, store in enumerate(held_out):
        write_fingerprints([store.folder], marks / f"held-out-{number}", options=options)
    found = load_fingerprints(marks / "corpus")
    apart = {
        store.folder.name: list(load_fingerprints(marks / f"held-out-{number}").values())
        for number, store in enumerate(held_out)
    }
    verdicts, overlaps = judge(list(found.values()), apart, similarity=rules.similarity)
    return dict(zip(found, verdicts, strict=True)), overlaps


def _list_units(corpus: Sequence[Manifest], verdicts: dict[int, Verdict]) -> list[Unit]:
    """Make a unit of each shard, with the verdict over its samples."""
    nothing = Verdict(np.empty(0, np.uint8))
    return [
        replace(unit, payload=(*unit.payload, verdicts.get(number, nothing)))
        for number, unit in enumerate(list_shards(corpus))
    ]


def _describe(store: Manifest) -> dict[str, Any]:
    return {"store": store.folder.name, "digest": store.digest()}


def _load_overlaps(out: Path) -> list[Overlap]:
    path = out / OVERLAPS
    if not path.exists():
        return []
    return [Overlap(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
