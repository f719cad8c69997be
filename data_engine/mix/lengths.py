"""How many tokens a sample is for a model: words by its tokenizer, images by its tile plan; no torch.

The conversation is written as in training: instruction and answer in the model's dialect, in the chat template.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from data_engine.store.manifest import open_store
from data_engine.store.shards import read_samples, read_shard
from vlm.codecs import render_text
from vlm.errors import CheckpointError
from vlm.model_dir import TileSizes, model_dir, read_tile_sizes
from vlm.prompts import CHAT_TEMPLATE, Message, user_message
from vlm.records import Sample
from vlm.tiling import TokenBudget, plan_tiles

if TYPE_CHECKING:
    from jinja2 import Template
    from tokenizers import Tokenizer

SAMPLED: Final = 20_000
"""The most samples whose tokens are counted for the statistics of a corpus."""
_RUN: Final = 64


class TokenCounter:
    """Count the tokens of samples for the model in a directory (None: the built-in one)."""

    def __init__(self, folder: Path | None = None) -> None:
        found = model_dir(folder)
        self._tokenizer = _load_tokenizer(found)
        self._sizes = read_tile_sizes(found)
        self._dialect = str(json.loads((found / "config.json").read_text(encoding="utf-8")).get("dialect", "nadir"))

    def count(self, sample: Sample) -> int:
        """Count the tokens of a sample; an image of unknown size counts as one tile.

        Raises DataError or GeometryError for a sample that cannot be written in the model's dialect.
        """
        text = _template().render(messages=self._messages(sample), add_generation_prompt=False)
        words = len(self._tokenizer.encode(text, add_special_tokens=False).ids)
        return words + sum(self._visual(image.width, image.height) - 1 for image in sample.images)

    def _messages(self, sample: Sample) -> list[Message]:
        sizes = [(image.width or 1, image.height or 1) for image in sample.images]
        messages: list[Message] = []
        for number, turn in enumerate(sample.turns):
            asked = render_text(turn.instruction, turn.regions, sizes=sizes, dialect=self._dialect)
            said = render_text(turn.answer.template, turn.answer.regions, sizes=sizes, dialect=self._dialect)
            user: Message = {"role": "user", "content": asked}
            messages.append(user if number else user_message(asked, [""] * len(sample.images)))
            messages.append({"role": "assistant", "content": said})
        return messages

    def _visual(self, width: int | None, height: int | None) -> int:
        if not width or not height:
            return self._sizes.tokens_per_tile
        return _count_visual(width, height, self._sizes)


def sample_lengths(folder: Path, counter: TokenCounter, *, most: int = SAMPLED) -> list[int]:
    """Count the tokens of at most about `most` samples of a store, read in short runs spread evenly over it."""
    return [counter.count(sample) for sample in _spread(folder, most)]


def _spread(folder: Path, most: int) -> Iterator[Sample]:
    store = open_store(folder)
    if store.samples <= most:
        yield from read_samples(folder)
        return
    step, passed = -(-store.samples // most) * _RUN, 0
    for shard in store.shards:
        for start in range(-passed % step, shard.samples, step):
            yield from islice(read_shard(store.folder, shard, start=start), _RUN)
        passed += shard.samples


@lru_cache(maxsize=4096)
def _count_visual(width: int, height: int, sizes: TileSizes) -> int:
    plan = plan_tiles(
        width,
        height,
        tile_px=sizes.tile_px,
        tokens_per_tile=sizes.tokens_per_tile,
        budget=TokenBudget(sizes.default_tiles),
        fit_factor=sizes.fit_factor,
    )
    return plan.visual_tokens


@lru_cache(maxsize=1)
def _template() -> Template:
    from jinja2 import Environment

    return Environment(trim_blocks=True, lstrip_blocks=True, autoescape=False).from_string(CHAT_TEMPLATE)


def _load_tokenizer(folder: Path) -> Tokenizer:
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    if not path.is_file():
        raise CheckpointError(f"{folder} has no tokenizer.json: give a directory written by save_pretrained")
    tokenizer: Tokenizer = Tokenizer.from_file(str(path))
    return tokenizer
