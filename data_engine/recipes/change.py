"""Recipe change: ChangeChat's six kinds of instruction, and boxes and masks, from a change mask or two label maps.

Caption, yes/no, count, places on a 3 x 3 grid, open questions and a dialogue of several turns; the same for a pair in
which nothing changed, the second date shown twice: what is new is there, and yet nothing has changed. Counts and places
are written as ChangeChat's evaluation reads them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from data_engine import generate, templates
from data_engine.change_map import ChangeMap, is_countable, plural, sample_to_change
from data_engine.changes import MAX_BOXES, PHRASE
from data_engine.labels import crop_mask
from data_engine.places import CELLS, share_by_place
from data_engine.recipes.change_text import describe_change, open_questions, write_counts
from data_engine.recipes.recipe import derive, rng_of, slug
from vlm.records import Image, Region, Sample, Turn

PLACE_SHARE: Final = 0.005
"""The least changed share of a ninth of the image that counts as a change there."""


def change(sample: Sample, seed: int) -> Iterator[Sample]:
    """Yield every kind of change sample of a pair, and of its second date shown twice.

    A pair that is one picture twice gives nothing: it comes with the pair that it was made from.
    """
    found = sample_to_change(sample)
    if found is None or min(found.changed.shape) < 3 or sample.images[0] == sample.images[1]:
        return
    if not found.is_speck:
        yield from _all_kinds(sample, found, sample.images, "change", seed)
    if not found.changed.any():
        return
    nothing = np.zeros_like(found.changed)
    kinds = dict.fromkeys(found.kinds, nothing)
    still = ChangeMap(nothing, kinds, found.after, found.after)
    yield from _all_kinds(sample, still, (sample.images[1],) * 2, "change-second-twice", seed)


def _all_kinds(sample: Sample, found: ChangeMap, images: tuple[Image, ...], prefix: str, seed: int) -> Iterator[Sample]:
    turns = dict(_turns(sample, found, images[0], prefix, seed))
    for name, turn in turns.items():
        yield derive(sample, f"{prefix}/{name}", turn, images=images)
    talk = [turns[name] for name in ("presence", "counts", "places", "open/share", "box") if name in turns]
    rng = rng_of(sample, f"{prefix}/dialogue", seed)
    last = replace(turns["caption"], instruction=templates.write_instruction("change_then", rng))
    yield derive(sample, f"{prefix}/dialogue", *talk, last, images=images)


def _turns(sample: Sample, found: ChangeMap, image: Image, prefix: str, seed: int) -> Iterator[tuple[str, Turn]]:
    rng = rng_of(sample, prefix, seed)
    changed = bool(found.changed.any())
    yield "presence", generate.change_presence(changed, rng)
    sentence = rng.choice(found.sentences) if found.sentences else describe_change(found, rng)
    yield "caption", generate.change_caption(sentence if changed else None, rng)
    whole = crop_mask(found.changed)
    yield "mask", generate.change_mask(None if whole is None else Region(whole, PHRASE), rng)
    parts = [Region(mask, PHRASE) for mask in replace(found, kinds={PHRASE: found.changed}, parts={}).split(PHRASE)]
    if len(parts) <= MAX_BOXES:
        yield "box", generate.change_boxes(parts, rng)
    for kind in found.kinds:
        if kind != PHRASE:
            yield from _of_kind(sample, found, kind, prefix, seed)
    classes = sorted({kind.partition(" ")[2] for kind in found.kinds if kind != PHRASE})
    counted = [label for label in classes if is_countable(label) and not found.is_unsure(label)]
    if counted:
        words = {"classes": ", ".join(plural(label) for label in counted)}
        text = write_counts(found, counted)
        yield "counts", generate.ask("change_count_classes", text, rng, task="change", words=words)
    if classes:
        words = {"classes": ", ".join(plural(label) for label in classes)}
        text = " ".join(write_places(found, label) for label in classes)
        yield "places", generate.ask("change_places", text, rng, task="change", words=words)
    for name, turn in open_questions(found, image, rng):
        yield f"open/{name}", turn


def _of_kind(sample: Sample, found: ChangeMap, kind: str, prefix: str, seed: int) -> Iterator[tuple[str, Turn]]:
    """Ask for the number, the boxes and the mask of one kind of change."""
    rng = rng_of(sample, f"{prefix}/{slug(kind)}", seed)
    words = {"phrase": kind, "plural": plural(kind)}
    parts = [Region(mask, kind) for mask in found.split(kind)]
    whole = crop_mask(found.kinds[kind])
    if is_countable(kind) and not found.is_unsure(kind.partition(" ")[2]):
        yield f"count/{slug(kind)}", generate.ask("change_count", str(len(parts)), rng, task="count", words=words)
        if len(parts) <= MAX_BOXES:
            regions = generate.sort_regions(parts)
            template = generate.write_slot("box", len(regions))
            yield (
                f"box/{slug(kind)}",
                generate.locate("change_class_box", template, regions, rng, task="change", words=words),
            )
    regions = () if whole is None else (Region(whole, kind),)
    template = generate.write_slot("seg", len(regions))
    yield f"mask/{slug(kind)}", generate.locate("change_class_mask", template, regions, rng, task="change", words=words)


def write_places(found: ChangeMap, label: str) -> str:
    """Write the changed ninths of a class as ChangeChat does: `buildings ['top-left', 'center-center']`."""
    bits = np.zeros_like(found.changed)
    for kind, there in found.kinds.items():
        if kind.partition(" ")[2] == label:
            bits |= there
    cells = [cell for cell, share in zip(CELLS, share_by_place(bits), strict=True) if share >= PLACE_SHARE]
    return f"{plural(label)} {cells}"
