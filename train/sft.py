"""Instruction tuning, started by `python` or by `deepspeed`.

    python train/sft.py --recipe nano --data DIR --out out/nano/sft --minutes 30
    deepspeed --num_gpus 2 train/sft.py --recipe nano --data DIR --out out/nano/sft --steps 2000

Stops after `--minutes` or `--steps`; started again on the same folder it goes on from the last checkpoint.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import vlm.compat  # noqa: F401  # isort: skip

import torch
from torch import nn
from torch.utils.data import DataLoader
from transformers import BatchFeature

from train.adapters import Adapter, save_trained
from train.engine import Engine, build_engine
from train.loss import answer_loss, answer_weights, inside_brackets
from train.mixture import Feed, Mixture
from train.modules import Rates, rate_groups
from train.parameters import freeze_norms
from train.pointing import PointerLoss, pointer_cells
from train.progress import Progress
from train.tokenizer import number_ids
from vlm.checkpoint import build_from_parts, save_checkpoint
from vlm.model import NadirForConditionalGeneration
from vlm.processor import NadirProcessor

LOG = logging.getLogger("nadir.train")


@dataclass(frozen=True)
class SftConfig:
    """Settings of instruction tuning."""

    batch: int = 24
    """Conversations a step and process."""
    steps: int = 1_000_000
    """Most optimizer steps."""
    minutes: float = 30.0
    """Most wall-clock minutes, over all restarts."""
    learning_rate: float = 8e-4
    """Peak; warm-up is linear, decay a cosine over the steps or minutes, whichever ends first."""
    rates: Rates = field(default_factory=lambda: Rates(encoder=0.5))
    """The table of modules: factors on the learning rate, 0 for what is frozen."""
    adapter: Adapter = field(default_factory=Adapter)
    """How the language model is tuned: whole, by LoRA or by QLoRA."""
    encoder_groups: int | None = None
    """Train only the last so many groups of the encoder's layers, as open_clip counts them; None trains all."""
    warmup_steps: int = 100
    weight_decay: float = 0.05
    clip_norm: float = 1.0
    sigma: float = 4.0
    """Width of the soft targets on coordinates, in units of 1/1000 of the image."""
    pointer_weight: float = 1.0
    """Weight of the loss that teaches the pointer where the answer lies (train/pointing.py)."""
    bf16: bool = False
    """Multiply matrices in bfloat16 (weights and optimizer stay float32): twice as fast where the processor has it."""
    place_weight: float = 3.0
    """Weight of a token between brackets, a coordinate, beside that of a word of an answer as long."""
    save_minutes: float = 5.0
    seed: int = 0


class PlaceTokens(NamedTuple):
    """Name the tokens that places are written with: both brackets and the integers 0, 1, ..., K-1."""

    opening: int
    closing: int
    numbers_K: torch.Tensor


def train_sft(
    model: NadirForConditionalGeneration,
    processor: NadirProcessor,
    feeds: Sequence[tuple[Feed, float]],
    config: SftConfig,
    out: Path,
) -> None:
    """Train on a mixture until the time or the steps are over; write `out/model` and the state to go on from."""
    optimizer = torch.optim.AdamW(parameter_groups(model, config), lr=config.learning_rate, betas=(0.9, 0.98))
    engine = build_engine(model, optimizer, batch=config.batch, clip_norm=config.clip_norm)
    step, spent = engine.resume(out)
    device = next(model.parameters()).device
    opening, closing = processor.tokenizer.convert_tokens_to_ids(["[", "]"])
    places = PlaceTokens(opening, closing, torch.tensor(number_ids(processor.tokenizer), device=device))
    progress = Progress("sft", out / "log.jsonl", (config.minutes - spent) * 60)
    pointing = None if model.pointer is None else PointerLoss(model.pointer)
    set_training(model)
    started, saved, minutes = time.monotonic(), spent, spent
    mixture = Mixture(
        feeds, processor, config.batch, config.seed + 1000 * step + engine.rank, cells=pointer_cells(model)
    )
    for batch in DataLoader(mixture, batch_size=None, num_workers=1, prefetch_factor=8):
        minutes = engine.agree(spent + (time.monotonic() - started) / 60)
        done = max(step / config.steps, minutes / config.minutes)
        if done >= 1:
            break
        set_rate(optimizer, config, step, done)
        loss, where = forward_loss(engine.model, batch, places, config, pointing)
        engine.step(loss + config.pointer_weight * where)
        step += 1
        progress.step(step, loss=float(loss.detach()), pointer=float(where.detach()), pairs=config.batch)
        if minutes - saved >= config.save_minutes:
            save_state(engine, model, processor, out, step=step, minutes=minutes, config=config)
            saved = minutes
    save_state(engine, model, processor, out, step=step, minutes=minutes, config=config)


