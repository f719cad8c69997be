"""corpus: everything that a small model is trained on, as stores below one folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from data_engine.store.ledger import MAX_REJECTS
from data_engine.verbs.options import DryRun, MaxRejects, Out, Ray, Seed, Workers, build_options, report

CORES = os.cpu_count() or 1
Name = Annotated[str, typer.Argument(metavar="NAME", help="Which corpus: nano, or smoke to try a machine.")]
Data = Annotated[Path, typer.Argument(metavar="DATA", help="The folder that holds the public datasets.")]


def corpus(
    name: Name,
    data: Data,
    out: Out,
    dry_run: DryRun = False,
    seed: Seed = 0,
    max_rejects: MaxRejects = MAX_REJECTS,
    workers: Workers = CORES,
    ray: Ray = None,
) -> None:
    """Build the corpus of a small model: a store for each dataset and one of synthetic places, images embedded.

    Says which images of it the benchmark runner scores on, too (OUT/corpus.json, OUT/overlaps.jsonl).

    python -m data_engine corpus nano ~/datasets out/data
    """
    from data_engine.corpus import build_corpus, find_corpus

    options = build_options(dry_run=dry_run, max_rejects=max_rejects, ray=ray, seed=seed, workers=workers)
    ledger, said = build_corpus(find_corpus(name), data, out, options=options)
    for store, count in said.get("overlaps", {}).items():
        typer.echo(
            f"{store}: {count['corpus_images']} images of the corpus show {count['held_out_images']} of its images"
        )
    report("corpus", out, ledger, **{key: said[key] for key in ("stores", "overlaps") if key in said})
