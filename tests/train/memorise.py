"""Train a model on the same few samples until it knows them by heart, and ask it for them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from tests.train.made_tasks import CELLS
from train.mixture import build_conversation
from train.pictures import load_rgb
from vlm.answer import Nadir
from vlm.codecs import render_text
from vlm.model import NadirForConditionalGeneration
from vlm.processor import NadirProcessor
from vlm.records import Sample


def encode_sample(processor: NadirProcessor, sample: Sample) -> dict[str, torch.Tensor]:
    """Encode a sample as training does, without any change of its picture."""
    pictures = [load_rgb(image) for image in sample.images]
    sizes = [(rgb.shape[1], rgb.shape[0]) for rgb in pictures]
    partner = (1, 0) if len(pictures) == 2 else (None,)
    images = [processor.tile_array(rgb, date=date, partner=partner[date]) for date, rgb in enumerate(pictures)]
    messages = build_conversation(sample.turns, sizes, notes=[""] * len(images), mask_cells=CELLS)
    return processor.encode(messages, images, with_labels=True)


def memorise(
    model: NadirForConditionalGeneration,
    processor: NadirProcessor,
    samples: Sequence[Sample],
    *,
    steps: int,
    batch: int = 32,
    learning_rate: float = 4e-3,
    enough: float = 0.004,
) -> list[float]:
    """Train until the mean loss of an epoch is below `enough` or the steps are over; give the loss of each step."""
    encoded = sorted((encode_sample(processor, sample) for sample in samples), key=lambda one: len(one["input_ids"]))
    batches = [processor.collate(encoded[at : at + batch], side="right") for at in range(0, len(encoded), batch)]
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps + 1, pct_start=0.1)
    model.train()
    losses: list[float] = []
    for step in range(steps):
        loss = model(**batches[step % len(batches)], use_cache=False).loss
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
        if step % len(batches) == 0 and step >= len(batches) and max(losses[-len(batches) :]) < enough:
            break
    model.eval()
    return losses


def expected_text(sample: Sample) -> str:
    """Give what a model that knows a sample says."""
    sizes = [(image.width or 0, image.height or 0) for image in sample.images]
    answer = sample.turns[0].answer
    return render_text(answer.template, answer.regions, sizes=sizes, mask_cells=CELLS)


def find_wrong(nadir: Nadir, samples: Sequence[Sample]) -> list[tuple[str, str, str]]:
    """Ask for every sample by the one path; give (id, said, expected) of those that come back otherwise."""
    wrong = []
    for sample in samples:
        paths = [image.path or "" for image in sample.images]
        answer = nadir.ask(*paths, sample.turns[0].instruction, max_new_tokens=96)
        expected = expected_text(sample)
        if answer.text != expected or len(answer.regions) != len(sample.turns[0].answer.regions) or answer.issues:
            wrong.append((sample.id, answer.text, expected))
    return wrong