def forward_loss(
    model: nn.Module, batch: BatchFeature, places: PlaceTokens, config: SftConfig, pointing: PointerLoss | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run one batch forward and give the loss of its answers and that of the pointer."""
    device = next(model.parameters()).device
    inputs = {key: value.to(device) for key, value in batch.items()}
    labels_BS = inputs.pop("labels")[:, 1:]
    targets = inputs.pop("pointer_targets", None)
    answered_BS = torch.nn.functional.pad(labels_BS != -100, (0, 1))
    with torch.autocast(device.type, torch.bfloat16, enabled=config.bf16):
        logits_MV = model(**inputs, logits_at=answered_BS, use_cache=False).logits
    labels_M = labels_BS[labels_BS != -100]
    places_M = inside_brackets(labels_M, places.opening, places.closing)
    weights_M = answer_weights(answered_BS) * torch.where(places_M, config.place_weight, 1.0)
    loss = answer_loss(logits_MV, labels_M, places.numbers_K, config.sigma, soft_M=places_M, weights_M=weights_M)
    return loss, loss.new_zeros(()) if targets is None or pointing is None else pointing(targets)


def set_training(model: NadirForConditionalGeneration) -> None:
    """Switch to training, but keep batch normalisation on its running statistics: training sees what serving sees."""
    model.train()
    freeze_norms(model)


def parameter_groups(model: NadirForConditionalGeneration, config: SftConfig) -> list[dict[str, Any]]:
    """Split the trained parameters by learning rate and weight decay."""
    return rate_groups(model, config.rates, weight_decay=config.weight_decay, encoder_groups=config.encoder_groups)


def set_rate(optimizer: torch.optim.Optimizer, config: SftConfig, step: int, done: float) -> None:
    """Set the learning rate of step `step`, `done` in [0, 1) of the run being over."""
    scale = min(1.0, (step + 1) / config.warmup_steps) * (0.02 + 0.98 * (1 + math.cos(math.pi * done)) / 2)
    for group in optimizer.param_groups:
        group["lr"] = config.learning_rate * group["factor"] * scale


def save_state(
    engine: Engine,
    model: NadirForConditionalGeneration,
    processor: NadirProcessor,
    out: Path,
    *,
    step: int,
    minutes: float,
    config: SftConfig,
) -> None:
    """Write the state to go on from and, by the first process, the checkpoint that `Nadir.from_pretrained` loads."""
    engine.save(out, step=step, minutes=minutes)
    if engine.rank == 0:
        save_trained(model, processor, out / "model")
        run = {"config": asdict(config), "commit": current_commit(), "step": step, "minutes": round(minutes, 2)}
        (out / "model" / "training.json").write_text(json.dumps(run, indent=1) + "\n")


def spent_minutes(out: Path) -> float:
    """Give the minutes that a run has saved, rounded as they are written; 0 before its first checkpoint."""
    notes = out / "model" / "training.json"
    return float(json.loads(notes.read_text())["minutes"]) if notes.exists() else 0.0


def current_commit() -> str:
    """Give the git commit of the code, or "unknown" outside a repository."""
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def main() -> None:
    """Parse the command line and run the stage of a recipe."""
    from train.nano import run_sft

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="nano", help="name of a recipe in train/recipes.py")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the recipe's datasets")
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoints and log")
    parser.add_argument("--start", type=Path, help="model directory to start from (default: an untrained model)")
    parser.add_argument("--llm", help="language model (hub name or directory) for a new model of the recipe's data")
    parser.add_argument("--vision", default="ViT-L-14", help="open_clip architecture of a new model")
    parser.add_argument("--vision-checkpoint", type=Path, help="its weights, such as RemoteCLIP-ViT-L-14.pt")
    parser.add_argument("--qformer", type=Path, help="InstructBLIP directory whose Q-former to start from")
    parser.add_argument("--minutes", type=float, default=SftConfig.minutes)
    parser.add_argument("--steps", type=int, default=SftConfig.steps)
    parser.add_argument("--batch", type=int, default=SftConfig.batch)
    parser.add_argument("--dry-run", action="store_true", help="print the plan and touch nothing")
    parser.add_argument("--local_rank", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = SftConfig(batch=arguments.batch, steps=arguments.steps, minutes=arguments.minutes)
    start = arguments.start
    if arguments.llm is not None and start is None:
        start = arguments.out / "untrained"
        build_untrained(start, arguments)
    run_sft(arguments.recipe, arguments.data, arguments.out, config, start=start, dry_run=arguments.dry_run)


def build_untrained(folder: Path, arguments: argparse.Namespace) -> None:
    """Join the pretrained parts that the command line names into an untrained model, once."""
    if arguments.dry_run or (folder / "config.json").exists():
        return
    parts = build_from_parts(
        llm=arguments.llm,
        vision=arguments.vision,
        vision_checkpoint=arguments.vision_checkpoint,
        qformer_checkpoint=arguments.qformer,
    )
    save_checkpoint(*parts, folder)


if __name__ == "__main__":
    main()
