"""Recipe scene: is it an airport, which of these is it, rural or urban? From samples whose answer is a scene class.

Only classes that look like themselves are used. Wrong answers come from groups of classes that no reader mixes up with
the right one: a river may well lie in a forest, and a tennis court in a residential area, but neither in an airport.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from data_engine import templates
from data_engine.places import join_words
from data_engine.recipes.recipe import question, rng_of
from vlm.codecs import render_text
from vlm.records import Sample

SCENES: Final[dict[str, tuple[str, ...]]] = {
    "urban": (
        "dense residential", "medium residential", "commercial", "commercial area", "industrial", "industrial area",
        "railway station", "storage tanks",
    ),
    "rural": (
        "farmland", "farm land", "forest", "forest land", "meadow", "mountain", "desert", "bare land", "agricultural",
        "chaparral",
    ),
    "water": ("beach", "river", "lake", "river lake", "port", "harbor", "sea ice"),
    "transport": ("airport", "airplane", "runway"),
    "sport": ("baseball field", "baseball diamond", "tennis court", "basketball court", "golf course"),
}  # fmt: skip
"""Scene classes of public data sets by group; some data sets write them without blanks."""

OTHER_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "urban": ("industry", "industrial buildings", "residential area", "residential buildings"),
    "rural": ("annual crop", "permanent crop", "pasture"),
    "water": ("river or lake", "sea or lake"),
}
"""What single data sets call such classes; they are asked about, and offered to no other set."""

CLOSE: Final = {"rural": "water", "water": "rural", "urban": "sport", "sport": "urban"}
"""The group from which no wrong answer is drawn."""

OFFERED: Final = 3
"""How many wrong classes stand beside the right one."""


def scene(sample: Sample, seed: int) -> Iterator[Sample]:
    """Yield a yes, a no, a choice of four and, where it is certain, rural or urban."""
    theme = read_theme(sample)
    group = find_group(theme)
    if group is None:
        return
    joined = " " not in theme and theme.lower() not in (*SCENES[group], *OTHER_NAMES.get(group, ()))
    others = [label for name, labels in SCENES.items() if name not in (group, CLOSE.get(group)) for label in labels]
    rng = rng_of(sample, "scene", seed)
    offered = [label.replace(" ", "") if joined else label for label in rng.sample(others, OFFERED)]
    yield question(sample, "scene/yes", "scene_yes", templates.YES, seed=seed, words={"phrase": theme})
    yield question(sample, "scene/no", "scene_yes", templates.NO, seed=seed, words={"phrase": offered[0]})
    choices = [theme, *offered]
    rng.shuffle(choices)
    words = {"choices": join_words(choices, last="or")}
    yield question(sample, "scene/choice", "scene_choice", theme, seed=seed, words=words, task="classify")
    if group in ("urban", "rural"):
        yield question(sample, "scene/land", "scene_land", group, seed=seed)


def read_theme(sample: Sample) -> str:
    """Give the scene class that a sample answers with, or nothing."""
    for turn in sample.turns:
        if (turn.answer.task or sample.task) == "classify" and not turn.answer.regions:
            return render_text(turn.answer.template, (), sizes=()).strip()
    return ""


def find_group(theme: str) -> str | None:
    """Give the group of a scene class, written with or without blanks; None for a class of no group."""
    plain = theme.lower().replace(" ", "")
    for group, labels in SCENES.items():
        if plain in {label.replace(" ", "") for label in (*labels, *OTHER_NAMES.get(group, ()))}:
            return group
    return None
