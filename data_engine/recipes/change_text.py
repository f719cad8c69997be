"""What recipes say about a change map in words: a sentence, numbers by class, and answers to open questions."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from data_engine import generate, templates
from data_engine.amounts import write_number, write_percent
from data_engine.change_map import ChangeMap, is_countable, plural, singular
from data_engine.changes import PHRASE
from data_engine.cover import Cover
from data_engine.places import PLACES, join_words, say_place, share_by_place
from data_engine.recipes.box_caption import say_number
from vlm.records import Image, Turn

MOST_SHARE: Final = 0.6
"""The share of a change that one ninth of the image must hold to be named as its place."""
CLEAR_RATIO: Final = 1.3
"""How many times larger than the next one an area must be to be called the largest or the main one."""
NOTABLE: Final = 0.01
"""The least share of the image that a gain or loss of land cover must have to be spoken of."""
VERBS: Final = {"new": "been built", "lost": "disappeared", "changed": "changed"}
BUILT: Final = frozenset({"building", "road", "house", "playground", "parking lot", "bridge", "pool", "swimming pool"})


def describe_change(found: ChangeMap, rng: random.Random) -> str | None:
    """Say in one sentence what changed: counted classes first, else the largest transition; None for no change."""
    if not found.changed.any():
        return None
    said = [text for kind in found.kinds if (text := _say_kind(found, kind))]
    if said:
        rng.shuffle(said)
        return " and ".join(said[:3])
    shift = main_transition(found)
    if shift is not None:
        return f"{shift[0]} {_has(shift[0])} turned into {shift[1]}{_where(found.changed)}"
    return f"a part of the area has changed{_where(found.changed)}"


def write_counts(found: ChangeMap, labels: Sequence[str]) -> str:
    """Write new objects by class as ChangeChat does: "2 new roads and no new buildings have been constructed"."""
    numbers = {label: len(found.split(kind)) if (kind := _growth(found, label)) else 0 for label in labels}
    if not any(found.kinds[kind].any() for kind in found.kinds if kind.partition(" ")[2] in labels):
        return f"there are no changes in {join_words([plural(label) for label in labels], last='or')}"
    verb = "been constructed" if set(labels) <= BUILT else "appeared"
    texts = [f"{number or 'no'} new {plural(label)}" for label, number in numbers.items()]
    return f"{join_words(texts)} have {verb}"


def main_transition(found: ChangeMap) -> tuple[str, str] | None:
    """Give (from, to) of the largest transition between classes, where it is clearly the largest."""
    if found.before is None or found.after is None:
        return None
    old_new = np.stack([cover.labels[found.changed] for cover in (found.before, found.after)], axis=1)
    pairs, counts = np.unique(old_new, axis=0, return_counts=True)
    order = np.argsort(counts)[::-1]
    if counts.size > 1 and counts[order[0]] < CLEAR_RATIO * counts[order[1]]:
        return None
    old, new = pairs[order[0]]
    return plural(found.before.classes[old]), plural(found.before.classes[new])


def open_questions(found: ChangeMap, image: Image, rng: random.Random) -> Iterator[tuple[str, Turn]]:
    """Ask for the changed share and area, the place of most change, and what became of each class."""
    share = float(found.changed.mean())
    yield "share", generate.ask("change_share", write_percent(share), rng, task="change")
    if image.gsd_m is not None:
        area_m2 = float(found.changed.sum()) * image.gsd_m**2
        yield "area", generate.ask("change_area", f"{write_number(area_m2)} m2", rng, task="change")
    place = main_place(found.changed)
    if place is not None:
        yield "where", generate.ask("change_where", place, rng, task="change")
    if found.before is not None and found.after is not None:
        yield from _by_class(found, found.before, found.after, rng)


def main_place(bits: np.ndarray) -> str | None:
    """Name the ninth that holds clearly the largest part of the true pixels; None where there is no such place."""
    shares = share_by_place(bits)
    first, second = np.sort(shares)[::-1][:2]
    return PLACES[int(shares.argmax())] if first > CLEAR_RATIO * second else None


def _by_class(found: ChangeMap, before: Cover, after: Cover, rng: random.Random) -> Iterator[tuple[str, Turn]]:
    seen = (before.labels >= 0) & (after.labels >= 0)
    area = name_area(seen, found.changed)
    for index, label in enumerate(before.classes):
        was, now = (float(((cover.labels == index) & seen).mean()) for cover in (before, after))
        words = {"phrase": singular(label), "plural": plural(label)}
        name = label.replace(" ", "-")
        lost, gained = found.changed & (before.labels == index), found.changed & (after.labels == index)
        answer = templates.YES if lost.any() or gained.any() else templates.NO
        yield f"class/{name}", generate.ask("change_class", answer, rng, task="change", words=words)
        if max(was, now) >= NOTABLE:
            text = write_trend(plural(label), was, now, of=float(seen.mean()), area=area)
            yield f"trend/{name}", generate.ask("change_trend", text, rng, task="change", words=words)
        became, replaced = _largest(after.labels[lost], after.classes), _largest(before.labels[gained], before.classes)
        if became and lost.mean() >= NOTABLE:
            yield f"became/{name}", generate.ask("change_became", became, rng, task="change", words=words)
        if replaced and gained.mean() >= NOTABLE:
            yield f"was/{name}", generate.ask("change_was", replaced, rng, task="change", words=words)


def name_area(seen: np.ndarray, changed: np.ndarray) -> str:
    """Name the pixels whose class is known at both dates: all of the image, the changed ones, or some of both."""
    if seen.all():
        return "the image"
    return "the changed area" if np.array_equal(seen, changed) else "the mapped area"


def write_trend(label: str, was: float, now: float, *, of: float = 1.0, area: str = "the image") -> str:
    """Say how the share of a class developed: "the area of trees has shrunk from 12% to 7% of the image".

    `was` and `now` are shares of the image, `of` is that of the area in which classes are known.
    """
    if abs(was - now) < NOTABLE:
        return f"the area of {label} has hardly changed"
    verb = "grown" if now > was else "shrunk"
    return f"the area of {label} has {verb} from {write_percent(was / of)} to {write_percent(now / of)} of {area}"


def _largest(labels: np.ndarray, classes: Sequence[str]) -> str | None:
    """Name the class that clearly most of the pixels have."""
    ranked = Counter(labels.tolist()).most_common(2)
    if not ranked or (len(ranked) > 1 and ranked[0][1] < CLEAR_RATIO * ranked[1][1]):
        return None
    return plural(classes[ranked[0][0]])


def _growth(found: ChangeMap, label: str) -> str | None:
    return next((kind for kind in (f"new {label}", f"changed {label}") if kind in found.kinds), None)


def _say_kind(found: ChangeMap, kind: str) -> str:
    """Say one kind of change of countable things: "two buildings have been built in the top left"."""
    word, _, label = kind.partition(" ")
    parts = found.split(kind)
    if kind == PHRASE or not is_countable(label) or not parts:
        return ""
    verb = VERBS[word] if label in BUILT or word != "new" else "appeared"
    return f"{say_number(len(parts), label)} {'has' if len(parts) == 1 else 'have'} {verb}{_where(found.kinds[kind])}"


def _where(bits: np.ndarray) -> str:
    shares = share_by_place(bits)
    total = float(shares.sum())
    if total and float(shares.max()) / total >= MOST_SHARE:
        return f" {say_place(PLACES[int(shares.argmax())])} of the image"
    return ""


def _has(label: str) -> str:
    return "have" if label.endswith("s") and is_countable(label) else "has"
