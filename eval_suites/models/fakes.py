"""Models that are none: what says the target, nothing, or something at random, to try a suite and to know its scale.

fake:perfect   the target in the dialect asked for: the best score that this dialect can reach
fake:empty     nothing
fake:random    a random choice, a random box, or the target of another case
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from eval_suites.cases import Case
from eval_suites.images import frames
from eval_suites.masks import FILES, target_regions
from vlm.codecs import render_text
from vlm.errors import DataError
from vlm.geometry import HBB, OBB, Geometry
from vlm.geometry.shapes import Mask, Polygon
from vlm.records import Region

SLOTS: Final[dict[type, str]] = {HBB: "box", OBB: "obb", Polygon: "poly", Mask: "seg"}
Targets = Mapping[str, Sequence[str]]
LETTERS: Final = "ABCDEFGHIJ"


class FakeAnswerer:
    """Answer by a rule that knows the target."""

    batch = 1_000_000
    sees = True

    def __init__(self, kind: str, *, dialect: str = "nadir") -> None:
        if kind not in FAKES:
            raise DataError(f"no fake model {kind!r}: known are {', '.join(f'fake:{known}' for known in FAKES)}")
        self._say, self.name, self.dialect = FAKES[kind], f"fake:{kind}", dialect
        self.digest = f"{kind}-{dialect}"
        self.facts: dict[str, object] = {"dialect": dialect}

    def begin(self, folder: Path) -> None:
        """Do nothing: nothing is kept beside the samples."""

    def ask(self, cases: Sequence[Case], *, max_new_tokens: int, blind: bool) -> list[str]:
        """Give the fake answers; the images make no difference, so blind is as good as sighted."""
        del max_new_tokens, blind
        targets = targets_by_category(cases)
        return [self._say(case, self.dialect, targets) for case in cases]

    def close(self) -> None:
        """Do nothing: nothing is under way."""


def targets_by_category(cases: Sequence[Case]) -> dict[str, list[str]]:
    """Give the targets of each category, as often as they occur, sorted."""
    found: dict[str, list[str]] = {}
    for case in cases:
        found.setdefault(case.category, []).append(case.target)
    return {name: sorted(targets) for name, targets in found.items()}


def say_target(case: Case, dialect: str, targets: Targets | None = None) -> str:
    """Say the first accepted answer, or write the target regions in a dialect."""
    del targets
    if case.form or (case.regions and not case.answers):
        if dialect == FILES and case.form == "mask":
            return str(case.truth)
        return write_regions(case, target_regions(case), dialect)
    return case.target


def say_nothing(case: Case, dialect: str, targets: Targets) -> str:
    """Say nothing."""
    del case, dialect, targets
    return ""


def say_random(case: Case, dialect: str, targets: Targets) -> str:
    """Say a random choice, a random box of the image, or what is right for another case of the category; seeded."""
    rng = random.Random(int(hashlib.sha256(case.id.encode()).hexdigest()[:8], 16))
    if case.options:
        return LETTERS[rng.randrange(len(case.options))]
    if case.form or (case.regions and not case.answers):
        return write_regions(case, [Region(_random_box(case, rng), case.phrase)], dialect)
    return rng.choice(targets[case.category])


def write_regions(case: Case, regions: Sequence[Region], dialect: str) -> str:
    """Write regions in pixels of the image as a model of a dialect would, that sees the case's window.

    Each is called by its phrase where the case asks for objects of any kind.
    """
    named = "ref " if case.form in ("boxes", "obbs") and not case.phrase else ""
    slots = " ".join(f"{{{named}{SLOTS[type(region.geometry)]}:{index}}}" for index, region in enumerate(regions))
    plain = [Region(_in_window(case, region.geometry), region.phrase, region.image) for region in regions]
    return render_text(slots, plain, sizes=frames(case), dialect=dialect) if regions else "none"


def _in_window(case: Case, geometry: Geometry) -> Geometry:
    from vlm.geometry import shift

    return shift(geometry, -case.window.x, -case.window.y) if case.window else geometry


def _random_box(case: Case, rng: random.Random) -> HBB:
    width, height = case.sizes[0] if case.sizes else frames(case)[0]
    x1, x2 = sorted((rng.uniform(0, width), rng.uniform(0, width)))
    y1, y2 = sorted((rng.uniform(0, height), rng.uniform(0, height)))
    return HBB(x1, y1, x2 + 1e-6, y2 + 1e-6)


FAKES: Final[dict[str, Callable[[Case, str, Targets], str]]] = {
    "perfect": say_target,
    "empty": say_nothing,
    "random": say_random,
}
