"""The options that verbs share, so that they read the same everywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from data_engine.stage import StageOptions
from data_engine.store.ledger import MAX_REJECTS, Ledger

Store = Annotated[Path, typer.Argument(metavar="STORE", help="A folder of samples.", show_default=False)]
Out = Annotated[Path, typer.Argument(metavar="OUT", help="The folder to write; a half-done one is finished.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done and touch nothing.")]
Seed = Annotated[int, typer.Option(metavar="N", help="Another seed makes other random choices.")]
MaxRejects = Annotated[
    int, typer.Option(metavar="N", min=0, help="Stop when more than this many records are damaged or missing.")
]
Workers = Annotated[int, typer.Option(metavar="N", min=1, help="Processes that share the work.")]
Ray = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="Work on this Ray cluster; `local` starts one on this machine.")
]


def build_options(
    *, dry_run: bool = False, max_rejects: int = MAX_REJECTS, ray: str | None = None, seed: int = 0, workers: int = 1
) -> StageOptions:
    """Build the options of a stage from what the command line gave."""
    return StageOptions(dry_run=dry_run, max_rejects=max_rejects, ray=ray, seed=seed, workers=workers)


def report(verb: str, out: Path, ledger: Ledger, **facts: Any) -> None:
    """End a verb with one line of JSON for machines; the line for people has been written by the stage."""
    typer.echo(json.dumps({"verb": verb, "out": str(out), **ledger.to_json(), **facts}, ensure_ascii=False))
