"""synth: procedural scenes and pairs of dates with exact labels -> a store of samples."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer

from data_engine.store.ledger import MAX_REJECTS
from data_engine.verbs.options import DryRun, MaxRejects, Out, Ray, Seed, Workers, build_options, report

CORES = os.cpu_count() or 1


def synth(
    out: Out,
    scenes: Annotated[int, typer.Option(metavar="N", min=0, help="Scenes of one date.")] = 1000,
    pairs: Annotated[int, typer.Option(metavar="N", min=0, help="Pairs of two dates.")] = 250,
    size: Annotated[int, typer.Option(metavar="PX", min=32, max=4096, help="Side of the images.")] = 256,
    gsd: Annotated[
        list[float] | None,
        typer.Option(metavar="M", help="Metres a pixel, 0.1 to 10; may be repeated, each scene takes one of them."),
    ] = None,
    sensor: Annotated[
        str, typer.Option(metavar="NAME", help="rgb, ms4 (with near infrared), ms13 (Sentinel-2's bands) or sar.")
    ] = "rgb",
    facts: Annotated[
        bool, typer.Option("--facts", help="Write what is known (objects, land cover, changes) for `generate` to ask.")
    ] = False,
    instances: Annotated[
        str | None,
        typer.Option(metavar="STORE", help="Paste real objects from this store or SOURCE:FOLDER instead of rendering."),
    ] = None,
    backgrounds: Annotated[
        str | None,
        typer.Option(metavar="STORE", help="Where the images to paste into come from; as --instances by default."),
    ] = None,
    dry_run: DryRun = False,
    seed: Seed = 0,
    max_rejects: MaxRejects = MAX_REJECTS,
    workers: Workers = CORES,
    ray: Ray = None,
) -> None:
    """Render overhead scenes with exact labels and ask about them; images are embedded as GeoTIFF.

    python -m data_engine synth --scenes 20000 --pairs 5000 --seed 0 out/synth

    python -m data_engine synth --scenes 500 --pairs 0 --size 512 --gsd 10 --sensor ms13 out/synth-s2

    python -m data_engine synth --scenes 500 --facts out/facts && python -m data_engine generate out/facts out/asked

    python -m data_engine synth --scenes 500 --size 512 --instances isaid:~/iSAID out/pasted
    """
    from data_engine.stage import write_stage

    options = build_options(dry_run=dry_run, max_rejects=max_rejects, ray=ray, seed=seed, workers=workers)
    config: dict[str, Any] = {"scenes": scenes, "size": size, "facts": facts}
    if instances or backgrounds:
        from data_engine.synth.paste_corpus import PasteCorpus, PasteImages

        given, into = instances or backgrounds or "", backgrounds or instances or ""
        pasted = PasteCorpus(scenes, given, into, size, seed, facts)
        config |= {"instances": given, "backgrounds": into}
        ledger = write_stage("synth", pasted.units(), PasteImages(pasted), out, options=options, config=config)
    else:
        from data_engine.synth.corpus import GSDS_M, Corpus, RenderPlaces

        corpus = Corpus(scenes, pairs, size, tuple(gsd or GSDS_M), sensor, seed, facts)
        config |= {"pairs": pairs, "gsd": corpus.gsds_m, "sensor": sensor}
        ledger = write_stage("synth", corpus.units(), RenderPlaces(corpus), out, options=options, config=config)
    report("synth", out, ledger)
