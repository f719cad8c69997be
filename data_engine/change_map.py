"""What changed between two dates, from a change mask or from the land cover of both: masks by kind of change.

A kind is a phrase such as "new building", "lost tree", "changed road" or, where nothing is known about classes,
"changed area". Everything lies on the grid of the first date, which the second shares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from data_engine import templates
from data_engine.annotations import read_classes
from data_engine.changes import MIN_COMPONENT_PX, PHRASE
from data_engine.cover import Cover, draw, regions_to_cover
from data_engine.labels import split_components
from vlm.codecs import render_text
from vlm.geometry.shapes import Mask
from vlm.records import Region, Sample, Turn

MASS_NOUNS: Final = frozenset({
    "water", "vegetation", "land", "surface", "cover", "grass", "farmland", "cropland", "grassland", "forest", "soil",
    "ground", "wetland", "shrubland", "snow", "ice", "bareland", "agriculture", "built-up", "area", "moss", "sand",
})  # fmt: skip
"""Last words of classes whose parts are not counted."""


@dataclass(frozen=True, slots=True, eq=False)
class ChangeMap:
    """Hold the changed pixels (rows, cols) of a pair, those of each kind, both land covers and given sentences."""

    changed: np.ndarray
    kinds: dict[str, np.ndarray]
    before: Cover | None = None
    after: Cover | None = None
    sentences: tuple[str, ...] = ()
    parts: dict[str, tuple[Mask, ...]] = field(default_factory=dict)

    def split(self, kind: str) -> tuple[Mask, ...]:
        """Give the connected parts of a kind of change of at least MIN_COMPONENT_PX pixels; they are found once."""
        if kind not in self.parts:
            self.parts[kind] = split_components(self.kinds[kind], min_px=MIN_COMPONENT_PX)
        return self.parts[kind]

    def is_unsure(self, label: str) -> bool:
        """Tell whether a class changed in places that are all too small to be counted."""
        kinds = [kind for kind in self.kinds if kind.partition(" ")[2] == label]
        return any(bool(self.kinds[kind].any()) and not self.split(kind) for kind in kinds)

    @property
    def is_speck(self) -> bool:
        """Tell whether something changed, but no part of it is large enough to be called a change."""
        return bool(self.changed.any()) and not split_components(self.changed, min_px=MIN_COMPONENT_PX)


def sample_to_change(sample: Sample) -> ChangeMap | None:
    """Read the change map of a pair's masks or of its segmented dates; None where a sample has neither."""
    if len(sample.images) != 2 or sample.images[0].width is None or sample.images[0].height is None:
        return None
    if (sample.images[1].width, sample.images[1].height) != (sample.images[0].width, sample.images[0].height):
        return None
    width, height = sample.images[0].width, sample.images[0].height
    turns = [turn for turn in sample.turns if (turn.answer.task or sample.task) == "change"]
    sentences = tuple(text for turn in turns if (text := _sentence(turn)))
    for turn in turns:
        classes = read_classes(turn.instruction)
        if classes:
            before, after = (
                regions_to_cover(turn.answer.regions, classes, width=width, height=height, image=date)
                for date in (0, 1)
            )
            return compare_covers(before, after, sentences=sentences)
    regions = [region for turn in turns for region in turn.answer.regions if isinstance(region.geometry, Mask)]
    plain = {turn.answer.template for turn in turns}
    if not regions and not plain & {templates.NONE, templates.NO_CHANGE}:
        return None
    return _from_masks(regions, width, height, sentences)


def compare_covers(before: Cover, after: Cover, *, sentences: Sequence[str] = ()) -> ChangeMap:
    """Find what changed between two land covers of the same classes; pixels unknown at a date count as unchanged."""
    known = (before.labels >= 0) & (after.labels >= 0)
    changed = known & (before.labels != after.labels)
    kinds = {}
    for index, label in enumerate(before.classes):
        for word, labels in (("new", after.labels), ("lost", before.labels)):
            bits = changed & (labels == index)
            if bits.any():
                kinds[f"{word} {singular(label)}"] = bits
    return ChangeMap(changed, kinds, before, after, tuple(sentences))


def is_countable(label: str) -> bool:
    """Tell whether the parts of a class can be counted: buildings can, water cannot."""
    return label.split()[-1].lower() not in MASS_NOUNS


def singular(label: str) -> str:
    """Give the singular of a class that is written in the plural ("buildings"); any other one as it is."""
    return label[:-1] if label.endswith("s") and not label.endswith(("ss", "us")) and is_countable(label) else label


def plural(label: str) -> str:
    """Give the plural of a class in either number; what is not counted has none ("low vegetation")."""
    return templates.write_plural(singular(label)) if is_countable(label) else label


def _from_masks(regions: Sequence[Region], width: int, height: int, sentences: tuple[str, ...]) -> ChangeMap:
    kinds: dict[str, np.ndarray] = {}
    for phrase in dict.fromkeys(region.phrase or PHRASE for region in regions):
        shapes = [region.geometry for region in regions if (region.phrase or PHRASE) == phrase]
        known = phrase == PHRASE or phrase.split()[0] in ("new", "lost", "changed")
        kinds[phrase if known else f"changed {singular(phrase)}"] = draw(shapes, width=width, height=height)
    changed = np.zeros((height, width), bool)
    for bits in kinds.values():
        changed |= bits
    named = {kind: bits for kind, bits in kinds.items() if kind != PHRASE}
    return ChangeMap(changed, named or kinds, sentences=sentences)


def _sentence(turn: Turn) -> str:
    """Give the sentence that a turn answers with; nothing for geometry, a word, a number or "no change"."""
    if turn.answer.regions or turn.answer.template == templates.NO_CHANGE:
        return ""
    text = render_text(turn.answer.template, (), sizes=())
    return text if len(text.split()) > 2 else ""
