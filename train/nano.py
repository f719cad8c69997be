"""All rounds of a small model trained from nothing: tokenizer, towers and instruction tuning in turn, export.

    python -m train.nano --data DIR --out out/nano

Each round starts from the model of the round before and leaves its own; a finished round is not run again, and a
stopped round of instruction tuning goes on where it stopped. The last model is exported, in half precision, to
`OUT/model`.
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import argparse
import logging
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerFast

from data_engine.objects import seeded
from data_engine.synth import pair_samples, render_pair, render_scene, scene_samples
from train.adapters import adapt_model
from train.clip import ClipConfig, train_clip
from train.export import export
from train.mixture import Feed, group_feed
from train.recipes import RECIPES, Recipe, Round, build_model, load_share, recipe_texts
from train.sft import SftConfig, spent_minutes, train_sft
from train.telling import told_feed
from train.tokenizer import build_tokenizer
from vlm.checkpoint import load_checkpoint
from vlm.errors import DataError
from vlm.model import NadirForConditionalGeneration
from vlm.processor import NadirProcessor
from vlm.records import Sample

LOG = logging.getLogger("nadir.train")
PAIR_EVERY = 5
"""Every fifth synthetic sample is a pair of dates."""
GSDS_M = (0.25, 0.35, 0.5, 0.5, 0.8)
TOKENIZER_SCENES = 100


def run_tokenizer(recipe: Recipe, data: Path, out: Path) -> PreTrainedTokenizerFast:
    """Train the tokenizer on the texts of the recipe's training data, or load the one that is there."""
    if not (out / "tokenizer").exists():
        samples = [sample for share in recipe.shares for sample in load_share(share, data)]
        samples += [sample for seed in range(TOKENIZER_SCENES) for sample in render_samples(seed)]
        build_tokenizer(recipe_texts(samples), vocab_size=recipe.vocab_size).save_pretrained(out / "tokenizer")
    return PreTrainedTokenizerFast.from_pretrained(out / "tokenizer")


def start_model(
    recipe: Recipe, data: Path, out: Path, start: Path | None
) -> tuple[NadirForConditionalGeneration, NadirProcessor]:
    """Load the model of the round before, or build the recipe's untrained one with the tokenizer of `out`."""
    if start is not None:
        return load_checkpoint(start)
    return build_model(recipe, run_tokenizer(recipe, data, out))


def run_clip(name: str, data: Path, out: Path, config: ClipConfig, *, start: Path | None = None) -> None:
    """Train both towers on the recipe's captions and write the model to `out/model`."""
    recipe = RECIPES[name]()
    torch.manual_seed(config.seed)
    model, processor = start_model(recipe, data, out.parent, start)
    samples = [sample for share in recipe.shares for sample in load_share(share, data)]
    captions = [sample for sample in samples if sample.task in ("caption", "classify")]
    LOG.info("towers: %d captions and themes, %s", len(captions), asdict(config))
    train_clip(model, processor, captions, config, out)


def run_sft(
    recipe: Recipe, data: Path, out: Path, config: SftConfig, *, start: Path | None = None, told: float = 0.0
) -> None:
    """Tune a recipe's model on its mixture, from the model of an earlier round if given.

    `told` is the share of conversations about boxes that are only told (train/telling.py).
    """
    torch.manual_seed(config.seed)
    model, processor = start_model(recipe, data, out.parent, start)
    feeds = build_feeds(recipe, data, told=told)
    adapt_model(model, config.adapter, base=str(start))
    LOG.info("model: %.2f M parameters", sum(p.numel() for p in model.parameters()) / 1e6)
    train_sft(model, processor, feeds, config, out)


def round_config(recipe: Recipe, turn: Round, *, seed: int) -> SftConfig:
    """Give the settings of a round of instruction tuning."""
    return SftConfig(
        minutes=turn.minutes or None,
        seed=seed,
        rates=turn.rates,
        adapter=turn.adapter,
        encoder_groups=recipe.encoder_groups,
        learning_rate=turn.learning_rate,
        bf16=recipe.bf16,
    )


def run_rounds(name: str, data: Path, out: Path) -> Path:
    """Run the recipe's rounds that are not finished; give the directory of the last model."""
    previous: Path | None = None
    recipe = RECIPES[name]()
    for number, turn in enumerate(recipe.rounds, start=1):
        folder = out / f"round-{number}-{turn.stage}"
        if turn.stage == "sft" and spent_minutes(folder) < turn.minutes:
            run_sft(recipe, data, folder, round_config(recipe, turn, seed=number), start=previous, told=turn.told)
        elif turn.stage == "clip" and not (folder / "model").exists():
            clip = ClipConfig(
                minutes=turn.minutes,
                seed=number,
                encoder_groups=recipe.encoder_groups,
                encoder_rate=turn.rates.encoder,
                learning_rate=turn.learning_rate,
                frozen_norms=recipe.backbone is not None,
            )
            run_clip(name, data, folder, clip, start=previous)
        previous = folder / "model"
    assert previous is not None
    return previous


def build_feeds(recipe: Recipe, data: Path, *, told: float = 0.0) -> list[tuple[Feed, float]]:
    """Give each source of the mixture, the synthetic scenes, and a share of told boxes, as a feed with its weight."""
    feeds, known = [], []
    for share in recipe.shares:
        samples = [sample for seed in range(share.variants) for sample in load_share(share, data, seed=seed)]
        LOG.info("source %s: %d samples, weight %.2f", share.source, len(samples), share.weight)
        if not samples:
            raise DataError(f"{data / share.folder} holds no samples of the split {share.split}: name another --data")
        feeds.append((group_feed(samples), share.weight))
        known += samples
    if recipe.scenes:
        with ProcessPoolExecutor() as pool:
            found = pool.map(render_list, range(recipe.scenes), chunksize=16)
            synthetic = [sample for samples in found for sample in samples]
        LOG.info("%d samples of %d made scenes, weight %.2f", len(synthetic), recipe.scenes, recipe.synth_weight)
        feeds.append((group_feed(synthetic), recipe.synth_weight))
        known += synthetic
    if told:
        feeds.append((told_feed(known), told / (1 - told) * sum(weight for _, weight in feeds)))
    return feeds


def render_list(seed: int) -> list[Sample]:
    """Render one synthetic scene or pair and give its samples."""
    return list(render_samples(seed))


def render_samples(seed: int) -> Iterator[Sample]:
    """Yield the samples of synthetic scene number `seed`: every fifth is a pair of dates."""
    rng = seeded(0, f"synth/{seed}")
    gsd_m = rng.choice(GSDS_M)
    if seed % PAIR_EVERY == 0:
        return pair_samples(render_pair(seed, gsd_m=gsd_m), rng)
    return scene_samples(render_scene(seed, gsd_m=gsd_m), rng)


def main() -> None:
    """Run the rounds that are not finished and export the last model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="nano", choices=sorted(RECIPES))
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the recipe's datasets")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    export(run_rounds(arguments.recipe, arguments.data, arguments.out), arguments.out / "model")
    LOG.info("trained model: %s", arguments.out / "model")


if __name__ == "__main__":
    main()
