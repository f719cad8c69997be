"""The stage behind `python -m data_engine mix`: a plan, two passes, one shuffled corpus."""

from __future__ import annotations

import json
import math
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from data_engine.mix.deal import DealShard, DealWriter, GatherBucket
from data_engine.mix.plan import MixPlan, plan_mix
from data_engine.mix.recipe import Mix
from data_engine.stage import StageOptions, Unit, write_stage
from data_engine.store.ledger import Ledger
from data_engine.store.manifest import LEDGER, MANIFEST, Manifest, load_manifest, open_store
from vlm.errors import DataError
from vlm.output import write_text

BUCKET_SAMPLES: Final = 4096
"""Samples of a shard of the corpus, as long as there are at most MOST_BUCKETS shards."""
BUCKET_BYTES: Final = 256 * 2**20
"""Bytes of such a shard: what a process holds in memory while it gathers one."""
MOST_BUCKETS: Final = 512


def write_mix(mix: Mix, out: Path, *, options: StageOptions) -> tuple[MixPlan, Ledger]:
    """Write the corpus of a mixture; give the plan and the ledger, in which repetitions are `made`."""
    out = Path(out)
    stores = [open_store(Path(part.store)) for part in mix.parts]
    if any(store.folder.resolve() == out.resolve() for store in stores):
        raise DataError(f"mix cannot write into its own input {out}: name another folder")
    plan = plan_mix(mix, stores, seed=options.seed)
    if options.dry_run:
        return plan, Ledger()
    inputs = [{"store": store.folder.name, "digest": store.digest()} for store in stores]
    config = {"mix": asdict(mix), "inputs": inputs}
    dealt = out.with_name(f"{out.name}.dealt")
    buckets = count_buckets(plan, stores)
    if (out / MANIFEST).exists():
        return plan, write_stage("mix", [], GatherBucket(), out, options=options, config=config)
    units, work = _list_shards(stores), DealShard(plan, buckets)
    ledger = write_stage("deal", units, work, dealt, options=options, config=config, writer=DealWriter)
    bundles = _list_buckets(dealt, plan, buckets)
    gathered = write_stage("mix", bundles, GatherBucket(), out, options=options, config=config)
    if gathered.kept != ledger.kept:
        raise DataError(f"{out} holds {gathered.kept} of {ledger.kept} dealt samples: remove it and {dealt}, mix again")
    ledger.seconds += gathered.seconds
    write_text(out / LEDGER, json.dumps(ledger.to_json(), indent=1) + "\n")
    shutil.rmtree(dealt)
    return plan, ledger


def count_buckets(plan: MixPlan, stores: Sequence[Manifest]) -> int:
    """Say in how many shards the corpus is written, from its samples and its bytes."""
    bytes_each = [sum(shard.bytes for shard in store.shards) / max(1, store.samples) for store in stores]
    size = sum(cell.draws * bytes_each[cell.part] for cell in plan.cells)
    wanted = max(plan.draws / BUCKET_SAMPLES, size / BUCKET_BYTES)
    return max(1, min(MOST_BUCKETS, math.ceil(wanted)))


def _list_shards(stores: Sequence[Manifest]) -> list[Unit]:
    """Make a unit of each shard of each part, with what the part holds before it by task."""
    units = []
    for part, store in enumerate(stores):
        before: Counter[str] = Counter()
        for shard in store.shards:
            payload = (store.folder, shard, part, dict(before))
            units.append(Unit(f"{part}/{store.folder.name}/{shard.file}", shard.samples, payload))
            before.update(shard.counts.get("task", {}))
    return units


def _list_buckets(dealt: Path, plan: MixPlan, buckets: int) -> list[Unit]:
    files = load_manifest(dealt).paths()
    edges = [-(-number * plan.draws // buckets) for number in range(buckets + 1)]
    return [Unit(f"bucket {number}", edges[number + 1] - edges[number], (files, number)) for number in range(buckets)]
