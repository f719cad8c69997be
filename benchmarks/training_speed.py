"""Measure training against transformers' Trainer: one model, the same conversations, tokens a second.

The Trainer pads what comes together to one length, encodes image by image and makes logits of every position: what a
user has who wraps the model as its documentation shows. Both run in processes of their own, by turns.

Run `python -m benchmarks.training_speed --data out/data` (ten minutes on two idle cores); it writes
benchmarks/training_speed.md.
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn
from torch.utils.data import IterableDataset
from transformers import BatchFeature, Trainer, TrainerCallback, TrainingArguments

from benchmarks.path import name_commit, name_machine
from train.mixture import Mixture
from train.modules import Rates
from train.nano import build_feeds
from train.packing import Encoded, collate
from train.progress import read_log
from train.recipes import RECIPES, Recipe, build_model
from train.sft import SftConfig, parameter_groups, set_training, train_sft
from vlm.checkpoint import load_checkpoint
from vlm.model import NadirForConditionalGeneration
from vlm.processor import NadirProcessor

REPORT: Final = Path(__file__).with_suffix(".md")
WARM, STEPS, TURNS, SEED = 4, 12, 3, 0
BATCH: Final = 24
LARGER: Final = {"hidden_size": 384, "intermediate_size": 1152, "num_hidden_layers": 8, "num_attention_heads": 6}
MODELS: Final = ("nano", "larger")
RUNS: Final = {"Trainer": None, "padded": None, "packed": 512}
"""Ways to train, and the tokens of a packed row."""


@dataclass(frozen=True)
class Speed:
    """Hold what a run came to after its warm-up."""

    tokens_per_s: float
    """Without padding."""
    padding: float
    """Share of the tokens that went through the language model."""
    wait: float
    """Share of the time that was spent on waiting for data."""


def build(name: str) -> tuple[NadirForConditionalGeneration, NadirProcessor]:
    """Build a model with random weights: the built-in one's sizes, or those with a language model of 8 layers."""
    recipe: Recipe = replace(RECIPES["nano"](), backbone=None)
    text = recipe.text if name == "nano" else {**recipe.text, **LARGER}
    sizes = {**recipe.sizes, "pointer_width": 0}
    torch.manual_seed(SEED)
    return build_model(replace(recipe, text=text, sizes=sizes), load_checkpoint()[1].tokenizer)


def settings(name: str) -> SftConfig:
    """Give what both ways train: all but the tower beside the larger language model, all beside the small one."""
    rates = Rates(encoder=0.2 if name == "nano" else 0.0)
    return SftConfig(batch=BATCH, steps=STEPS, rates=rates, log_steps=WARM, log_s=1e9, save_minutes=1e9, seed=SEED)


def measure_nadir(name: str, data: Path, pack_tokens: int | None) -> Speed:
    """Train by this project's loop and read its log."""
    with tempfile.TemporaryDirectory() as folder:
        feeds = build_feeds(RECIPES["nano"](), data, Path(folder))
        train_sft(*build(name), feeds, replace(settings(name), pack_tokens=pack_tokens), Path(folder) / "run")
        lines = read_log(Path(folder) / "run" / "log.jsonl")[1:]
    return Speed(*(statistics.fmean(line[key] for line in lines) for key in ("tokens_per_s", "padding", "wait")))


class PerImage(nn.Module):
    """Encode the tiles of one image at a time."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.encoder, self.width, self.counts = encoder, encoder.width, [0]

    def forward(self, pixel_values: torch.Tensor) -> tuple[torch.Tensor, tuple[int, int]]:
        """Give the patches of all tiles and their grid."""
        parts = [self.encoder(part) for part in pixel_values.split(self.counts)]
        return torch.cat([patches for patches, _ in parts]), parts[0][1]


class Draws(IterableDataset[Encoded]):
    """Yield the conversations of a mixture in the order in which they are drawn."""

    def __init__(self, mixture: Mixture) -> None:
        self.mixture = mixture

    def __iter__(self) -> Iterator[Encoded]:
        return (self.mixture.draw(number) for number in itertools.count())


class Clock(TrainerCallback):
    """Note when each step ended."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Note the time."""
        self.ends.append(time.monotonic())


class Plain(Trainer):
    """Count tokens and padding, and time how long the loader is waited for."""

    def __init__(self, **words: Any) -> None:
        super().__init__(**words)
        self.sizes: list[tuple[int, int]] = []
        self.waits: list[float] = []

    def get_batch_samples(self, *words: Any, **named: Any) -> Any:
        """Give the next batches."""
        asked = time.monotonic()
        found = super().get_batch_samples(*words, **named)
        self.waits.append(time.monotonic() - asked)
        return found

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Give the mean loss of the answers' tokens, from logits of every position."""
        inputs.pop("answer_tasks")
        counts = inputs.get("num_tiles")
        model.encoder.counts = [] if counts is None else counts.tolist()
        kept = int(inputs["attention_mask"].sum())
        self.sizes.append((kept, inputs["input_ids"].numel() - kept))
        outputs = model(**inputs, use_cache=False)
        return (outputs.loss, outputs) if return_outputs else outputs.loss


