"""All rounds of a small model trained from nothing: tokenizer, towers and instruction tuning in turn, export.

    make data && python -m train.nano --data out/data --out out/nano

`--data` holds the stores of the recipe (data_engine/corpus.py); synthetic places are rendered where it has no store of
them. Each round starts from the model of the round before and leaves its own; a finished round is not run again, and a
stopped round of instruction tuning goes on where it stopped. The last model is exported, in half precision, to
`OUT/model`.
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import argparse
import logging
import os
from collections.abc import Iterator
from dataclasses import asdict
from itertools import groupby, islice
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerFast

from data_engine.corpus import SYNTH, write_places
from data_engine.stage import StageOptions
from data_engine.store import read_samples
from data_engine.store.rows import Rows
from train.adapters import adapt_model
from train.checkpoints import one_at_a_time, write_once
from train.export import export
from train.mixture import Feed, group_feed
from train.recipes import RECIPES, Recipe, Round, build_model, load_share, recipe_texts
from train.sft import SftConfig, spent_minutes, train_sft
from train.telling import told_feed
from train.tokenizer import build_tokenizer
from train.words import WordsConfig, train_words
from vlm.checkpoint import load_checkpoint
from vlm.errors import DataError
from vlm.model import NadirForConditionalGeneration
from vlm.processor import NadirProcessor
from vlm.records import Sample

LOG = logging.getLogger("nadir.train")
TOKENIZER_PLACES = 100
"""Synthetic places whose texts the tokenizer learns from."""


def run_tokenizer(recipe: Recipe, data: Path, out: Path) -> PreTrainedTokenizerFast:
    """Train the tokenizer on the texts of the recipe's training data, or load the one that is there."""

    def write(folder: Path) -> None:
        samples = tokenizer_samples(recipe, data, out)
        build_tokenizer(recipe_texts(samples), vocab_size=recipe.vocab_size).save_pretrained(folder)

    write_once(out / "tokenizer", write)
    return PreTrainedTokenizerFast.from_pretrained(out / "tokenizer")


def tokenizer_samples(recipe: Recipe, data: Path, out: Path) -> Iterator[Sample]:
    """Yield the samples that a tokenizer learns from: one variant of each, and those of the first synthetic places."""
    for share in recipe.shares:
        known: set[str] = set()
        for sample in load_share(share, data):
            if sample.id not in known:
                yield sample
            known.add(sample.id)
    if recipe.scenes:
        places = groupby(read_samples(find_places(recipe, data, out)), lambda sample: sample.id.rpartition("/")[0])
        for _, asked in islice(places, TOKENIZER_PLACES):
            yield from asked


def start_model(
    recipe: Recipe, data: Path, out: Path, start: Path | None
) -> tuple[NadirForConditionalGeneration, NadirProcessor]:
    """Load the model of the round before, or build the recipe's untrained one with the tokenizer of `out`."""
    if start is not None:
        return load_checkpoint(start)
    return build_model(recipe, run_tokenizer(recipe, data, out))


def run_clip(name: str, data: Path, out: Path, config: WordsConfig, *, start: Path | None = None) -> None:
    """Train both towers on the recipe's captions and write the model to `out/model`."""
    recipe = RECIPES[name]()
    torch.manual_seed(config.seed)
    model, processor = start_model(recipe, data, out.parent, start)
    samples = (sample for share in recipe.shares for sample in Rows(data / share.folder, split=share.split))
    captions = [sample for sample in samples if sample.task in ("caption", "classify")]
    LOG.info("towers: %d captions and themes, %s", len(captions), asdict(config))
    train_words(model, processor, captions, config, out)


def run_sft(
    recipe: Recipe, data: Path, out: Path, config: SftConfig, *, start: Path | None = None, told: float = 0.0
) -> None:
    """Tune a recipe's model on its mixture, from the model of an earlier round if given.

    `told` is the share of conversations about boxes that are only told (train/telling.py).
    """
    torch.manual_seed(config.seed)
    model, processor = start_model(recipe, data, out.parent, start)
    feeds = build_feeds(recipe, data, out.parent, told=told, places=not config.answers)
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
        depthwise=recipe.depthwise,
        learning_rate=turn.learning_rate,
        bf16=recipe.bf16,
        answers=turn.stage != "point",
    )


def run_rounds(name: str, data: Path, out: Path) -> Path:
    """Run the recipe's rounds that are not finished; give the directory of the last model."""
    previous: Path | None = None
    recipe = RECIPES[name]()
    for number, turn in enumerate(recipe.rounds, start=1):
        folder = out / f"round-{number}-{turn.stage}"
        if turn.stage in ("point", "sft") and spent_minutes(folder) < turn.minutes:
            run_sft(recipe, data, folder, round_config(recipe, turn, seed=number), start=previous, told=turn.told)
        elif turn.stage == "clip" and not (folder / "model").exists():
            clip = WordsConfig(
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


def build_feeds(
    recipe: Recipe, data: Path, out: Path, *, told: float = 0.0, places: bool = False
) -> list[tuple[Feed, float]]:
    """Give each store of the mixture, the synthetic places, and a share of told boxes, as a feed with its weight.

    With `places` the stores that name some, and of these the samples that do.
    """
    stores = [(data / share.folder, share.split, share.weight) for share in recipe.shares]
    if recipe.scenes:
        stores.append((find_places(recipe, data, out), "train", recipe.synth_weight))
    sources = []
    for folder, split, weight in stores:
        rows = Rows(folder, split=split)
        LOG.info("store %s: %d samples, weight %.2f", folder, len(rows), weight)
        if not rows:
            raise DataError(f"{folder} holds no samples of the split {split}: name another --data")
        sources.append((rows, weight))
    if places:
        sources = [(rows, weight) for rows, weight in sources if rows.place_counts().any()]
        if not sources:
            raise DataError(
                f"the pointer learns from answers that name places, and {data} holds none: leave answers on"
            )
    feeds = [(group_feed(rows, places=places), weight) for rows, weight in sources]
    if told:
        share = told / (1 - told) * sum(weight for _, weight in sources)
        feeds.append((told_feed(*(rows for rows, _ in sources)), share))
    return feeds


def find_places(recipe: Recipe, data: Path, out: Path) -> Path:
    """Give the store of synthetic places of the data, or of `out`, where they are rendered if need be.

    Of several processes one renders, and the others wait.
    """
    if (data / SYNTH).is_dir():
        return data / SYNTH
    with one_at_a_time(out / SYNTH):
        write_places(recipe.scenes, out / SYNTH, options=StageOptions(workers=os.cpu_count() or 1))
    return out / SYNTH


def main() -> None:
    """Run the rounds that are not finished and export the last model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="nano", choices=sorted(RECIPES))
    parser.add_argument("--data", type=Path, required=True, help="folder of the recipe's stores (make data)")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    export(run_rounds(arguments.recipe, arguments.data, arguments.out), arguments.out / "model")
    LOG.info("trained model: %s", arguments.out / "model")


if __name__ == "__main__":
    main()
