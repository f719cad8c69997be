"""python -m data_engine filter: duplicates, leakage into test sets, bad text and bad geometry leave a corpus."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Final

import typer

from data_engine.filter.signature import SIMILARITY
from data_engine.filter.text import MOST_WORDS, TextRules
from data_engine.verbs.options import DryRun, MaxRejects, Out, Ray, Seed, Workers, build_options, report
from vlm.errors import DataError

_SHOWN: Final = 10
_Stores = Annotated[list[Path], typer.Argument(metavar="STORE...", help="Folders of samples.", show_default=False)]
_Against = Annotated[
    list[Path] | None,
    typer.Option(metavar="STORE", help="A benchmark's test samples: no image of it may stay; may be repeated."),
]
_Similarity = Annotated[
    float,
    typer.Option(
        metavar="C", min=0.5, help="The least cosine of two copies of one picture; above 1, equal files only."
    ),
]
_Language = Annotated[str, typer.Option(metavar="CODE", help="The language of the answers; `any` for all.")]
_Clip = Annotated[Path | None, typer.Option(metavar="DIR", help="A model directory that scores captions.")]


def filter_(
    stores: _Stores,
    out: Out,
    against: _Against = None,
    similarity: _Similarity = SIMILARITY,
    language: _Language = "en",
    longest: Annotated[int, typer.Option(metavar="WORDS", min=1, help="The most words of an answer.")] = MOST_WORDS,
    clip: _Clip = None,
    least_cosine: Annotated[float, typer.Option(help="With --clip: the least cosine of caption and image.")] = 0.0,
    most_spread: Annotated[float, typer.Option(help="With --clip: its most spread over quarter turns.")] = 1.0,
    dry_run: DryRun = False,
    max_rejects: MaxRejects = 100,
    ray: Ray = None,
    seed: Seed = 0,
    workers: Workers = 1,
) -> None:
    """Clean a corpus: copies, held-out images, bad text and bad geometry leave; rejected.jsonl says which and why.

    python -m data_engine filter out/a out/b --against out/rsicd-test out/clean
    """
    from data_engine.filter.clean import CleanRules, clean
    from data_engine.filter.scores import ScoreRules

    if clip is None and (least_cosine > 0 or most_spread < 1):
        raise DataError("--least-cosine and --most-spread need a model that scores: name its directory with --clip")
    rules = CleanRules(
        similarity=similarity,
        text=TextRules(language=None if language == "any" else language, most_words=longest),
        scores=None if clip is None else ScoreRules(clip, least_cosine, most_spread),
    )
    options = build_options(dry_run=dry_run, max_rejects=max_rejects, ray=ray, seed=seed, workers=workers)
    ledger, overlaps = clean(stores, out, rules, held_out=against or (), options=options)
    shared = Counter(overlap.store for overlap in overlaps)
    for store in () if dry_run else against or ():
        found = [overlap for overlap in overlaps if overlap.store == store.name]
        mine, theirs = ({getattr(overlap, name) for overlap in found} for name in ("image", "held_out"))
        typer.echo(
            f"{store}: {len(mine)} images of the corpus show {len(theirs)} of its images; samples of these leave"
        )
        for overlap in found[:_SHOWN]:
            typer.echo(f"  {overlap.image} is {overlap.held_out}, {overlap.move} ({overlap.similarity:.3f})")
        if len(found) > _SHOWN:
            typer.echo(f"  ... and {len(found) - _SHOWN} more in {out}/overlaps.jsonl")
    report("filter", out, ledger, held_out={store.name: shared[store.name] for store in against or ()})
