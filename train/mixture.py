"""The mixture: weighted, endless, augmented draws of conversations about images, encoded for the model.

All samples about the same images form one group. A draw takes a group and makes a conversation of one to four of its
turns; the first one holds the images and is what the Q-former sees, as in serving.
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from torch.utils.data import IterableDataset
from transformers import BatchFeature

from data_engine.store.rows import Rows
from train.packing import IGNORED, POINTER, Encoded, collate
from train.pictures import is_spatial, jitter, load_rgb, move_turn, random_move
from train.pointing import ORACLE, pointer_targets, true_numbers
from vlm.codecs import render_text
from vlm.errors import DataError
from vlm.processor import NadirProcessor, TiledImage
from vlm.prompts import Message, user_message, with_hint
from vlm.records import TASKS, Answer, Sample, Task, Turn
from vlm.tiling import TokenBudget

BLIND_SHARE = 0.06
"""Share of conversations shown without their images, so that the blind baseline is a trained one."""
HINT_SHARE = 0.2
"""Share of first instructions that carry the hint of their task, as `nadir ask --task` adds it."""
LONGEST_ANSWER = 150
"""Characters; longer answers are left out of a conversation."""
MOST_DRAWS = 100
"""Draws of a conversation, one after the other, that may be too long."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """Hold drawn pixels, one (H, W, 3) uint8 array a date, and turns whose regions are in their pixels.

    `told` says that the regions are not in the picture, but what the pointer tells (train/telling.py). `listed` says
    that the truth is always told, in the order of the answer, so that a list is written as it is told.
    """

    pictures: tuple[np.ndarray, ...]
    turns: tuple[Turn, ...]
    task: Task
    told: bool = False
    listed: bool = False


Feed = Callable[[random.Random], Conversation]


def group_samples(samples: Sequence[Sample]) -> list[np.ndarray]:
    """Give the numbers of the samples about the same images, a group each; a store knows them without its images."""
    if isinstance(samples, Rows):
        return samples.groups()
    groups: dict[tuple[str | bytes | None, ...], list[int]] = {}
    for number, sample in enumerate(samples):
        groups.setdefault(tuple(image.path or image.data for image in sample.images), []).append(number)
    return [np.array(group) for group in groups.values()]


def count_places(samples: Sequence[Sample]) -> np.ndarray:
    """Give the number of regions of each sample's first answer; a store knows them without its images."""
    if isinstance(samples, Rows):
        return samples.place_counts()
    return np.array([len(sample.turns[0].answer.regions) for sample in samples], dtype=np.int64)


def group_feed(samples: Sequence[Sample], *, moves: bool = True, places: bool = False) -> Feed:
    """Draw conversations from samples, in memory or in a store (data_engine/store/rows.py), grouped by their images.

    With `places`, only of samples whose answer names some; raises DataError where there are none.
    """
    pool = group_samples(samples)
    if places:
        named = count_places(samples) > 0
        pool = [chosen for group in pool if len(chosen := group[named[group]])]
    if not pool:
        raise DataError("there is no sample to draw" + (": none names a place" if places else ""))

    def draw(rng: random.Random) -> Conversation:
        group = rng.choice(pool).tolist()
        chosen = rng.sample(group, min(len(group), rng.choice((1, 2, 3))))
        drawn = _shortened([samples[number] for number in chosen])
        turns = tuple(turn for sample in drawn for turn in sample.turns)
        pictures = tuple(load_rgb(image) for image in drawn[0].images)
        if moves and not is_spatial(turns):
            move = random_move(rng)
            sizes = [(rgb.shape[1], rgb.shape[0]) for rgb in pictures]
            turns = tuple(move_turn(turn, move, sizes) for turn in turns)
            pictures = tuple(move.pixels(rgb) for rgb in pictures)
        return Conversation(pictures, turns, drawn[0].task)

    return draw


def _shortened(samples: list[Sample]) -> list[Sample]:
    """Keep the first sample and, of the others, those that fit; a conversation never is empty."""
    kept, room = samples[:1], LONGEST_ANSWER
    for sample in samples[1:]:
        room -= sum(len(turn.answer.template) + 24 * len(turn.answer.regions) for turn in sample.turns)
        kept += [sample] if room > 0 else []
    return kept


