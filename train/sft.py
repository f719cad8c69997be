"""Instruction tuning, started by `python` or by `deepspeed`.

    python train/sft.py --recipe nano --data DIR --out out/nano/sft --minutes 30
    deepspeed --num_gpus 2 train/sft.py --recipe nano --data DIR --out out/nano/sft --steps 2000

Stops after `--minutes` or `--steps`; started again on the same folder it goes on from the last checkpoint.
"""

from __future__ import annotations

import json
import logging
import math
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import vlm.compat  # noqa: F401  # isort: skip

import torch
from torch.utils.data import DataLoader
from transformers import BatchFeature

from train.adapters import Adapter, save_trained
from train.average import Average
from train.checkpoints import check_room
from train.engine import Engine, EngineSettings, build_engine, choose_device, count_processes
from train.evaluation import Evaluation, EvaluationSettings
from train.guard import Guard
from train.mixture import BLIND_SHARE, Feed, Mixture
from train.modules import Rates, rate_groups
from train.objective import Objective, PlaceTokens
from train.packing import Pieces
from train.parameters import (
    check_batch,
    freeze_norms,
    keep_memory,
    peak_gib,
    quicken_strides,
    recompute_activations,
)
from train.pointing import PointerLoss, pointer_cells
from train.progress import Listener, Progress
from train.run_card import write_card
from train.runs import Ledger, Run, checkpoint_bytes, settings_of
from train.speed import Speed, find_speed
from train.steps import StepResult, seed_step, take_step
from train.trackers import open_trackers
from vlm.dialects import get_dialect
from vlm.errors import InputError
from vlm.model import NadirForConditionalGeneration
from vlm.processor import NadirProcessor

LOG = logging.getLogger("nadir.train")
STEPS = 2000
"""Steps of a run that says neither how many nor how long."""


@dataclass(frozen=True)
class SftConfig:
    """Settings of instruction tuning."""

    batch: int = 24
    """Conversations a step, over all processes."""
    accumulate: int = 1
    """Pieces that a process takes its part of a step in, one after the other, where all at once do not fit."""
    steps: int | None = None
    """Optimizer steps; None for as many as the minutes hold, or STEPS without these."""
    minutes: float | None = None
    """Most wall-clock minutes, over all restarts; a schedule by the clock cannot be repeated step by step."""
    learning_rate: float = 8e-4
    """Peak; warm-up is linear, decay a cosine over the steps, or the minutes if these end first."""
    rates: Rates = field(default_factory=lambda: Rates(encoder=0.5))
    """The table of modules: factors on the learning rate, 0 for what is frozen."""
    adapter: Adapter = field(default_factory=Adapter)
    """How the language model is tuned: whole, by LoRA or by QLoRA."""
    encoder_groups: int | None = None
    """Train only the last so many groups of the encoder's layers, as open_clip counts them; None trains all."""
    depthwise: bool = True
    """Train the encoder's depthwise convolutions: on a processor the gradient of these few weights takes as long as the
    rest of a convolutional encoder."""
    warmup_steps: int = 100
    weight_decay: float = 0.05
    clip_norm: float = 1.0
    sigma: float = 4.0
    """Width of the soft targets on coordinates, in units of 1/1000 of the image."""
    pointer_weight: float = 1.0
    """Weight of the loss that teaches the pointer where the answer lies (train/pointing.py)."""
    answers: bool = True
    """Whether answers are learned; without them the pointer alone is, on conversations about places, in less time."""
    bf16: bool = False
    """Multiply matrices in bfloat16 (weights and optimizer stay float32): twice as fast where the processor has it."""
    dialects: tuple[str, ...] = ()
    """Other dialects than the model's that it is taught beside, each with its share of the conversations about places,
    such as qwen3:0.1,geochat:0.1."""
    place_weight: float = 3.0
    """Weight of a token between brackets, a coordinate, beside that of a word of an answer as long."""
    pack_tokens: int | None = None
    """Tokens of a row that conversations are packed into, 0 for one row a piece; None pads them to one length."""
    recompute: bool = False
    """Compute activations twice instead of keeping them (gradient checkpointing): less memory, a third more time."""
    average: float = 0.0
    """Decay of the moving average of the weights that is written instead of the last, such as 0.999; 0: none."""
    spike: float = 0.0
    """Factor over the recent loss from which a piece of a step is left out; 0 leaves out only what is no number."""
    most_bad: int = 10
    """Steps with something left out, among a hundred, that end the run."""
    zero: Literal[0, 1, 2, 3] = 1
    """DeepSpeed's ZeRO stage, when several processes train: they share optimizer states, gradients (2), weights (3)."""
    offload: Literal["none", "optimizer", "all"] = "none"
    """What of these waits in the processor's memory."""
    weights: Literal["float32", "bfloat16", "float16"] = "float32"
    """Format of the weights under DeepSpeed, which then keeps float32 copies for the optimizer."""
    workers: int = 1
    """Processes that prepare data, for each process that trains."""
    keep: int = 2
    """Checkpoints that are kept, the newest."""
    save_minutes: float = 5.0
    save_steps: int | None = None
    """Steps between two checkpoints, beside the minutes."""
    log_s: float = 15.0
    """Seconds between two lines of the log."""
    log_steps: int | None = None
    """Steps between two lines, beside the seconds."""
    teraflops: float | None = None
    """Peak of one device in 10^12 operations a second, of which the log says the share, MFU; None for a known GPU's."""
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    """What the model is asked while it trains; the minutes of a run are without it."""
    wandb: str = ""
    """Project at Weights & Biases that the log goes to as well; "" for none."""
    seed: int = 0

    @property
    def most_steps(self) -> int:
        """Give the steps after which the run is over, whatever the clock says."""
        return self.steps if self.steps is not None else STEPS if self.minutes is None else sys.maxsize

    def engine(self) -> EngineSettings:
        """Give what the engine is to know."""
        micro = self.batch // (self.accumulate * count_processes())
        return EngineSettings(self.clip_norm, self.zero, self.offload, self.weights, micro)


