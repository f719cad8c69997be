"""Contrastive continual pre-training of the encoder's two towers on captioned images.

    python -m train.clip --vision ViT-L-14 --vision-checkpoint RemoteCLIP-ViT-L-14.pt --data out/mine --out out/towers
    torchrun --nproc_per_node 8 -m -- train.clip --start out/tuned/model --data out/mine --out out/clip batch=1024

Stops after `steps` or `minutes`; started again on the same folder it goes on from the last checkpoint. What each loss
is says train/contrast.py and train/regions.py; what is drawn, train/captions.py.
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import logging
import math
import os
import random
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch.utils.data import DataLoader

from train.captions import Batch, Steps, Wanted, parse_languages
from train.checkpoints import check_room
from train.clip_losses import ClipLosses, Weights
from train.engine import Engine, EngineSettings, build_engine, choose_device, count_processes
from train.guard import Guard
from train.parameters import check_batch, freeze_norms, group_parameters, peak_gib
from train.progress import Progress
from train.regions import Teacher
from train.run_card import write_card
from train.runs import Ledger, Run, checkpoint_bytes, settings_of
from train.sft import current_commit
from train.steps import seed_step
from train.towers import Towers
from train.trackers import open_trackers
from vlm.errors import InputError

LOG = logging.getLogger("nadir.train")
STEPS = 2000
"""Steps of a run that says neither how many nor how long."""


@dataclass(frozen=True)
class ClipConfig:
    """Settings of contrastive continual pre-training."""

    batch: int = 256
    """Pairs a step, over all processes: each is told from all others."""
    steps: int | None = None
    """Optimizer steps; None for as many as the minutes hold, or STEPS without these."""
    minutes: float | None = None
    """Most wall-clock minutes, over all restarts; a schedule by the clock cannot be repeated step by step."""
    learning_rate: float = 1e-5
    """Peak; warm-up is linear, decay a cosine over the steps, or the minutes if these end first."""
    encoder_rate: float = 1.0
    """Factor on the learning rate of the vision tower; 0 freezes it."""
    text_rate: float = 1.0
    """Factor on that of the text tower and the temperature; 0 freezes them."""
    encoder_groups: int | None = None
    """Train only the last so many groups of the vision tower's layers, as open_clip counts them; None trains all."""
    warmup_steps: int = 100
    weight_decay: float = 0.2
    clip_norm: float = 1.0
    smallest: float = 0.6
    """Least part of an image's sides that is seen at a time."""
    languages: tuple[str, ...] = ()
    """Languages of captions and their weights, such as en:0.7,pt:0.3; none draws every caption alike."""
    box_captions: bool = False
    """Also learn from sentences that the boxes of an image make (RemoteCLIP; data_engine/recipes/box_caption.py)."""
    rotation_weight: float = 0.0
    """Weight of the loss that makes an image and its quarter turns mean the same."""
    region_weight: float = 0.0
    """Weight of the loss that tells annotated regions by their category (train/regions.py)."""
    region_from: Literal["cut", "patches"] = "cut"
    """What stands for a region: itself, cut out and seen alone, or the image's patches under it."""
    region_count: int = 4
    """Most regions of an image that are learned from at a time."""
    region_prompt: str = "a satellite image of {}"
    """The text of a category, in the place of {}."""
    distill_weight: float = 0.0
    """Weight of the loss that keeps patches of the whole image like a teacher's of a crop (train/regions.py)."""
    distill_crops: int = 2
    """Crops of an image that the teacher sees."""
    distill_cells: int = 1
    """Cells a side in which crops are compared: 1 for their mean, more for patch by patch."""
    teacher_decay: float = 0.99
    """The teacher follows the tower: teacher = decay * teacher + (1 - decay) * tower; 1 for one that stands still."""
    bf16: bool = False
    """Multiply matrices in bfloat16; weights, optimizer and losses stay float32."""
    recompute: bool = False
    """Compute activations twice instead of keeping them (gradient checkpointing)."""
    spike: float = 0.0
    """Factor over the recent loss from which a step is left out; 0 leaves out only what is no number."""
    most_bad: int = 10
    """Steps left out, among a hundred, that end the run."""
    zero: Literal[1, 2] = 1
    """DeepSpeed's ZeRO stage, when several processes train: they share optimizer states, gradients (2)."""
    workers: int = 4
    """Processes that prepare data, for each process that trains."""
    keep: int = 2
    """Checkpoints that are kept, the newest."""
    save_minutes: float = 15.0
    save_steps: int | None = None
    """Steps between two checkpoints, beside the minutes."""
    log_s: float = 15.0
    """Seconds between two lines of the log."""
    log_steps: int | None = None
    """Steps between two lines, beside the seconds."""
    wandb: str = ""
    """Project at Weights & Biases that the log goes to as well; "" for none."""
    seed: int = 0

    @property
    def most_steps(self) -> int:
        """Give the steps after which the run is over, whatever the clock says."""
        return self.steps if self.steps is not None else STEPS if self.minutes is None else sys.maxsize

    def wanted(self) -> Wanted:
        """Give what is drawn of the data; InputError for languages that are none."""
        regions = self.region_count if self.region_weight else 0
        crops = self.distill_crops if self.distill_weight else 0
        return Wanted(parse_languages(self.languages), self.box_captions, regions, crops, self.smallest)

    def weights(self) -> Weights:
        """Give what each loss counts."""
        return Weights(
            self.region_weight,
            self.region_from,
            self.region_prompt,
            self.distill_weight,
            self.distill_cells,
            self.rotation_weight,
        )


