"""Recipe landcover: ChatEarthNet's descriptions (Yuan et al., 2025), written from the labels, and questions.

A description gives the classes by share, the dominant one first, and where each of them lies; its facts are those of
the label, so no sentence can contradict it. Classes below MIN_SHARE are not spoken of. Samples need labels on most of
the image.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import combinations
from typing import Final

from data_engine import generate, templates
from data_engine.amounts import write_percent
from data_engine.cover import Cover, sample_to_cover
from data_engine.places import PLACES, join_words, say_place, share_by_place
from data_engine.recipes.recipe import derive, question, rng_of, slug, some
from vlm.records import Sample

MIN_KNOWN: Final = 0.9
"""The least share of the image that must have a class."""
MIN_SHARE: Final = 0.01
"""The least share from which a class is said to be there; classes of less are neither present nor absent."""
CLEAR_RATIO: Final = 1.25
"""How many times larger a share must be to be called the larger one."""
DESCRIPTIONS: Final = 3


def landcover(sample: Sample, seed: int) -> Iterator[Sample]:
    """Yield descriptions and questions about shares, places and comparisons of land-cover classes."""
    cover = sample_to_cover(sample)
    if cover is None or cover.known < MIN_KNOWN or min(cover.labels.shape) < 3:
        return
    for number in range(DESCRIPTIONS):
        name = f"land-describe/{number}"
        rng = rng_of(sample, name, seed)
        text = write_description(cover, rng)
        yield derive(sample, name, generate.ask("land_describe", text, rng, task="caption"))
    shares = cover.shares()
    spoken = [label for label, share in shares.items() if share >= MIN_SHARE]
    if len(spoken) == 1 or shares[spoken[0]] >= CLEAR_RATIO * shares[spoken[1]]:
        yield question(sample, "land-main", "land_main", spoken[0], seed=seed)
    for label in spoken:
        words = {"phrase": label}
        text = write_percent(shares[label])
        yield question(sample, f"land-share/{slug(label)}", "land_share", text, seed=seed, words=words)
        place = find_main_place(cover, label)
        if place is not None:
            yield question(sample, f"land-where/{slug(label)}", "land_where", place, seed=seed, words=words)
    yield from _present(sample, cover, spoken, seed)
    yield from _places(sample, cover, seed)
    yield from _compare(sample, shares, spoken, seed)


def write_description(cover: Cover, rng: random.Random) -> str:
    """Describe the classes of a land cover by share and place, the largest first."""
    shares = [(label, share) for label, share in cover.shares().items() if share >= MIN_SHARE]
    (main, share), rest = shares[0], shares[1:]
    openings = [
        f"the image is dominated by {main} ({write_percent(share)})",
        f"most of the image is {main} ({write_percent(share)})",
        f"{main} covers {write_percent(share)} of the image",
    ]
    if share < 0.5:
        openings[:2] = [f"the largest part of the image is {main} ({write_percent(share)})"]
    sentences = [rng.choice(openings) + _say_where(cover, main, rng)]
    for label, part in rest[:4]:
        size = rng.choice((f"{write_percent(part)} of it is {label}", f"{label} covers {write_percent(part)}"))
        sentences.append(size + _say_where(cover, label, rng))
    if len(rest) > 4:
        sentences.append(f"there are smaller areas of {join_words([label for label, _ in rest[4:]])}")
    return ". ".join(sentence[0].upper() + sentence[1:] for sentence in sentences)


def find_main_place(cover: Cover, label: str) -> str | None:
    """Name the ninth in which a class is clearly densest; None where there is no such place."""
    shares = share_by_place(cover.bits(label))
    order = shares.argsort()[::-1]
    return PLACES[int(order[0])] if shares[order[0]] >= CLEAR_RATIO * shares[order[1]] else None


def find_places(cover: Cover, label: str) -> list[str]:
    """Name the ninths that hold most of a class: the fewest that have two thirds of its pixels together."""
    shares = share_by_place(cover.bits(label))
    found: list[int] = []
    for at in shares.argsort()[::-1].tolist():
        found.append(at)
        if shares[found].sum() >= 2 / 3 * shares.sum():
            break
    return [PLACES[at] for at in sorted(found)]


def _say_where(cover: Cover, label: str, rng: random.Random) -> str:
    places = find_places(cover, label)
    if len(places) >= 5:
        return rng.choice((", spread over the image", ", all over the image", ""))
    return f", mostly {join_words([say_place(place) for place in places])}"


def _present(sample: Sample, cover: Cover, spoken: list[str], seed: int) -> Iterator[Sample]:
    absent = [label for label in cover.classes if not cover.bits(label).any()]
    rng_of(sample, "land-present", seed).shuffle(absent)
    for label, answer in [(x, templates.YES) for x in spoken] + [(x, templates.NO) for x in absent[: len(spoken)]]:
        words = {"phrase": label}
        yield question(sample, f"land-present/{slug(label)}", "land_present", answer, seed=seed, words=words)


def _places(sample: Sample, cover: Cover, seed: int) -> Iterator[Sample]:
    """Ask for the main class of each part of the image where one clearly prevails."""
    table = [share_by_place(cover.bits(label)) for label in cover.classes]
    for at, place in enumerate(PLACES):
        ranked = sorted(range(len(table)), key=lambda label: -float(table[label][at]))
        first, second = (float(table[label][at]) for label in (ranked[0], ranked[min(1, len(ranked) - 1)]))
        if first >= CLEAR_RATIO * second or len(ranked) == 1:
            words = {"place": say_place(place)}
            name = f"land-place/{slug(place)}"
            yield question(sample, name, "land_place", cover.classes[ranked[0]], seed=seed, words=words)


def _compare(sample: Sample, shares: dict[str, float], spoken: list[str], seed: int) -> Iterator[Sample]:
    rng = rng_of(sample, "land-more", seed)
    for first, second in some(list(combinations(range(len(spoken)), 2)), rng):
        pair = [spoken[first], spoken[second]]
        rng.shuffle(pair)
        if shares[spoken[first]] >= CLEAR_RATIO * shares[spoken[second]]:
            answer = templates.YES if shares[pair[0]] > shares[pair[1]] else templates.NO
            words = {"phrase": pair[0], "other": pair[1]}
            yield question(
                sample, f"land-more/{slug(pair[0])}/{slug(pair[1])}", "land_more", answer, seed=seed, words=words
            )
