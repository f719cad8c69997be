"""The command line of train/sft.py: a recipe, its data, and any setting as key=value; `--dry-run` prints the plan."""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from train.checkpoints import write_once
from train.nano import round_config, run_sft
from train.needs import check_tasks
from train.overrides import override
from train.plan import describe_plan, find_model_config
from train.recipes import Parts, Recipe, find_recipe
from train.sft import SftConfig
from vlm.checkpoint import build_from_parts, save_checkpoint
from vlm.errors import NadirError
from vlm.records import TASKS

LOG = logging.getLogger("nadir.train")


def run(description: str, words: Sequence[str] | None = None) -> None:
    """Parse the command line and run the stage of a recipe, or print its plan; a user's mistake is one sentence."""
    arguments = _parse(description, words)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        recipe, config = find_settings(arguments)
        parts = find_parts(recipe, arguments)
        if arguments.dry_run:
            for line in describe_plan(recipe, config, find_model_config(recipe, start=arguments.start, parts=parts)):
                LOG.info("%s", line)
            LOG.info("%s", json.dumps({"recipe": asdict(recipe), "config": asdict(config)}))
            return
        check_tasks(recipe, arguments.data, "instruction tuning", TASKS, "name another --data")
        start = arguments.start
        if start is None and parts is not None:
            start = arguments.out / "untrained"
            build_untrained(start, parts)
        run_sft(recipe, arguments.data, arguments.out, config, start=start)
    except NadirError as error:
        sys.exit(str(error))


def find_settings(arguments: argparse.Namespace) -> tuple[Recipe, SftConfig]:
    """Give the recipe and its last round's settings, with what the command line says instead."""
    recipe = find_recipe(arguments.recipe)
    config = round_config(recipe, recipe.rounds[-1], seed=0)
    flags = {name: getattr(arguments, name) for name in ("batch", "steps", "minutes")}
    config = replace(config, **{name: value for name, value in flags.items() if value is not None})
    if arguments.steps is not None and arguments.minutes is None:
        config = replace(config, minutes=None)
    config, recipe = override([config, recipe], arguments.settings)
    return recipe, config


def find_parts(recipe: Recipe, arguments: argparse.Namespace) -> Parts | None:
    """Give the pretrained parts that the command line names, else the recipe's; None for a model of its own sizes."""
    named = {
        "llm": arguments.llm,
        "vision": arguments.vision,
        "vision_checkpoint": arguments.vision_checkpoint,
        "qformer": arguments.qformer,
    }
    given = {name: value for name, value in named.items() if value is not None}
    if recipe.parts is None and "llm" not in given:
        return None
    return replace(recipe.parts or Parts(), **given)


def build_untrained(folder: Path, parts: Parts) -> None:
    """Join pretrained parts into an untrained model, once."""

    def write(folder: Path) -> None:
        joined = build_from_parts(
            llm=parts.llm,
            vision=parts.vision,
            vision_checkpoint=parts.vision_checkpoint,
            qformer_checkpoint=parts.qformer,
        )
        save_checkpoint(*joined, folder)

    write_once(folder, write)


def _parse(description: str, words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="nano", help="name of a recipe in train/recipes.py")
    parser.add_argument("--data", type=Path, required=True, help="folder of a store, or of the recipe's stores")
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoints and log")
    parser.add_argument("--start", type=Path, help="model directory to start from (default: an untrained model)")
    parser.add_argument("--llm", help="language model (hub name or directory) of a new model")
    parser.add_argument("--vision", help="open_clip architecture of a new model, such as ViT-L-14")
    parser.add_argument("--vision-checkpoint", help="its weights, such as RemoteCLIP-ViT-L-14.pt")
    parser.add_argument("--qformer", help="InstructBLIP directory whose Q-former to start from")
    parser.add_argument("--minutes", type=float, help="most wall-clock minutes, over all restarts")
    parser.add_argument("--steps", type=int, help="optimizer steps")
    parser.add_argument("--batch", type=int, help="conversations a step, over all processes")
    parser.add_argument("--dry-run", action="store_true", help="print the plan and touch nothing")
    parser.add_argument("--local_rank", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("settings", nargs="*", metavar="key=value", help="any setting, such as rates.encoder=0.1")
    return parser.parse_intermixed_args(words)
