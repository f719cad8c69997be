"""What is trained on a user's own labels, and how long: the pointer first, then all that writes answers.

Few labels and few minutes: the pointer learns what the objects look like at a high rate while the language model stands
still; then the language model learns to say what the pointer tells, beside boxes that are only told (train/telling.py),
so that it does not unlearn to copy. What trains in which round is the table ROUNDS.
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import json
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch

from data_engine.store.rows import Rows
from train.export import export
from train.mixture import Conversation, Feed, group_feed
from train.modules import Rates
from train.sft import SftConfig, spent_minutes, train_sft
from train.telling import told_feed, told_list_feed
from vlm.checkpoint import load_checkpoint
from vlm.config import BOX_NUMBERS, NadirConfig
from vlm.model_dir import model_dir
from vlm.processor import NadirProcessor
from vlm.records import Sample

LOG = logging.getLogger("nadir.train")
WEIGHTS: Final = {
    "detect": 0.4, "ground": 0.3, "count": 0.15, "presence": 0.05, "mask": 0.1, "region": 0.05,
    "detect-obb": 0.2, "ground-obb": 0.15,
}  # fmt: skip
"""Shares of the tasks among the conversations, of those that are taught."""
SAVE_MINUTES: Final = 1.0
WARMUP_STEPS: Final = 10
BATCH: Final = 8


@dataclass(frozen=True, slots=True)
class OwnRound:
    """Name a round: its share of the minutes, its learning rates, and whether answers are learned.

    `told` and `lists` are shares of conversations about one box, or a list of some, that are only told.
    """

    name: str
    share: float
    learning_rate: float
    rates: Rates
    answers: bool = True
    told: float = 0.0
    lists: float = 0.0


ROUNDS: Final = (
    OwnRound(
        "point",
        0.55,
        1e-3,
        Rates(encoder=0.3, qformer=0.3, difference=0.0, projector=0.0, llm=0.0),
        answers=False,
    ),
    OwnRound(
        "answer",
        0.45,
        3e-4,
        Rates(encoder=0.0, qformer=0.3, difference=0.0, pointer=0.0),
        told=0.2,
        lists=0.25,
    ),
)


@dataclass(frozen=True, slots=True)
class Taught:
    """Hold the folder of the tasks' stores, the tasks that have samples, and the side of a window in pixels."""

    folder: Path
    tasks: tuple[str, ...]
    window_px: int


def train_rounds(data: Taught, out: Path, start: Path | None, *, minutes: float, seed: int, workers: int = 1) -> Path:
    """Run the rounds that are not finished, each from the model of the one before, and export the last to OUT/model.

    A model without a pointer takes the whole time to learn answers. Gives the exported directory.
    """
    previous = start
    pointed = has_pointer(start)
    for turn in ROUNDS:
        if not turn.answers and not pointed:
            continue
        share = turn.share if pointed else 1.0
        folder = out / "rounds" / turn.name
        if not is_finished(folder, share * minutes):
            LOG.info("round %s: %.1f minutes", turn.name, share * minutes)
            run_round(turn, data, folder, previous, minutes=share * minutes, seed=seed, workers=workers)
        previous = folder / "model"
    assert previous is not None
    export(previous, out / "model")
    return out / "model"


def run_round(
    turn: OwnRound,
    data: Taught,
    folder: Path,
    start: Path | None,
    *,
    minutes: float,
    seed: int,
    workers: int = 1,
) -> None:
    """Train one round for its minutes, those of earlier starts included."""
    torch.manual_seed(seed)
    model, processor = load_checkpoint(start)
    config = SftConfig(
        minutes=minutes,
        batch=BATCH,
        learning_rate=turn.learning_rate,
        rates=turn.rates,
        answers=turn.answers,
        bf16=bool(torch.cuda.is_available() or torch.cpu.get_capabilities().get("avx512_bf16")),
        depthwise=False,
        warmup_steps=WARMUP_STEPS,
        save_minutes=SAVE_MINUTES,
        workers=workers,
        keep=1,
        seed=seed,
    )
    slots = count_slots(processor, model.config, data.window_px)
    train_sft(model, processor, build_own_feeds(data.folder, data.tasks, turn, slots=slots), config, folder)


def build_own_feeds(data: Path, tasks: Sequence[str], turn: OwnRound, *, slots: int) -> list[tuple[Feed, float]]:
    """Give the store of each task as a feed with its weight, and shares of boxes that are only told.

    `slots` are the boxes that the model is told of a window: it learns to list no more, since it would invent the rest.
    """
    sources = [(Rows(data / task), WEIGHTS[task]) for task in tasks]
    if not turn.answers:
        sources = [(rows, weight) for rows, weight in sources if rows.place_counts().any()]
        return [(group_feed(rows, places=True), weight) for rows, weight in sources]
    listed = [(pick_listed(rows, slots), weight) for rows, weight in sources]
    feeds = [(tell_in_order(group_feed(rows)), weight) for rows, weight in listed if rows]
    whole = sum(weight for _, weight in feeds) / (1 - turn.told - turn.lists)
    rows = [rows for rows, _ in sources if rows.phrases()]
    return [*feeds, (told_feed(*rows), turn.told * whole), (told_list_feed(*rows, most=slots), turn.lists * whole)]


def pick_listed(rows: Rows, most: int) -> list[Sample]:
    """Give the samples whose answer names at most `most` regions."""
    return [rows[number] for number in np.flatnonzero(rows.place_counts() <= most).tolist()]


def tell_in_order(feed: Feed) -> Feed:
    """Let the truth of a feed's conversations always be told, in the order of the answer."""

    def draw(rng: random.Random) -> Conversation:
        return replace(feed(rng), listed=True)

    return draw


def count_slots(processor: NadirProcessor, config: NadirConfig, window_px: int) -> int:
    """Count the boxes that a model is told of a window."""
    queries = config.query_grid**2 + config.free_queries
    a_tile = max(0, processor.tokens_per_tile - queries) // BOX_NUMBERS
    return max(1, a_tile * len(processor.plan(window_px, window_px).tiles))


def has_pointer(start: Path | None) -> bool:
    """Say whether a model has a pointer to train."""
    return bool(json.loads((model_dir(start) / "config.json").read_text(encoding="utf-8")).get("pointer_width"))


def is_finished(folder: Path, minutes: float) -> bool:
    """Say whether a round has had its minutes; they are noted to a hundredth."""
    return spent_minutes(folder) >= round(minutes, 2) > 0
