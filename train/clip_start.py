"""The command line of train/clip.py: towers, their data, and any setting as key=value; `--dry-run` prints the plan."""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import argparse
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from data_engine.store.manifest import open_store
from data_engine.store.rows import Rows
from train.captions import Album, Steps
from train.clip import ClipConfig, train_clip
from train.engine import count_processes
from train.needs import check_tasks
from train.overrides import override
from train.parameters import check_batch
from train.plan import find_model_config
from train.recipes import Parts, Recipe, Share, find_recipe
from train.towers import LAYERS, Towers, open_towers, plain_config
from train.words import MAKE_CAPTIONS
from vlm.encoder import Encoder
from vlm.errors import DataError, NadirError
from vlm.records import Task

LOG = logging.getLogger("nadir.train")
BYTES = 16
"""Of each parameter that trains: itself, its gradient and two moments, in float32."""


def run(description: str, words: Sequence[str] | None = None) -> None:
    """Parse the command line and train the towers, or print the plan; a user's mistake is one sentence."""
    arguments = _parse(description, words)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        recipe, config = find_settings(arguments)
        parts = find_parts(recipe, arguments)
        check_batch(config.batch, processes=count_processes(), accumulate=1)
        config.wanted()
        if arguments.dry_run:
            for line in describe_plan(recipe, config, build_empty(recipe, parts, arguments.start)):
                LOG.info("%s", line)
            LOG.info("%s", json.dumps({"recipe": asdict(recipe), "config": asdict(config)}))
            return
        check_data(recipe, arguments.data, config)
        torch.manual_seed(config.seed)
        towers = open_towers(recipe, parts, arguments.data, arguments.out, arguments.start)
        data, sources = open_data(recipe, arguments.data, config, towers)
        train_clip(towers, data, config, arguments.out, sources=sources)
    except NadirError as error:
        sys.exit(str(error))
    LOG.info("trained towers: %s", arguments.out / "model")


def find_settings(arguments: argparse.Namespace) -> tuple[Recipe, ClipConfig]:
    """Give the recipe and the settings of its contrastive round, with what the command line says instead."""
    recipe = find_recipe(arguments.recipe)
    config = ClipConfig(encoder_groups=recipe.encoder_groups, bf16=recipe.bf16)
    found = next((turn for turn in recipe.rounds if turn.stage == "clip"), None)
    if found is not None:
        rates = found.rates
        config = replace(
            config, learning_rate=found.learning_rate, encoder_rate=rates.encoder, text_rate=rates.text_tower
        )
    config, recipe = override([config, recipe], arguments.settings)
    return recipe, config


def find_parts(recipe: Recipe, arguments: argparse.Namespace) -> Parts | None:
    """Give the towers that the command line names, else the recipe's; None for a model of its own sizes."""
    named = {"vision": arguments.vision, "vision_checkpoint": arguments.vision_checkpoint}
    given = {name: value for name, value in named.items() if value is not None}
    return None if recipe.parts is None and not given else replace(recipe.parts or Parts(), **given)


def check_data(recipe: Recipe, data: Path, config: ClipConfig) -> None:
    """Refuse, with DataError, stores that lack what the settings ask for."""
    if not recipe.shares:
        raise DataError(f"the recipe {recipe.name} names no store of captions: choose another, such as clip")
    captions: list[Task] = ["caption", "detect"] if config.box_captions else ["caption"]
    check_tasks(recipe, data, "contrastive training", captions, f"{MAKE_CAPTIONS}, or set box_captions=true")
    if config.region_weight:
        advice = "convert a set of labelled objects, or set region_weight=0"
        check_tasks(recipe, data, "region-category alignment", ["detect"], advice)


def open_data(recipe: Recipe, data: Path, config: ClipConfig, towers: Towers) -> tuple[Steps, list[dict[str, Any]]]:
    """Give what is drawn from the recipe's stores that hold captions, and a line about each for the run's card."""
    albums, sources = [], []
    for share in _captioned(recipe, data, config):
        album = Album(Rows(data / share.folder, split=share.split), config.wanted(), config.seed)
        LOG.info("store %s: %d captioned images, weight %.2f", data / share.folder, len(album), share.weight)
        albums.append((album, share.weight))
        manifest = open_store(data / share.folder)
        sources.append(
            {"store": share.folder, "images": len(album), "weight": share.weight, "digest": manifest.digest()}
        )
    cut = config.region_from == "cut"
    return Steps(albums, towers.frame, config.batch, config.seed, cut_regions=cut), sources


def build_empty(recipe: Recipe, parts: Parts | None, start: Path | None) -> Encoder:
    """Build the towers on the meta device: every name and shape, no memory."""
    if start is None and parts is not None:
        config = plain_config(parts.vision)
    else:
        config = find_model_config(recipe, start=start, parts=None).clip_config
    with torch.device("meta"):
        return Encoder(config, LAYERS)


def describe_plan(recipe: Recipe, config: ClipConfig, empty: Encoder) -> Iterator[str]:
    """Write the plan of a run as lines."""
    processes = count_processes()
    yield f"recipe {recipe.name}: data {', '.join(f'{one.folder} x {one.weight:g}' for one in recipe.shares) or 'made'}"
    visual = sum(one.numel() for one in empty.clip.visual.parameters())
    counts = {"encoder": visual, "text_tower": sum(one.numel() for one in empty.clip.parameters()) - visual}
    rates = {"encoder": config.encoder_rate, "text_tower": config.text_rate}
    yield f"{'tower':<12} {'parameters':>14}  learning rate"
    for name, count in counts.items():
        yield f"{name:<12} {count:>14,}  {f'{rates[name] * config.learning_rate:.2g}' if rates[name] else 'frozen'}"
    yield f"batch: {config.batch // processes} pairs x {processes} processes = {config.batch}"
    by_clock = config.steps is None and config.minutes is not None
    yield f"steps: {f'as many as {config.minutes:g} minutes hold' if by_clock else config.most_steps}"
    losses = {"regions": config.region_weight, "patches": config.distill_weight, "turns": config.rotation_weight}
    yield f"losses: contrast{''.join(f', {name} x {weight:g}' for name, weight in losses.items() if weight)}"
    trained = sum(count for name, count in counts.items() if rates[name])
    copy = visual * 4 if config.distill_weight else 0
    yield f"each process holds {(trained * BYTES + copy) / 2**30:.2f} GiB of weights and optimizer, and its activations"


def _captioned(recipe: Recipe, data: Path, config: ClipConfig) -> list[Share]:
    tasks = ("caption", "detect") if config.box_captions else ("caption",)
    held = {share.folder: open_store(data / share.folder).counts.get("task", {}) for share in recipe.shares}
    return [share for share in recipe.shares if any(held[share.folder].get(task) for task in tasks)]


def _parse(description: str, words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="clip", help="whose data, and whose towers where none are named")
    parser.add_argument("--data", type=Path, required=True, help="folder of a store, or of the recipe's stores")
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoints and log")
    parser.add_argument("--start", type=Path, help="model directory whose towers to go on from")
    parser.add_argument("--vision", help="open_clip architecture of towers alone, such as ViT-L-14")
    parser.add_argument("--vision-checkpoint", help="their weights, such as RemoteCLIP-ViT-L-14.pt")
    parser.add_argument("--dry-run", action="store_true", help="print the plan and touch nothing")
    parser.add_argument("--local_rank", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("settings", nargs="*", metavar="key=value", help="any setting, such as region_weight=1")
    return parser.parse_intermixed_args(words)
