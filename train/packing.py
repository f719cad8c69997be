"""From encoded conversations to batches: padded to one length, or packed several to a row with hardly any padding.

In a packed row the positions start again at 0 with each conversation, and transformers' attention masks keep them
apart (block-diagonal, by the position ids: sdpa, flex and flash attention alike). The tiles of all conversations lie
flat in one tensor either way: the encoder is called once a batch.

Legend: B conversations, R rows, S tokens of a row.
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import torch
from torch.utils.data import IterableDataset, get_worker_info
from transformers import BatchFeature

from vlm.processor import NadirProcessor

if TYPE_CHECKING:
    from train.mixture import Mixture

Encoded = dict[str, torch.Tensor]
"""One conversation: what NadirProcessor.encode gives, `answer_tasks` (index into TASKS) and `pointer_targets`."""
T = TypeVar("T")
POINTER = ("pointer_targets", "pointer_truth")
"""What the pointer is taught, of all tiles and images of a conversation, where there are any."""
MOST_PADDING = 0.02
"""Share of padding from which a packed batch is laid out in fewer, longer rows."""
IGNORED = -100


def collate(processor: NadirProcessor, items: Sequence[Encoded]) -> BatchFeature:
    """Join conversations, one to a row, padded on the right to the longest."""
    joined = processor.collate(items, side="right")
    extra = {
        key: torch.cat([item[key] for item in items if key in item])
        for key in ("answer_tasks", *POINTER)
        if any(key in item for item in items)
    }
    return BatchFeature({**joined, **extra})


def collate_packed(processor: NadirProcessor, items: Sequence[Encoded], row_tokens: int) -> BatchFeature:
    """Join conversations, several to a row of about `row_tokens` tokens (0: all in one row), kept apart by positions.

    There is no attention mask: `position_ids` (R, S) say where each conversation starts, the padding being one more.
    `padding` is the number of its tokens.
    """
    rows = pack_rows([len(item["input_ids"]) for item in items], row_tokens)
    ordered = [items[index] for row in rows for index in row]
    batch = dict(collate(processor, ordered))
    length = max(sum(len(items[index]["input_ids"]) for index in row) for row in rows)
    pad = processor.tokenizer.pad_token_id or 0
    batch["input_ids"] = torch.stack([_row([items[i]["input_ids"] for i in row], length, pad) for row in rows])
    batch["labels"] = torch.stack([_row([items[i]["labels"] for i in row], length, IGNORED) for row in rows])
    batch["position_ids"] = torch.stack([_positions([len(items[i]["input_ids"]) for i in row], length) for row in rows])
    batch["padding"] = torch.tensor(batch["input_ids"].numel() - int(batch.pop("attention_mask").sum()))
    return BatchFeature(batch)


def pack_rows(lengths: Sequence[int], row_tokens: int) -> list[list[int]]:
    """Lay conversations out in rows of even length; each row is a list of indices into `lengths`.

    As many rows as `row_tokens` suggests, or fewer until at most MOST_PADDING of the tokens are padding: one row has
    none. Longest first, each into the shortest row (Graham, 1969).
    """
    total = sum(lengths)
    for count in range(max(1, round(total / row_tokens)) if row_tokens else 1, 0, -1):
        rows: list[list[int]] = [[] for _ in range(count)]
        filled = [0] * count
        for index in sorted(range(len(lengths)), key=lambda index: (-lengths[index], index)):
            shortest = filled.index(min(filled))
            rows[shortest].append(index)
            filled[shortest] += lengths[index]
        if count == 1 or total >= (1 - MOST_PADDING) * count * max(filled):
            break
    return [row for row in rows if row]


@dataclass
class Pieces(IterableDataset):
    """Yield windows of steps for ever; a step is the list of batches that process `rank` of `ranks` has in it.

    A step's conversations are dealt out like cards, so that the processes and their `accumulate` pieces have alike ones
    of a step sorted by length. Each loader worker draws other windows, and torch's loader takes the workers in turn:
    how many there are changes nothing. Packed steps are windows of their own, of which a process draws only its part.
    """

    mixture: Mixture
    first: int = 0
    """Step that comes first, as when a run goes on."""
    rank: int = 0
    ranks: int = 1
    accumulate: int = 1
    pack_tokens: int | None = None
    """Tokens of a packed row; 0 for one row, None for padded batches."""
    complete: bool = False
    """Give every piece a blank pair where it has no pair of its own."""

    def __iter__(self) -> Iterator[list[list[BatchFeature]]]:
        worker = get_worker_info()
        number, workers = (worker.id, worker.num_workers) if worker else (0, 1)
        blank = self.mixture.blank_pair() if self.complete else None
        span = 1 if self.pack_tokens is not None else self.mixture.span
        for window in itertools.count(self.first // span + number, workers):
            steps = self._packed(window) if self.pack_tokens is not None else self._padded(window)
            yield [[self._join(piece, blank) for piece in step] for step in steps[max(0, self.first - window * span) :]]

    def _packed(self, step: int) -> list[list[list[Encoded]]]:
        first = step * self.mixture.batch
        pieces = self._deal(list(range(first, first + self.mixture.batch)))
        return [[[self.mixture.draw(number) for number in piece] for piece in pieces]]

    def _padded(self, window: int) -> list[list[list[Encoded]]]:
        return [self._deal(items) for items in self.mixture.window(window)]

    def _deal(self, items: list[T]) -> list[list[T]]:
        hands = self.ranks * self.accumulate
        return [items[self.rank * self.accumulate + piece :: hands] for piece in range(self.accumulate)]

    def _join(self, items: list[Encoded], blank: Encoded | None) -> BatchFeature:
        paired = any("tile_partner" in item and bool((item["tile_partner"] >= 0).any()) for item in items)
        items = items if blank is None or paired else [*items, blank]
        if self.pack_tokens is None:
            return collate(self.mixture.processor, items)
        return collate_packed(self.mixture.processor, items, self.pack_tokens)


def _row(parts: Sequence[torch.Tensor], length: int, fill: int) -> torch.Tensor:
    row = torch.cat(list(parts))
    return torch.nn.functional.pad(row, (0, length - len(row)), value=fill)


def _positions(lengths: Sequence[int], length: int) -> torch.Tensor:
    return torch.cat([torch.arange(part) for part in (*lengths, length - sum(lengths))])
