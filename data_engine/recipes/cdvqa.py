"""Recipe cdvqa: the eight question types of CDVQA (Yuan et al., TGRS 2022) from the land cover of two dates.

Answers are CDVQA's: yes, no, a class with underscores ("low_vegetation"; "NVG_surface" for the non-vegetated ground
surface), a ratio such as "10_to_20". Ratios are shares of the whole image. Where two classes are nearly equal, the
smallest, the largest and the main one are not asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from data_engine import templates
from data_engine.amounts import write_ratio_class
from data_engine.change_map import ChangeMap, plural, sample_to_change
from data_engine.cover import Cover
from data_engine.recipes.change_text import CLEAR_RATIO
from data_engine.recipes.recipe import question, rng_of
from vlm.records import Sample

ANSWERS: Final = {"non-vegetated ground surface": "NVG_surface"}
DATES: Final = {
    "either": ("",),
    "first": (" in the first image", " in the pre-change image", " in the pre-event image"),
    "second": (" in the second image", " in the post-change image", " in the post-event image"),
}


def cdvqa(sample: Sample, seed: int) -> Iterator[Sample]:
    """Yield questions of the eight types about a pair whose two dates are segmented."""
    found = sample_to_change(sample)
    if found is None or found.before is None or found.after is None:
        return
    yield from _ratios(sample, found, seed)
    for index, label in enumerate(found.before.classes):
        yield from _of_class(sample, found, index, label, seed)
    yield from _extremes(sample, found, seed)


def write_class(label: str) -> str:
    """Write a class as CDVQA's answers do."""
    return ANSWERS.get(label, plural(label).replace(" ", "_"))


def changed_pixels(found: ChangeMap, index: int) -> dict[str, int]:
    """Count the changed pixels that have a class at the first date, at the second, and at either."""
    before, after = (_labels(cover)[found.changed] == index for cover in (found.before, found.after))
    return {"first": int(before.sum()), "second": int(after.sum()), "either": int((before | after).sum())}


def _ratios(sample: Sample, found: ChangeMap, seed: int) -> Iterator[Sample]:
    share = float(found.changed.mean())
    for name, value in (("change_ratio", share), ("unchanged_ratio", 1 - share)):
        yield question(sample, f"cdvqa/{name}", f"cdvqa_{name}", write_ratio_class(value), seed=seed, task="change")


def _of_class(sample: Sample, found: ChangeMap, index: int, label: str, seed: int) -> Iterator[Sample]:
    counts = changed_pixels(found, index)
    where = label.replace(" ", "-")
    for date in DATES:
        words = {"plural": plural(label), "date": _say_date(sample, f"{where}/{date}", date, seed)}
        name = f"cdvqa/change_or_not/{where}/{date}"
        answer = templates.YES if counts[date] else templates.NO
        yield question(sample, name, "cdvqa_change_or_not", answer, seed=seed, words=words, task="change")
        if date != "either":
            name = f"cdvqa/change_ratio_types/{where}/{date}"
            ratio = write_ratio_class(counts[date] / found.changed.size)
            yield question(sample, name, "cdvqa_change_ratio_types", ratio, seed=seed, words=words, task="change")
    gain = counts["second"] - counts["first"]
    for kind, grown in (("increase", gain > 0), ("decrease", gain < 0)):
        words = {"plural": plural(label)}
        answer = templates.YES if grown else templates.NO
        name = f"cdvqa/{kind}_or_not/{where}"
        yield question(sample, name, f"cdvqa_{kind}_or_not", answer, seed=seed, words=words, task="change")
    after = _labels(found.after)[found.changed & (_labels(found.before) == index)]
    target = _clear_winner(np.bincount(after, minlength=len(_classes(found))) if after.size else np.zeros(0, int))
    if target is not None:
        words = {"plural": plural(label), "date": _say_date(sample, where, "first", seed)}
        name = f"cdvqa/change_to_what/{where}"
        answer = write_class(_classes(found)[target])
        yield question(sample, name, "cdvqa_change_to_what", answer, seed=seed, words=words, task="change")


def _extremes(sample: Sample, found: ChangeMap, seed: int) -> Iterator[Sample]:
    counts = [changed_pixels(found, index) for index in range(len(_classes(found)))]
    for date in DATES:
        pixels = np.array([count[date] for count in counts])
        positive = np.where(pixels > 0, pixels, 0)
        smallest = _clear_winner(np.where(positive > 0, 1e9 / np.maximum(positive, 1), 0))
        for kind, winner in (("largest", _clear_winner(positive)), ("smallest", smallest)):
            if winner is not None:
                name = f"cdvqa/{kind}_change/{date}"
                words = {"date": _say_date(sample, kind, date, seed)}
                answer = write_class(_classes(found)[winner])
                yield question(sample, name, f"cdvqa_{kind}_change", answer, seed=seed, words=words, task="change")


def _say_date(sample: Sample, name: str, date: str, seed: int) -> str:
    return rng_of(sample, f"cdvqa/date/{name}/{date}", seed).choice(DATES[date])


def _clear_winner(values: np.ndarray) -> int | None:
    """Give the place of the greatest value where it is positive and beats the next by CLEAR_RATIO."""
    if not values.size or values.max() <= 0:
        return None
    order = np.argsort(values)[::-1]
    second = values[order[1]] if values.size > 1 else 0
    return int(order[0]) if values[order[0]] >= CLEAR_RATIO * second else None


def _classes(found: ChangeMap) -> tuple[str, ...]:
    return found.before.classes if found.before is not None else ()


def _labels(cover: Cover | None) -> np.ndarray:
    return cover.labels if cover is not None else np.zeros((0, 0), np.int16)
