"""Will it fit, and how long will it take? Memory of each GPU and hours, before a cluster is booked.

    python -m train.estimate --llm Qwen3-8B --vision ViT-L-14 --gpus 8 --gpu-gib 80
    python -m train.estimate --llm Qwen3-32B --recipe qlora --gpus 1 --gpu-gib 24 --samples 300000

Nothing is fetched and nothing is built: parameters are counted on torch's meta device, memory and operations come from
the formulas of train/memory.py, which tests compare with measured runs. Where it does not fit, it says what would.
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import argparse
import json
import logging
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Final

from torch import nn

from train.adapters import Adapter
from train.memory import CONTEXT, GIB, SLACK, Job, activation_bytes, flops_per_conversation, state_bytes
from train.modules import Rates
from train.recipes import find_recipe
from train.sizes import Count, build_empty, count_parameters, find_config
from vlm.config import NadirConfig
from vlm.errors import InputError, NadirError

LOG = logging.getLogger("nadir.train")
TERAFLOPS: Final = {
    "V100": 125, "A100": 312, "A40": 150, "L40S": 362, "RTX4090": 165, "H100": 989, "H100-PCIe": 756, "H200": 989,
    "B200": 2250,
}  # fmt: skip
"""Peak of dense 16-bit matrix products as the makers publish it, in 10^12 operations a second."""
KNOBS: Final[dict[str, dict[str, Any]]] = {
    "checkpointing": {"checkpointing": True},
    "micro-batch 1": {"micro_batch": 1},
    "ZeRO-2": {"zero": 2},
    "ZeRO-3": {"zero": 3},
    "LoRA": {"adapter": "lora"},
    "QLoRA": {"adapter": "qlora"},
    "offloaded optimizer": {"offload": True},
}
"""What makes a run smaller, the cheapest first."""
MOST_ADVICE: Final = 4


@dataclass(frozen=True)
class Estimate:
    """Hold what a job takes on each GPU, in bytes by part, and its hours."""

    parts: Mapping[str, float]
    hours: float
    counts: Mapping[str, Count]

    @property
    def total(self) -> float:
        """Give the peak in bytes."""
        return sum(self.parts.values())


def estimate(
    config: NadirConfig,
    model: nn.Module,
    job: Job,
    *,
    samples: int = 100_000,
    epochs: float = 1.0,
    teraflops: float = 312,
    mfu: float = 0.4,
    counts: Mapping[str, Count] | None = None,
) -> Estimate:
    """Estimate a job of `samples` conversations; `model` is one on the meta device, as build_empty gives it.

    `mfu` is the share of the GPU's peak that matrix products reach; `counts` saves counting the parameters again.
    """
    counts = counts or count_parameters(model, job.rates, job.adapter)
    live = {name: SLACK * size for name, size in activation_bytes(config, job).items()}
    parts = {**state_bytes(counts, job), **live, "context": CONTEXT}
    flops = sum(flops_per_conversation(config, counts, job).values()) * samples * epochs
    return Estimate(parts, flops / (job.gpus * teraflops * 1e12 * mfu) / 3600, counts)


def find_knobs(config: NadirConfig, model: nn.Module, job: Job, *, gib: float) -> list[tuple[str, float]]:
    """Give the smallest sets of changes that make a job fit into `gib` of memory, each with its GiB; [] where none do.

    A set is left out where a part of it is enough.
    """
    found: list[tuple[frozenset[str], float]] = []
    counted: dict[tuple[Rates, Adapter], dict[str, Count]] = {}
    useful = [name for name in KNOBS if _turn(job, [name]) != job and not (name.startswith("ZeRO") and job.gpus == 1)]
    for size in range(1, len(useful) + 1):
        for names in combinations(useful, size):
            if {"ZeRO-2", "ZeRO-3"} <= set(names) or {"LoRA", "QLoRA"} <= set(names):
                continue
            if any(smaller <= set(names) for smaller, _ in found):
                continue
            turned = _turn(job, names)
            tuned = (turned.rates, turned.adapter)
            if tuned not in counted:
                counted[tuned] = count_parameters(model, *tuned)
            total = estimate(config, model, turned, counts=counted[tuned]).total / GIB
            if total <= gib:
                found.append((frozenset(names), total))
    ordered = [(" + ".join(name for name in KNOBS if name in names), total) for names, total in found]
    return ordered[:MOST_ADVICE]


def _turn(job: Job, names: Iterable[str]) -> Job:
    for name in names:
        changes = dict(KNOBS[name])
        if "adapter" in changes:
            changes["adapter"] = replace(job.adapter, kind=changes["adapter"])
            changes["rates"] = replace(job.rates, encoder=0.0)
        if changes.get("zero", 9) <= job.zero:
            changes.pop("zero")
        job = replace(job, **changes)
    return job


def describe(found: Estimate, job: Job, *, gib: float) -> list[str]:
    """Write an estimate as lines: what trains, what it takes, whether it fits."""
    total = sum(count.total for count in found.counts.values())
    trained = sum(count.trained for count in found.counts.values())
    lines = [f"{total / 1e9:.2f} B parameters, {trained / 1e6:,.1f} M of them trained ({job.adapter.kind})"]
    lines += [f"  {name:<16} {size / GIB:8.2f} GiB" for name, size in found.parts.items() if size >= 1e-4 * GIB]
    verdict = "fits" if found.total <= gib * GIB else "does NOT fit"
    lines.append(f"  {'peak':<16} {found.total / GIB:8.2f} GiB of {gib:g} GiB on each of {job.gpus} GPUs: it {verdict}")
    return [*lines, f"  {'time':<16} {found.hours:8.1f} hours"]


def main(words: list[str] | None = None) -> None:
    """Parse the command line and print the estimate; the last line is JSON."""
    arguments = _parse(words)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        turn = find_recipe(arguments.recipe).rounds[-1]
        config = find_config(llm=arguments.llm, vision=arguments.vision)
        teraflops = _peak(arguments.gpu)
    except NadirError as error:
        sys.exit(str(error))
    job = Job(
        gpus=arguments.gpus,
        zero=arguments.zero,
        offload=arguments.offload,
        checkpointing=not arguments.no_checkpointing,
        micro_batch=arguments.micro_batch,
        tiles=arguments.tiles,
        text_tokens=arguments.text_tokens,
        answer_tokens=arguments.answer_tokens,
        rates=turn.rates,
        adapter=replace(turn.adapter, rank=arguments.rank),
    )
    model = build_empty(config)
    found = estimate(
        config, model, job, samples=arguments.samples, epochs=arguments.epochs, teraflops=teraflops, mfu=arguments.mfu
    )
    for line in describe(found, job, gib=arguments.gpu_gib):
        LOG.info("%s", line)
    fits = found.total <= arguments.gpu_gib * GIB
    knobs = [] if fits else find_knobs(config, model, job, gib=arguments.gpu_gib)
    for names, total in knobs:
        LOG.info("  it fits with %s (%.1f GiB)", names, total)
    if not fits and not knobs:
        LOG.info("  nothing here makes it fit: take more GPUs, larger ones, or a smaller language model")
    LOG.info("%s", json.dumps({
        "gib": round(found.total / GIB, 2), "fits": fits, "hours": round(found.hours, 2), "with": [k for k, _ in knobs],
    }))  # fmt: skip


def _peak(gpu: str) -> float:
    if gpu not in TERAFLOPS:
        raise InputError(f"the speed of the GPU {gpu!r} is not known here: known are {', '.join(TERAFLOPS)}")
    return float(TERAFLOPS[gpu])


def _parse(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llm", default="Qwen3-8B", help="named size, or a directory with config.json")
    parser.add_argument("--vision", default="ViT-L-14", help="open_clip architecture")
    parser.add_argument("--recipe", default="lora", help="whose table of modules: full, lora, qlora, align, projector")
    parser.add_argument("--rank", type=int, default=64, help="of LoRA")
    parser.add_argument("--gpus", type=int, default=1)
    parser.add_argument("--gpu", default="A100", help=f"kind, for the hours: {', '.join(TERAFLOPS)}")
    parser.add_argument("--gpu-gib", type=float, default=80, help="memory of each")
    parser.add_argument("--zero", type=int, choices=(0, 1, 2, 3), default=2, help="DeepSpeed's ZeRO stage")
    parser.add_argument("--offload", action="store_true", help="keep the optimizer's states off the GPU")
    parser.add_argument("--no-checkpointing", action="store_true", help="keep every layer's activations")
    parser.add_argument("--micro-batch", type=int, default=4, help="conversations a GPU and pass")
    parser.add_argument("--tiles", type=int, default=7, help="tiles of a conversation's images")
    parser.add_argument("--text-tokens", type=int, default=256)
    parser.add_argument("--answer-tokens", type=int, default=64)
    parser.add_argument("--samples", type=int, default=100_000, help="conversations of an epoch")
    parser.add_argument("--epochs", type=float, default=1.0)
    parser.add_argument("--mfu", type=float, default=0.4, help="share of the GPU's peak that is reached")
    return parser.parse_args(words)


if __name__ == "__main__":
    main()