@dataclass
class Mixture(IterableDataset):
    """Draw the conversations of each step by weight; what step N holds depends on the seed and N alone.

    A run that stopped therefore goes on with the same data, on any number of processes and loader workers.
    """

    feeds: Sequence[tuple[Feed, float]]
    processor: NadirProcessor
    batch: int
    """Conversations of a step, over all processes."""
    seed: int
    longest: int = 320
    """Tokens; longer conversations are left out (seven tiles are 189, and a list of twenty boxes 120 more)."""
    cells: int = 0
    """Cells a side of a tile that the pointer is taught (train/pointing.py); 0 for a model without a pointer."""
    blind: float = BLIND_SHARE
    """Share of conversations about no place that are shown without their images."""
    mask_cells: int = 16
    """Cells a side of the masks that are written as text."""
    dialect: str = "nadir"
    """How the model writes places when it is not told otherwise."""
    others: Mapping[str, float] = field(default_factory=dict)
    """Other dialects and the shares of the conversations about places that are in them, and say so."""
    span: int = 4
    """Steps whose conversations are drawn together and sorted by length."""

    def __iter__(self) -> Iterator[BatchFeature]:
        """Yield the padded batches of all steps, of similar length within a batch, for ever."""
        for window in itertools.count():
            for batch in self.window(window):
                yield collate(self.processor, batch)

    def window(self, number: int) -> list[list[Encoded]]:
        """Give the conversations of the `number`-th `span` steps; those of a step are of like length."""
        size = self.span * self.batch
        drawn = [self.draw(at) for at in range(number * size, (number + 1) * size)]
        drawn = sorted(drawn, key=lambda item: len(item["input_ids"]))
        steps = [drawn[start : start + self.batch] for start in range(0, size, self.batch)]
        random.Random(f"{self.seed}/window/{number}").shuffle(steps)
        return steps

    def draw(self, number: int) -> Encoded:
        """Draw and encode conversation `number` of the run; raises DataError where none is short enough."""
        rng = random.Random(f"{self.seed}/{number}")
        weights = [weight for _, weight in self.feeds]
        for _ in range(MOST_DRAWS):
            encoded = self.encode(rng.choices(self.feeds, weights)[0][0](rng), rng)
            if len(encoded["input_ids"]) <= self.longest:
                return encoded
        raise DataError(
            f"{MOST_DRAWS} conversations drawn one after the other are longer than {self.longest} tokens, the last "
            f"{len(encoded['input_ids'])}: raise `longest`, or lower the tiles of an image"
        )

    def blank_pair(self) -> Encoded:
        """Encode a conversation about two blank dates of which nothing is learned.

        Beside real ones it makes every process run every module of the model: ZeRO-3 gathers weights module by module,
        and waits for ever when one process has no image, or no pair, among its conversations.
        """
        blank = np.zeros((self.processor.tile_px, self.processor.tile_px, 3), np.uint8)
        conversation = Conversation((blank, blank), (Turn("?", Answer("")),), "vqa")
        tries = (self.encode(conversation, random.Random(seed)) for seed in itertools.count())
        encoded = next(found for found in tries if "pixels" in found)
        empty = {key: torch.zeros_like(encoded[key]) for key in POINTER if key in encoded}
        labels = torch.full_like(encoded["labels"], IGNORED)
        return {**encoded, **empty, "labels": labels, "answer_tasks": encoded["answer_tasks"][:0]}

    def encode(self, conversation: Conversation, rng: random.Random) -> Encoded:
        """Render, tile and encode one conversation with labels on the answers."""
        told = conversation.told
        blind = rng.random() < self.blind and not told and not any(turn.regions for turn in conversation.turns)
        most = 1 if told and not conversation.listed else self.processor.default_tiles
        images = [] if blind else self._tiles(conversation.pictures, rng, most=most)
        sizes = [(rgb.shape[1], rgb.shape[0]) for rgb in conversation.pictures]
        hint = conversation.task if rng.random() < HINT_SHARE else None
        messages = self._render(conversation, sizes, rng, notes=[""] * len(images), hint=hint)
        encoded = self.processor.encode(messages, images, with_labels=True)
        tasks = [TASKS.index(turn.answer.task or conversation.task) for turn in conversation.turns]
        encoded["answer_tasks"] = torch.tensor(tasks)
        if images and self.cells:
            turn, frames = conversation.turns[0], encoded["tile_frames"]
            targets = pointer_targets(turn, sizes, frames, self.cells)
            encoded["pointer_targets"] = torch.zeros_like(targets) if told else targets
            share = 1.0 if told or conversation.listed else ORACLE
            encoded["pointer_truth"] = true_numbers(turn, sizes, rng, share=share, ordered=conversation.listed)
        return encoded

    def _render(
        self,
        conversation: Conversation,
        sizes: Sequence[tuple[int, int]],
        rng: random.Random,
        *,
        notes: Sequence[str],
        hint: Task | None,
    ) -> list[Message]:
        """Write a conversation in the model's own dialect or, by their shares, in another."""
        build = partial(
            build_conversation, conversation.turns, sizes, notes=notes, hint=hint, mask_cells=self.mask_cells
        )
        if self.others and any(turn.regions or turn.answer.regions for turn in conversation.turns):
            names = [self.dialect, *self.others]
            shares = [1.0 - sum(self.others.values()), *self.others.values()]
            if (chosen := rng.choices(names, shares)[0]) != self.dialect:
                return build(dialect=chosen, told=True)
        return build(dialect=self.dialect)

    def _tiles(self, pictures: Sequence[np.ndarray], rng: random.Random, *, most: int) -> list[TiledImage]:
        budget = TokenBudget(rng.choice((most, most, most, min(most, 5), 1)))
        partner = (1, 0) if len(pictures) == 2 else (None,)
        images = [
            self.processor.tile_array(rgb, budget=budget, date=date, partner=partner[date])
            for date, rgb in enumerate(pictures)
        ]
        return [replace(image, pixels=jitter(image.pixels, rng)) for image in images]


def build_conversation(
    turns: Sequence[Turn],
    sizes: Sequence[tuple[int, int]],
    *,
    notes: Sequence[str],
    hint: Task | None = None,
    mask_cells: int | None = None,
    dialect: str = "nadir",
    told: bool = False,
) -> list[Message]:
    """Render turns as chat messages in a dialect; the first user message holds the images (one note each).

    With `told` it also says the dialect, as asking in one that is not the model's own does.
    """
    messages: list[Message] = []
    for number, turn in enumerate(turns):
        words = render_text(turn.instruction, turn.regions, sizes=sizes, dialect=dialect)
        answer = render_text(
            turn.answer.template, turn.answer.regions, sizes=sizes, mask_cells=mask_cells, dialect=dialect
        )
        first = user_message(with_hint(words, hint, dialect=dialect if told else None), notes)
        messages += [
            first if number == 0 else {"role": "user", "content": words},
            {"role": "assistant", "content": answer},
        ]
    return messages
