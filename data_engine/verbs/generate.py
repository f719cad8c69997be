"""generate: annotations -> instructions, from a store, a dataset in its official layout, or rasters with maps."""

from __future__ import annotations

from typing import Annotated

import typer

from data_engine.generation import Generate, describe_inputs, plan_inputs
from data_engine.recipes import RECIPES, find_recipes
from data_engine.stage import write_stage
from data_engine.store.ledger import MAX_REJECTS
from data_engine.verbs.options import DryRun, MaxRejects, Out, Ray, Seed, Workers, build_options, report

DEFAULT = ",".join(name for name in RECIPES if name != "turned")


def list_recipes(wanted: bool) -> None:
    """Print the names that --recipes can have, with what each of them asks, and leave."""
    if wanted:
        for name, recipe in RECIPES.items():
            typer.echo(f"{name:12} {(recipe.__doc__ or '').splitlines()[0]}")
        raise typer.Exit


Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        help="A store; SOURCE:FOLDER, a dataset as it is published; or a folder of rasters with maps beside them.",
        show_default=False,
    ),
]
Names = Annotated[str, typer.Option("--recipes", metavar="A,B", help="Which recipes to run: see --list.")]
Split = Annotated[
    str | None, typer.Option(metavar="NAME", help="The split of a SOURCE:FOLDER; its first one by default.")
]
Keep = Annotated[bool, typer.Option("--keep", help="Put the samples that were read into the output, too.")]
WindowPx = Annotated[
    int | None, typer.Option(metavar="PX", min=64, help="Cut rasters with maps into windows of this size.")
]
ListAll = Annotated[bool, typer.Option("--list", is_eager=True, callback=list_recipes, help="Name all recipes.")]


def generate(
    inputs: Inputs,
    out: Out,
    recipes: Names = DEFAULT,
    split: Split = None,
    keep: Keep = False,
    window_px: WindowPx = None,
    list_all: ListAll = False,
    dry_run: DryRun = False,
    seed: Seed = 0,
    max_rejects: MaxRejects = MAX_REJECTS,
    workers: Workers = 1,
    ray: Ray = None,
) -> None:
    """Turn boxes, masks, classes and maps into questions and answers, by recipes.

    python -m data_engine generate out/dota --recipes ground,count,relate,mask out/dota-instruct

    python -m data_engine generate dota:~/DOTA out/dota-instruct

    python -m data_engine generate ~/orthophotos --recipes maps,landcover --window-px 512 out/maps
    """
    del list_all
    options = build_options(dry_run=dry_run, max_rejects=max_rejects, ray=ray, seed=seed, workers=workers)
    chosen = tuple(find_recipes(recipes))
    config = {"recipes": chosen, "keep": keep, **describe_inputs(inputs, split=split, window_px=window_px)}
    units = plan_inputs(inputs, split=split, window_px=window_px)
    ledger = write_stage("generate", units, Generate(chosen, seed, keep), out, options=options, config=config)
    report("generate", out, ledger)