def train_sft(
    model: NadirForConditionalGeneration,
    processor: NadirProcessor,
    feeds: Sequence[tuple[Feed, float]],
    config: SftConfig,
    out: Path,
    *,
    data: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Train on a mixture until the steps or the minutes are over; leave in `out` what train/runs.py names.

    `data` tells of the sources for the run's card. Raises TrainingError when too many steps are no good.
    """
    check_batch(config.batch, processes=count_processes(), accumulate=config.accumulate)
    if model.pointer is None and not config.answers:
        raise InputError("answers=false trains the pointer alone, and this model has none (pointer_width is 0)")
    device = choose_device()
    cast(Any, model).to(device)
    if device.type == "cpu":
        keep_memory()
        quicken_strides(model.encoder)
    optimizer = torch.optim.AdamW(parameter_groups(model, config), lr=config.learning_rate, betas=(0.9, 0.98))
    check_room(out, (config.keep + 1) * checkpoint_bytes(model), f"{config.keep + 1} checkpoints")
    if config.recompute:
        recompute_activations(model)
    cells, objective = pointer_cells(model), build_objective(model, processor, config)
    engine = build_engine(model, optimizer, config.engine())
    listeners = open_trackers(out, wandb=config.wandb, settings=settings_of(config)) if engine.rank == 0 else ()
    run = open_run(engine, model, processor, config, out, data, listeners)
    step, spent = run.resume()
    saved, minutes, started = spent, spent, 0.0
    progress = open_progress(config, out, spent, listeners) if run.first else None
    speed = measure_by(model, engine, config) if run.first else None
    blind = BLIND_SHARE if config.answers else 0.0
    dialect, others = model.config.dialect, read_dialects(config.dialects)
    mixture = Mixture(
        feeds, processor, config.batch, config.seed, cells=cells, blind=blind, dialect=dialect, others=others
    )
    set_training(model)
    for pieces, wait_s in load_steps(mixture, engine, config, first=step):
        started = started or time.monotonic()
        minutes = run.agree(spent + (time.monotonic() - started) / 60)
        done = max(step / config.most_steps, minutes / config.minutes if config.minutes else 0.0)
        if done >= 1:
            break
        seed_step(config.seed, step, engine.rank)
        set_rate(optimizer, config, step, done)
        result = take_step(engine, objective, pieces, run.guard, step)
        step += 1
        run.note(result, config.batch)
        report(progress, step, result, optimizer, config, wait_s=wait_s, speed=speed)
        if minutes - saved >= config.save_minutes or (config.save_steps and step % config.save_steps == 0):
            paused_s = run.save(step, minutes)
            saved, started = minutes, started + paused_s
            if progress is not None:
                progress.pause(paused_s)
    run.save(step, minutes, last=True)


def build_objective(model: NadirForConditionalGeneration, processor: NadirProcessor, config: SftConfig) -> Objective:
    """Give the loss of a model's answers and pointer."""
    return Objective(
        places=PlaceTokens.of(processor, next(model.parameters()).device),
        pointing=None if model.pointer is None else PointerLoss(model.pointer),
        sigma=config.sigma,
        place_weight=config.place_weight,
        pointer_weight=config.pointer_weight,
        bf16=config.bf16,
        answers=config.answers,
    )


def open_run(
    engine: Engine,
    model: NadirForConditionalGeneration,
    processor: NadirProcessor,
    config: SftConfig,
    out: Path,
    data: Sequence[Mapping[str, Any]],
    listeners: tuple[Listener, ...] = (),
) -> Run:
    """Give the run's folder, with what it writes beside its state: the model, and the card that tells of it."""
    if config.average and config.zero == 3 and engine.ranks > 1:
        raise InputError("average is kept with ZeRO 0, 1 and 2: with zero=3 no process has the weights; set average=0")

    guard, evaluation = Guard(config.spike, config.most_bad), None
    if config.evaluation.cases and engine.rank == 0:
        evaluation = Evaluation(out, config.evaluation, str(engine.device), listeners)
        evaluation.check()

    def write_model(folder: Path) -> None:
        save_trained(model, processor, folder)

    def describe(ledger: Ledger, step: int, minutes: float) -> None:
        notes = {"config": asdict(config), "commit": current_commit(), "step": step, "minutes": round(minutes, 2)}
        write_card(out, notes, ledger=vars(ledger) | {"bad_steps": guard.skipped}, data=data)

    average = Average(model, config.average) if config.average else None
    return Run(out, engine, guard, average, config.keep, write_model, describe, evaluation)


def load_steps(
    mixture: Mixture, engine: Engine, config: SftConfig, *, first: int
) -> Iterator[tuple[list[BatchFeature], float]]:
    """Yield this process's pieces of each step from `first` on, and the seconds that were waited for them."""
    pieces = Pieces(
        mixture,
        first,
        engine.rank,
        engine.ranks,
        config.accumulate,
        config.pack_tokens,
        complete=engine.ranks > 1,
    )
    loader = DataLoader(
        pieces,
        batch_size=None,
        num_workers=config.workers,
        prefetch_factor=2 if config.workers else None,
        pin_memory=engine.device.type == "cuda",
        generator=torch.Generator(),
    )
    windows = iter(loader)
    while True:
        asked = time.monotonic()
        steps = next(windows)
        wait_s = time.monotonic() - asked
        for step in steps:
            yield step, wait_s
            wait_s = 0.0


def read_dialects(given: Sequence[str]) -> dict[str, float]:
    """Read `name:share` pairs; raises InputError where a share is none or they are more than all, GeometryError for an
    unknown name."""
    found: dict[str, float] = {}
    for text in given:
        name, _, share = text.partition(":")
        try:
            found[get_dialect(name).name] = float(share)
        except ValueError as error:
            raise InputError(f"dialects has {text!r}: expected a name and a share, such as qwen3:0.1") from error
    if not all(0 < share <= 1 for share in found.values()) or sum(found.values()) > 1:
        raise InputError(f"dialects={','.join(given)}: shares lie between 0 and 1, and together are at most 1")
    return found


def set_training(model: NadirForConditionalGeneration) -> None:
    """Switch to training, but keep batch normalisation on its running statistics: training sees what serving sees."""
    model.train()
    freeze_norms(model)


def parameter_groups(model: NadirForConditionalGeneration, config: SftConfig) -> list[dict[str, Any]]:
    """Split the trained parameters by learning rate and weight decay."""
    return rate_groups(
        model,
        config.rates,
        weight_decay=config.weight_decay,
        encoder_groups=config.encoder_groups,
        depthwise=config.depthwise,
        answers=config.answers,
    )


def set_rate(optimizer: torch.optim.Optimizer, config: SftConfig, step: int, done: float) -> None:
    """Set the learning rate of step `step`, `done` in [0, 1) of the run being over."""
    scale = min(1.0, (step + 1) / config.warmup_steps) * (0.02 + 0.98 * (1 + math.cos(math.pi * done)) / 2)
    for group in optimizer.param_groups:
        group["lr"] = config.learning_rate * group["factor"] * scale


def measure_by(model: NadirForConditionalGeneration, engine: Engine, config: SftConfig) -> Speed | None:
    """Give what the share of the devices' peak is told by, where that is known."""
    return find_speed(model.config, config.rates, config.adapter, devices=engine.ranks, teraflops=config.teraflops)


def open_progress(config: SftConfig, out: Path, spent: float, listeners: tuple[Listener, ...]) -> Progress:
    """Give what writes the log."""
    return Progress(
        "sft",
        out / "log.jsonl",
        None if config.minutes is None else (config.minutes - spent) * 60,
        config.log_s,
        total_steps=None if config.minutes is not None and config.steps is None else config.most_steps,
        every_steps=config.log_steps,
        listeners=listeners,
    )


def report(
    progress: Progress | None,
    step: int,
    result: StepResult,
    optimizer: torch.optim.Optimizer,
    config: SftConfig,
    *,
    wait_s: float,
    speed: Speed | None,
) -> None:
    """Tell the log of a step."""
    if progress is None:
        return
    factor = optimizer.param_groups[0]["factor"]
    rates = {"tokens_per_s": result.tokens, "images_per_s": result.tiles, "wait": wait_s}
    if speed is not None:
        rates["mfu"] = speed.least_s(result, config.batch)
    progress.step(
        step,
        pairs=config.batch,
        rates=rates,
        loss=result.loss,
        pointer=result.pointer,
        **{f"loss/{task}": loss for task, loss in result.tasks.items()},
        lr=optimizer.param_groups[0]["lr"] / factor if factor else 0.0,
        norm=result.norm,
        padding=result.padding / max(1, result.padding + result.tokens),
        peak_gib=peak_gib(),
    )


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
    from train.start import run

    run(__doc__ or "")


if __name__ == "__main__":
    main()