def train_clip(
    towers: Towers, data: Steps, config: ClipConfig, out: Path, *, sources: Sequence[Mapping[str, Any]] = ()
) -> None:
    """Train until the steps or the minutes are over; leave in `out` what train/runs.py names.

    The towers are in `out/model`. `sources` tell of the data for the run's card. Raises TrainingError when too many
    steps are no good.
    """
    check_batch(config.batch, processes=count_processes(), accumulate=1)
    towers.encoder.to(choose_device())
    optimizer = torch.optim.AdamW(
        parameter_groups(towers, config), lr=config.learning_rate, betas=(0.9, 0.98), eps=1e-6
    )
    losses = build_losses(towers, config)
    check_room(out, (config.keep + 1) * checkpoint_bytes(losses), f"{config.keep + 1} checkpoints")
    settings = EngineSettings(config.clip_norm, config.zero, micro_batch=config.batch // count_processes())
    engine = build_engine(losses, optimizer, settings)
    run = open_run(engine, towers, losses.teacher, config, out, sources)
    step, spent = run.resume()
    saved, minutes, started = spent, spent, 0.0
    progress = open_progress(config, out, spent) if run.first else None
    set_training(towers)
    for batch, wait_s in load_steps(data, engine, config, first=step):
        started = started or time.monotonic()
        minutes = run.agree(spent + (time.monotonic() - started) / 60)
        done = max(step / config.most_steps, minutes / config.minutes if config.minutes else 0.0)
        if done >= 1:
            break
        seed_step(config.seed, step, engine.rank)
        set_rate(optimizer, config, step, done)
        told = take_step(engine, batch, run.guard, config, step)
        if losses.teacher is not None:
            losses.teacher.update()
        step += 1
        run.ledger.conversations += config.batch
        run.ledger.tiles += config.batch
        if progress is not None:
            rates = {"images_per_s": config.batch, "wait": wait_s}
            progress.step(step, pairs=config.batch, rates=rates, **told, lr=read_rate(optimizer), peak_gib=peak_gib())
        if minutes - saved >= config.save_minutes or (config.save_steps and step % config.save_steps == 0):
            run.save(step, minutes)
            saved = minutes
    run.save(step, minutes, last=True)


def build_losses(towers: Towers, config: ClipConfig) -> ClipLosses:
    """Give the losses that a run goes down, with a teacher where patches are distilled."""
    teacher = Teacher(towers.encoder, config.teacher_decay) if config.distill_weight else None
    if config.recompute:
        cast(Any, towers.encoder.clip).set_grad_checkpointing(True)
    rank = int(os.environ.get("RANK", 0))
    return ClipLosses(towers, config.weights(), teacher=teacher, bf16=config.bf16, rank=rank, ranks=count_processes())


def take_step(engine: Engine, batch: Batch, guard: Guard, config: ClipConfig, step: int) -> dict[str, float]:
    """Go one step down the losses, and give them with the gradient's norm; a bad one is left out on all processes."""
    parts: dict[str, torch.Tensor] = engine.model(batch, random.Random(f"{config.seed}/turn/{step}"))
    loss = torch.stack(list(parts.values())).sum()
    sums = engine.total(torch.stack([one.detach().float() for one in parts.values()])).tolist()
    passed = guard.passes(sum(sums))
    norm = float("nan")
    if passed:
        engine.backward(loss)
        norm = engine.step()
    guard.note(step, sum(sums), whole=passed and math.isfinite(norm))
    by_name = {f"loss/{name}": value for name, value in zip(parts, sums, strict=True)}
    return {"loss": sum(sums), **(by_name if len(by_name) > 1 else {}), "norm": norm}


def open_run(
    engine: Engine,
    towers: Towers,
    teacher: Teacher | None,
    config: ClipConfig,
    out: Path,
    sources: Sequence[Mapping[str, Any]],
) -> Run:
    """Give the run's folder, with what it writes beside its state: the towers, and the card that tells of them."""
    guard = Guard(config.spike, config.most_bad)

    def describe(ledger: Ledger, step: int, minutes: float) -> None:
        notes = {"config": asdict(config), "commit": current_commit(), "step": step, "minutes": round(minutes, 2)}
        write_card(out, notes, ledger=vars(ledger) | {"bad_steps": guard.skipped}, data=sources)

    return Run(out, engine, guard, None, config.keep, towers.write, describe, beside=teacher)


def load_steps(data: Steps, engine: Engine, config: ClipConfig, *, first: int) -> Iterator[tuple[Batch, float]]:
    """Yield this process's part of each step from `first` on, and one more, with the seconds that it was waited for."""
    data.rank, data.ranks = engine.rank, engine.ranks
    loader = DataLoader(
        data,
        batch_size=None,
        sampler=range(first, min(config.most_steps + 1, sys.maxsize)),
        num_workers=config.workers,
        prefetch_factor=2 if config.workers else None,
        generator=torch.Generator(),
    )
    asked = time.monotonic()
    for batch in loader:
        yield batch, time.monotonic() - asked
        asked = time.monotonic()


def parameter_groups(towers: Towers, config: ClipConfig) -> list[dict[str, Any]]:
    """Split what trains by learning rate; vectors (norms, biases, temperature) have no weight decay.

    Raises InputError where nothing trains.
    """
    clip: Any = towers.encoder.clip
    towers.encoder.requires_grad_(True)
    if config.encoder_groups is not None:
        clip.visual.lock(unlocked_groups=config.encoder_groups)
    visual = {id(one) for one in clip.visual.parameters()}
    found = []
    for one in clip.parameters():
        rate = config.encoder_rate if id(one) in visual else config.text_rate
        one.requires_grad_(one.requires_grad and rate > 0)
        found.append((one, rate, config.weight_decay if one.ndim > 1 else 0.0))
    groups = group_parameters(found)
    if not groups:
        raise InputError("nothing trains: encoder_rate and text_rate are 0, raise one of them")
    return groups


def set_training(towers: Towers) -> None:
    """Switch to training, but keep batch normalisation on its running statistics: training sees what serving sees."""
    towers.encoder.train()
    freeze_norms(towers.encoder)


def set_rate(optimizer: torch.optim.Optimizer, config: ClipConfig, step: int, done: float) -> None:
    """Set the learning rate of step `step`, `done` in [0, 1) of the run being over."""
    scale = min(1.0, (step + 1) / max(1, config.warmup_steps)) * (1 + math.cos(math.pi * done)) / 2
    for group in optimizer.param_groups:
        group["lr"] = config.learning_rate * group["factor"] * scale


def read_rate(optimizer: torch.optim.Optimizer) -> float:
    """Give the learning rate of what trains at factor 1."""
    group = optimizer.param_groups[0]
    return float(group["lr"] / group["factor"])


def open_progress(config: ClipConfig, out: Path, spent: float) -> Progress:
    """Give what writes the log."""
    return Progress(
        "clip",
        out / "log.jsonl",
        None if config.minutes is None else (config.minutes - spent) * 60,
        config.log_s,
        total_steps=None if config.minutes is not None and config.steps is None else config.most_steps,
        every_steps=config.log_steps,
        listeners=open_trackers(out, wandb=config.wandb, settings=settings_of(config)),
    )


def main() -> None:
    """Parse the command line and train the towers."""
    from train.clip_start import run

    run(__doc__ or "")


if __name__ == "__main__":
    main()
