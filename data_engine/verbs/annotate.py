"""python -m data_engine annotate: a language model's words about images, held against the annotations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from data_engine.verbs.options import DryRun, MaxRejects, Out, Ray, Seed, Store, Workers, build_options, report

_Endpoint = Annotated[
    str, typer.Option(metavar="URL", help="An OpenAI-compatible endpoint, such as http://127.0.0.1:8000/v1.")
]
_Prompt = Annotated[
    str, typer.Option(metavar="NAME", help="rs_gpt4v_global, rs_gpt4v_local, chatearthnet, rsteller, or a .jinja file.")
]
_Budget = Annotated[
    int | None, typer.Option(metavar="TOKENS", min=1, help="The most tokens to spend, all runs together.")
]
_Cache = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Where answers are kept; OUT.answers.sqlite by default.")
]
_KeyFrom = Annotated[str, typer.Option(metavar="VARIABLE", help="The environment variable that holds the key.")]


def annotate(
    store: Store,
    out: Out,
    endpoint: _Endpoint,
    model: Annotated[str, typer.Option(metavar="M", help="The model, as the endpoint calls it.")],
    prompt: _Prompt = "rs_gpt4v_global",
    count: Annotated[int, typer.Option(metavar="N", min=1, help="Descriptions of an image.")] = 2,
    images: Annotated[bool, typer.Option("--images", help="Send the images too, not the facts alone.")] = False,
    budget: _Budget = None,
    concurrency: Annotated[int, typer.Option(metavar="N", min=1, help="Requests at a time.")] = 8,
    tries: Annotated[int, typer.Option(metavar="N", min=1, help="How often an image is asked about.")] = 2,
    temperature: Annotated[float, typer.Option(metavar="T", min=0, help="The model's temperature.")] = 0.7,
    max_new_tokens: Annotated[int, typer.Option(metavar="N", min=1, help="The most tokens of an answer.")] = 800,
    timeout: Annotated[float, typer.Option(metavar="S", min=0.1, help="Seconds to wait for an answer.")] = 120.0,
    attempts: Annotated[int, typer.Option(metavar="N", min=1, help="How often a request is sent.")] = 6,
    key_from: _KeyFrom = "OPENAI_API_KEY",
    cache: _Cache = None,
    dry_run: DryRun = False,
    max_rejects: MaxRejects = 100,
    ray: Ray = None,
    seed: Seed = 0,
    workers: Workers = 1,
) -> None:
    """Describe images by a language model; what contradicts the annotations is rejected with the reason.

    python -m data_engine annotate out/x out/x-captions --endpoint http://127.0.0.1:8000/v1 --model M
    """
    from data_engine.annotate.annotate import AnnotateOptions, annotate_store
    from data_engine.annotate.answers import Answers

    asked = AnnotateOptions(
        endpoint, model, prompt, count, images, budget=budget, concurrency=concurrency, tries=tries,
        temperature=temperature, max_new_tokens=max_new_tokens, timeout_s=timeout, attempts=attempts,
        key_from=key_from, cache=cache,
    )  # fmt: skip
    options = build_options(dry_run=dry_run, max_rejects=max_rejects, ray=ray, seed=seed, workers=workers)
    ledger = annotate_store(store, out, asked, options=options)
    if dry_run:
        report("annotate", out, ledger)
        return
    with Answers(cache or out.with_name(f"{out.name}.answers.sqlite")) as answers:
        report("annotate", out, ledger, tokens=answers.spent, answers=str(answers.path))
