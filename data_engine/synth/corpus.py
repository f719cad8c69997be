"""A corpus of synthetic scenes and pairs as units of work: each unit renders a few places and asks about them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from data_engine.objects import seeded
from data_engine.stage import Unit
from data_engine.store.ledger import Ledger
from data_engine.synth.facts import pair_facts, scene_facts
from data_engine.synth.geotiff import encode_geotiff
from data_engine.synth.kinds import shown_kinds
from data_engine.synth.pairs import render_pair
from data_engine.synth.render import SENSORS, render_scene
from data_engine.synth.samples import pair_samples, scene_samples
from vlm.errors import DataError
from vlm.records import Sample

MOST_PLACES: Final = 1_000_000
"""Seeds from a million on are for demonstrations and tests (demo.py)."""
UNIT_PLACES: Final = 32
GSDS_M: Final = (0.25, 0.35, 0.5, 0.5, 0.8)
"""What is drawn from where no pixel size is asked for."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """Say what to render: numbers of scenes and pairs, their side in px, pixel sizes to draw from, the sensor.

    `facts` asks for annotations (facts.py) in place of instructions.
    """

    scenes: int
    pairs: int
    size_px: int = 256
    gsds_m: tuple[float, ...] = GSDS_M
    sensor: str = "rgb"
    seed: int = 0
    facts: bool = False

    def __post_init__(self) -> None:
        if self.sensor not in SENSORS:
            raise DataError(f"sensor {self.sensor!r} is unknown: expected one of {', '.join(SENSORS)}")
        for gsd_m in self.gsds_m:
            shown_kinds(gsd_m)
        if not self.scenes + self.pairs > 0 or max(self.scenes, self.pairs) > MOST_PLACES:
            raise DataError(
                f"{self.scenes} scenes and {self.pairs} pairs cannot be made: expected one of the two at least, and at "
                f"most {MOST_PLACES} of each; take another seed for more"
            )

    def units(self) -> list[Unit]:
        """Cut the corpus into units of UNIT_PLACES scenes or half as many pairs."""
        found = []
        for name, count, step in (("scenes", self.scenes, UNIT_PLACES), ("pairs", self.pairs, UNIT_PLACES // 2)):
            for first in range(0, count, step):
                numbers = range(first, min(first + step, count))
                found.append(Unit(f"{name} {numbers.start}-{numbers.stop - 1}", len(numbers), (name, numbers)))
        return found


@dataclass(frozen=True, slots=True)
class RenderPlaces:
    """Do the work of one unit of a corpus."""

    corpus: Corpus

    def __call__(self, unit: Unit, ledger: Ledger) -> Iterator[Sample]:
        name, numbers = unit.payload
        for number in numbers:
            yield from place_samples(self.corpus, name, number)
            ledger.tick(1)


def place_samples(corpus: Corpus, name: str, number: int) -> Iterator[Sample]:
    """Yield the samples of one of the corpus's "scenes" or "pairs", images embedded as GeoTIFF."""
    import cv2

    cv2.setNumThreads(1)
    seed = (corpus.seed << 32) + number
    rng = seeded(corpus.seed, f"synth/{name}/{number}")
    gsd_m = rng.choice(corpus.gsds_m)
    if name == "pairs":
        pair = render_pair(seed, size_px=corpus.size_px, gsd_m=gsd_m, sensor=corpus.sensor)
        if corpus.facts:
            return pair_facts(pair, encode=encode_geotiff)
        return pair_samples(pair, rng, encode=encode_geotiff)
    scene = render_scene(seed, size_px=corpus.size_px, gsd_m=gsd_m, sensor=corpus.sensor)
    if corpus.facts:
        return scene_facts(scene, encode=encode_geotiff)
    return scene_samples(scene, rng, encode=encode_geotiff)