def measure_trainer(name: str, data: Path) -> Speed:
    """Train by transformers' Trainer."""
    model, processor = build(name)
    config, clock = settings(name), Clock()
    optimizer = torch.optim.AdamW(parameter_groups(model, config), lr=config.learning_rate, betas=(0.9, 0.98))
    set_training(model)
    setattr(model, "encoder", PerImage(model.encoder))  # noqa: B010
    with tempfile.TemporaryDirectory() as folder:
        mixture = Mixture(build_feeds(RECIPES["nano"](), data, Path(folder)), processor, BATCH, SEED)

        def join(items: Sequence[Encoded]) -> BatchFeature:
            return collate(processor, items)

        arguments = TrainingArguments(
            output_dir=folder, per_device_train_batch_size=BATCH, max_steps=STEPS, max_grad_norm=config.clip_norm,
            dataloader_num_workers=config.workers, remove_unused_columns=False, save_strategy="no", report_to="none",
            logging_strategy="no", disable_tqdm=True, use_cpu=True, seed=SEED,
            accelerator_config={"dispatch_batches": False},
        )  # fmt: skip
        schedule = torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)
        trainer = Plain(
            model=model, args=arguments, data_collator=join, train_dataset=Draws(mixture), callbacks=[clock],
            optimizers=(optimizer, schedule),
        )  # fmt: skip
        trainer.train()
    took = clock.ends[-1] - clock.ends[WARM - 1]
    tokens, padding = (sum(column) for column in zip(*trainer.sizes[WARM:], strict=True))
    return Speed(tokens / took, padding / (tokens + padding), sum(trainer.waits[WARM:STEPS]) / took)


def measure_apart(name: str, run: str, data: Path) -> Speed:
    """Measure one run in a process of its own."""
    words = [sys.executable, "-m", "benchmarks.training_speed", "--data", str(data), "--model", name, "--run", run]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return Speed(**json.loads(done.stdout.splitlines()[-1]))


def render(found: dict[str, dict[str, list[Speed]]], sizes: dict[str, float], data: Path) -> str:
    """Write the tables as Markdown."""
    lines = [
        "# Training speed", "", f"Machine: {name_machine()}. Commit {name_commit()}.",
        f"Command: `python -m benchmarks.training_speed --data {data}`.", "",
        f"The built-in model's mixture, {BATCH} conversations a step, steps {WARM + 1} to {STEPS} of {TURNS} runs each "
        "by turns, in float32 on the processor; tokens are those of images, instructions and answers, without padding. "
        "`Trainer` is transformers' loop with conversations as they come, padded to the longest of a step, images "
        "encoded one by one, and logits of all positions. `padded` is this project's default (like lengths together, "
        "tiles in one flat call, logits of the answers alone), `packed` puts several to a row of about 512 tokens "
        "(`pack_tokens=512`). The pointer is left out on both sides.",
    ]  # fmt: skip
    for name, runs in found.items():
        plain = statistics.fmean(one.tokens_per_s for one in runs["Trainer"])
        what = "the tower trained" if name == "nano" else "the tower frozen"
        lines += [
            "", f"## {name}: {sizes[name]:.1f} M parameters, {what}", "",
            "| run | tokens/s | of the Trainer's | padding | waiting for data |", "|---|---|---|---|---|",
        ]  # fmt: skip
        for run, speeds in runs.items():
            rates = [one.tokens_per_s for one in speeds]
            mean, spread = statistics.fmean(rates), statistics.stdev(rates)
            padding, wait = (statistics.fmean(getattr(one, key) for one in speeds) for key in ("padding", "wait"))
            lines.append(f"| {run} | {mean:.0f} ± {spread:.0f} | {mean / plain:.2f} | {padding:.1%} | {wait:.1%} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure everything by turns, or one run when asked by a parent process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("out/data"), help="folder of the built-in model's stores")
    parser.add_argument("--model", choices=MODELS, help="with --run, measure this alone and print its JSON")
    parser.add_argument("--run", choices=sorted(RUNS))
    options = parser.parse_args()
    if options.run:
        measure = measure_trainer(options.model, options.data) if options.run == "Trainer" else measure_nadir(
            options.model, options.data, RUNS[options.run])  # fmt: skip
        print(json.dumps(asdict(measure)))
        return
    found: dict[str, dict[str, list[Speed]]] = {name: {run: [] for run in RUNS} for name in MODELS}
    for _, name, run in itertools.product(range(TURNS), MODELS, RUNS):
        found[name][run].append(measure_apart(name, run, options.data))
        print(name, run, found[name][run][-1], flush=True)
    sizes = {name: sum(one.numel() for one in build(name)[0].parameters()) / 1e6 for name in MODELS}
    REPORT.write_text(render(found, sizes, options.data))


if __name__ == "__main__":
    main()
