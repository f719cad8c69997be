"""python -m data_engine mix: weights -> one shuffled, sharded corpus; prints the arithmetic."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from data_engine.verbs.options import DryRun, MaxRejects, Out, Ray, Seed, Workers, build_options, report

_Recipe = Annotated[
    Path, typer.Argument(metavar="RECIPE", help="A Python file with a function `recipe`.", show_default=False)
]
_Model = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Whose tokens are counted; the built-in model by default.")
]
_Context = Annotated[int, typer.Option(metavar="TOKENS", min=1, help="The length of the sequences that are packed.")]


def mix(
    recipe: _Recipe,
    out: Out,
    model: _Model = None,
    context: _Context = 2048,
    dry_run: DryRun = False,
    max_rejects: MaxRejects = 100,
    ray: Ray = None,
    seed: Seed = 0,
    workers: Workers = 1,
) -> None:
    """Mix stores into one shuffled corpus by the weights of a recipe; prints how often each task is drawn and why.

    python -m data_engine mix recipe.py out/mix
    """
    from data_engine.mix.corpus import write_mix
    from data_engine.mix.lengths import TokenCounter, sample_lengths
    from data_engine.mix.packing import measure_packing
    from data_engine.mix.recipe import load_recipe

    options = build_options(dry_run=dry_run, max_rejects=max_rejects, ray=ray, seed=seed, workers=workers)
    plan, ledger = write_mix(load_recipe(recipe), out, options=options)
    typer.echo(plan.render())
    if dry_run:
        report("mix", out, ledger, draws=plan.draws)
        return
    stats = measure_packing(sample_lengths(out, TokenCounter(model)), capacity=context)
    if stats is not None:
        typer.echo(stats.render())
    report("mix", out, ledger, draws=plan.draws, packing=None if stats is None else asdict(stats))
