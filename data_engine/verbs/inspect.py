"""inspect: a page of random samples of a store, with their geometry drawn."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Annotated

import typer

from data_engine.verbs.options import DryRun, Seed, Store
from vlm.errors import DataError

Page = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="FILE", help="The page to write; STORE/sheet.html by default.")
]


def inspect_(
    store: Store,
    samples: Annotated[int, typer.Option(metavar="N", min=1, help="How many samples to show.")] = 24,
    task: Annotated[str | None, typer.Option(metavar="NAME", help="Show samples of this task only.")] = None,
    dialect: Annotated[str, typer.Option(metavar="NAME", help="Dialect of the answers' text.")] = "nadir",
    page: Page = None,
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Write one self-contained HTML page: what a store holds, and random samples with their geometry drawn.

    python -m data_engine inspect out/mix --task ground
    """
    from data_engine.sheet import render_sheet
    from data_engine.store.ledger import Ledger
    from data_engine.store.manifest import LEDGER, open_store
    from data_engine.store.pick import pick_samples
    from vlm.output import write_text

    manifest = open_store(store)
    known = manifest.counts.get("task", {})
    if task is not None and task not in known:
        raise DataError(f"{store} holds no samples of task {task!r}: it holds {', '.join(known) or 'none at all'}")
    page = page or store / "sheet.html"
    facts = {"verb": "inspect", "store": str(store), "samples": manifest.samples, "tasks": known}
    if not dry_run:
        damaged = Ledger()
        rng = random.Random(seed)
        chosen = list(pick_samples(manifest, samples, rng, ledger=damaged, task=task))
        rng.shuffle(chosen)
        path = store / LEDGER
        ledger = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
        write_text(page, render_sheet(manifest, chosen, ledger=ledger, dialect=dialect))
        facts |= {"page": str(page), "shown": len(chosen), "damaged": damaged.drops}
    typer.echo(json.dumps(facts, ensure_ascii=False))
