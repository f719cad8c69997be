"""What a run would do, before it does anything: modules and rates, the arithmetic of a step, memory and hours."""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

from pathlib import Path
from typing import Literal

from train.engine import count_processes
from train.estimate import TERAFLOPS, describe, estimate
from train.memory import Job
from train.recipes import Parts, Recipe
from train.sft import SftConfig
from train.sizes import build_empty, describe_counts, find_config
from vlm.config import NadirConfig


def find_model_config(recipe: Recipe, *, start: Path | None, parts: Parts | None) -> NadirConfig:
    """Give the sizes of the model that a run trains: the one to start from, its parts, or the recipe's own."""
    if start is not None and (start / "config.json").is_file():
        return NadirConfig.from_pretrained(start)
    if parts is not None:
        return find_config(llm=parts.llm, vision=parts.vision)
    words = {"vocab_size": recipe.vocab_size}
    return NadirConfig(
        clip_config={**recipe.clip_config, "text_cfg": {**recipe.clip_config["text_cfg"], **words}},
        qformer_config=recipe.qformer,
        text_config={**recipe.text, **words},
        vision_layers=recipe.vision_layers,
        **recipe.sizes,
    )


def find_job(config: SftConfig, model: NadirConfig) -> Job:
    """Give what a run asks of each GPU."""
    processes = count_processes()
    weights: Literal["float32", "bfloat16"] = "float32" if config.weights == "float32" else "bfloat16"
    return Job(
        gpus=processes,
        zero=config.zero if processes > 1 else 0,
        offload=config.offload != "none",
        checkpointing=config.recompute,
        micro_batch=max(1, config.batch // (config.accumulate * processes)),
        tiles=model.default_tiles,
        weights=weights,
        rates=config.rates,
        adapter=config.adapter,
    )


def describe_plan(recipe: Recipe, config: SftConfig, sizes: NadirConfig) -> list[str]:
    """Write the plan of a run as lines."""
    job, empty = find_job(config, sizes), build_empty(sizes)
    samples = config.batch * (config.most_steps if config.steps is not None else 1000)
    found = estimate(sizes, empty, job, samples=samples, teraflops=TERAFLOPS["A100"])
    lines = [f"recipe {recipe.name}: data {', '.join(f'{s.folder} x {s.weight:g}' for s in recipe.shares) or 'made'}"]
    lines += describe_counts(found.counts, config.rates, config.learning_rate)
    lines.append(
        f"batch: {job.micro_batch} conversations x {config.accumulate} pieces x {job.gpus} processes = {config.batch}; "
        f"{sizes.tokens_per_tile} visual tokens a tile, {sizes.default_tiles} tiles an image at most"
    )
    lines.append(f"steps: {config.steps if config.steps is not None else f'as many as {config.minutes} minutes hold'}")
    took = f"{samples:,} conversations on {job.gpus} A100 at 40 % of its peak"
    return [*lines, f"each process, and {took}:", *describe(found, job, gib=80)]
