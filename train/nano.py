"""All stages of a small model trained from nothing: tokenizer, contrastive towers, instruction tuning, export.

    python -m train.nano --data DIR --out out/nano --clip-minutes 12 --sft-minutes 70

Each stage leaves its result in the folder and is not run again when that is there.
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import argparse
import json
import logging
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from data_engine.objects import seeded
from data_engine.synth import pair_samples, render_pair, render_scene, scene_samples
from train.clip import ClipConfig, train_clip
from train.mixture import Feed, group_feed
from train.recipes import RECIPES, Recipe, build_model, load_share, recipe_texts
from train.sft import SftConfig, train_sft
from train.tokenizer import build_tokenizer
from vlm.records import Sample

LOG = logging.getLogger("nadir.train")
PAIR_EVERY = 5
"""Every fifth synthetic sample is a pair of dates."""


def run_tokenizer(recipe: Recipe, data: Path, out: Path) -> PreTrainedTokenizerBase:
    """Train the tokenizer on the texts of the recipe's training data, or load the one that is there."""
    if not (out / "tokenizer").exists():
        samples = [sample for share in recipe.shares for sample in load_share(share, data)]
        samples += [sample for seed in range(100) for sample in render_samples(seed)]
        build_tokenizer(recipe_texts(samples), vocab_size=recipe.vocab_size).save_pretrained(out / "tokenizer")
    return AutoTokenizer.from_pretrained(out / "tokenizer")


def run_clip(name: str, data: Path, out: Path, config: ClipConfig) -> None:
    """Train both towers on the recipe's captions."""
    recipe = RECIPES[name]()
    torch.manual_seed(config.seed)
    model, processor = build_model(recipe, run_tokenizer(recipe, data, out))
    captions = [
        sample
        for share in recipe.shares
        for sample in load_share(share, data)
        if sample.task in ("caption", "classify")
    ]
    LOG.info("contrastive stage: %d captions, %s", len(captions), asdict(config))
    train_clip(model, processor, captions, config, out / "clip")


def run_sft(
    name: str, data: Path, out: Path, config: SftConfig, *, clip: Path | None = None, dry_run: bool = False
) -> None:
    """Tune a recipe's model on its mixture, from the towers of the contrastive stage if given."""
    recipe = RECIPES[name]()
    if dry_run:
        LOG.info("%s", json.dumps({"recipe": asdict(recipe), "config": asdict(config)}))
        return
    tokenizer = run_tokenizer(recipe, data, out.parent)
    torch.manual_seed(config.seed)
    model, processor = build_model(recipe, tokenizer)
    if clip is not None:
        model.encoder.clip.load_state_dict(torch.load(clip, map_location="cpu", weights_only=True))
    LOG.info("model: %.2f M parameters", sum(p.numel() for p in model.parameters()) / 1e6)
    train_sft(model, processor, build_feeds(recipe, data), config, out)


def build_feeds(recipe: Recipe, data: Path) -> list[tuple[Feed, float]]:
    """Give each source of the mixture, and the synthetic scenes, as a feed with its weight."""
    feeds = []
    for share in recipe.shares:
        samples = [sample for seed in range(share.variants) for sample in load_share(share, data, seed=seed)]
        LOG.info("source %s: %d samples, weight %.2f", share.source, len(samples), share.weight)
        feeds.append((group_feed(samples), share.weight))
    with ProcessPoolExecutor() as pool:
        synthetic = [sample for found in pool.map(render_list, range(recipe.scenes), chunksize=16) for sample in found]
    LOG.info(
        "synthetic scenes: %d samples of %d scenes, weight %.2f", len(synthetic), recipe.scenes, recipe.synth_weight
    )
    return [*feeds, (group_feed(synthetic), recipe.synth_weight)]


def render_list(seed: int) -> list[Sample]:
    """Render one synthetic scene or pair and give its samples."""
    return list(render_samples(seed))


def render_samples(seed: int) -> Iterator[Sample]:
    """Yield the samples of synthetic scene number `seed`: every fifth is a pair of dates."""
    rng = seeded(0, f"synth/{seed}")
    if seed % PAIR_EVERY == 0:
        return pair_samples(render_pair(seed), rng)
    return scene_samples(render_scene(seed), rng)


def main() -> None:
    """Run the stages that are not done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="nano", choices=sorted(RECIPES))
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the recipe's datasets")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--clip-minutes", type=float, default=ClipConfig.minutes)
    parser.add_argument("--sft-minutes", type=float, default=SftConfig.minutes)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    clip = arguments.out / "clip" / "encoder.pt"
    if not clip.exists():
        run_clip(arguments.recipe, arguments.data, arguments.out, ClipConfig(minutes=arguments.clip_minutes))
    config = SftConfig(minutes=arguments.sft_minutes)
    run_sft(arguments.recipe, arguments.data, arguments.out / "sft", config, clip=clip)


if __name__ == "__main__":
    main()
