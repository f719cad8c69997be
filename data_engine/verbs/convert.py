"""convert: a public dataset, or a file of a common format -> a store of samples; or a store -> what others read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from data_engine.export import export_samples
from data_engine.formats import FORMATS, Reading, Writing, find_format
from data_engine.intake import STORE, Prepare, plan_intake
from data_engine.intake_options import write_options
from data_engine.sources import SOURCES
from data_engine.stage import write_stage
from data_engine.store.ledger import MAX_REJECTS
from data_engine.store.shards import SHARD_SAMPLES, ShardWriter
from data_engine.store.webdataset import TarWriter, split_pairs
from data_engine.store.writer import Writer
from data_engine.verbs.options import DryRun, MaxRejects, Out, Ray, Seed, Workers, build_options, report
from vlm.errors import DataError

WEBDATASET: Final = "webdataset"
WRITERS: Final[dict[str, type[Writer]]] = {"samples": ShardWriter, WEBDATASET: TarWriter}
FORMAT_PANEL: Final = "Files of a format"


def list_sources(wanted: bool) -> None:
    """Print the names that SOURCE and --to can have, and leave."""
    if not wanted:
        return
    for source in SOURCES.values():
        _list(source.name, "dataset", f"{', '.join(source.splits)}; {source.licence}")
    for format in FORMATS.values():
        _list(format.name, "format", format.layout)
    _list(STORE, "store", "what a verb of data_engine has written")
    raise typer.Exit


def _list(name: str, kind: str, text: str) -> None:
    options = write_options(name)
    typer.echo(f"{name:18} {kind:9} {text}{f'; --option {options}' if options else ''}")


SourceName = Annotated[str, typer.Argument(metavar="SOURCE", help="A dataset, a file format, or `store`: see --list.")]
Root = Annotated[Path, typer.Argument(metavar="ROOT", help="The folder or file of the source.")]
Splits = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Which split to read; may be repeated; the source's first by default."),
]
Form = Annotated[
    str, typer.Option(metavar="FORM", help="`samples` (Parquet), `webdataset` (image-text tars) or a file format.")
]
Embed = Annotated[bool, typer.Option("--embed", help="Store the images themselves, not their paths.")]
Check = Annotated[bool, typer.Option(help="Decode every image once, to find the damaged ones.")]
ShardSamples = Annotated[int, typer.Option(metavar="N", min=1, help="Samples of a shard.")]
Images = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Where image names start.", rich_help_panel=FORMAT_PANEL)
]
Dialect = Annotated[
    str | None, typer.Option(metavar="NAME", help="How text writes geometry.", rich_help_panel=FORMAT_PANEL)
]
Licence = Annotated[str, typer.Option(metavar="TEXT", help="Licence of what is read.", rich_help_panel=FORMAT_PANEL)]
Classes = Annotated[str, typer.Option(metavar="A,B", help="Class names of YOLO files.", rich_help_panel=FORMAT_PANEL)]
Extra = Annotated[
    list[str] | None,
    typer.Option("--option", metavar="KEY=VALUE", help="What SOURCE alone can be told: see --list; may be repeated."),
]
ListAll = Annotated[
    bool, typer.Option("--list", is_eager=True, callback=list_sources, help="Name all sources and formats.")
]


def convert(
    source: SourceName,
    root: Root,
    out: Out,
    split: Splits = None,
    option: Extra = None,
    to: Form = "samples",
    embed: Embed = False,
    check: Check = True,
    shard_samples: ShardSamples = SHARD_SAMPLES,
    images: Images = None,
    dialect: Dialect = None,
    licence: Licence = "unknown",
    classes: Classes = "",
    list_all: ListAll = False,
    dry_run: DryRun = False,
    seed: Seed = 0,
    max_rejects: MaxRejects = MAX_REJECTS,
    workers: Workers = 1,
    ray: Ray = None,
) -> None:
    """Turn a dataset in its official layout into samples, or samples into a form that others read.

    A set of labelled objects also gives what is known of each image, for generate (not with --option annotations=no).

    python -m data_engine convert rsicd ~/RSICD out/rsicd

    python -m data_engine convert llava train.json out/mine --images ~/images --dialect geochat

    python -m data_engine convert voc_set ~/VOCdevkit/VOC2012 out/voc --option one_based=yes

    python -m data_engine convert store out/rsicd out/rsicd-tars --to webdataset
    """
    del list_all
    if to not in WRITERS and to not in FORMATS:
        raise DataError(f"no form {to!r} to convert to: known are {', '.join([*WRITERS, *FORMATS])}")
    options = build_options(dry_run=dry_run, max_rejects=max_rejects, ray=ray, seed=seed, workers=workers)
    reading = Reading(images=images, dialect=dialect, licence=licence, seed=seed, names=split_names(classes))
    prepare = Prepare(check=check, embed=embed, then=split_pairs if to == WEBDATASET else None)
    plan = plan_intake(
        source, root, prepare, splits=split_names(*(split or ())), reading=reading, size=shard_samples, options=options,
        extra=option or (),
    )  # fmt: skip
    if to in WRITERS:
        config = {**plan.config, "to": to, "embed": embed, "check": check}
        ledger = write_stage(
            "convert", plan.units, plan.work, out,
            options=options, config=config, expect=plan.expect, writer=WRITERS[to],
        )  # fmt: skip
    else:
        writing = Writing(images=images, dialect=dialect)
        ledger = export_samples(plan.units, plan.work, find_format(to), out, writing=writing, options=options)
    report("convert", out, ledger)


def split_names(*lists: str) -> tuple[str, ...]:
    """Split lists of names at their commas."""
    return tuple(name.strip() for names in lists for name in names.split(",") if name.strip())
