"""How well a caption fits its image, and whether it still does when the image is turned.

An overhead image has no upright, so a caption whose likeness to the image changes as the image is turned fits the
picture by accident: RS5M (Zhang et al., 2023) keeps the captions whose likeness is steady under rotation. Here the four
quarter turns are looked at, which need no new pixels. The model stands behind the seam `Scorer`; `load_clip` fills it
with the encoder of a model directory, which is imported when it is called and not before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from data_engine.store.pixels import load_rgb
from vlm.codecs import split_template
from vlm.records import Sample
from vlm.tiling import TokenBudget

QUARTER_TURNS: Final = 4
PIXELS: Final = 256
"""Sides of the pictures that a scorer is shown, where they have as many."""


class Scorer(Protocol):
    """Embed pictures and texts as unit vectors in one space."""

    def embed_pictures(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        """Give float32 (N, D) for RGB pictures uint8 (rows, cols, 3) of any size."""

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Give float32 (N, D)."""


@dataclass(frozen=True, slots=True)
class ScoreRules:
    """Hold the model directory, and what a caption's cosines with the quarter turns of its image have to be.

    `least_cosine` bounds their mean, `most_spread` their standard deviation. What cosines mean depends on the model:
    look at the distribution of a hundred good pairs first.
    """

    clip: Path
    least_cosine: float
    most_spread: float


@dataclass(frozen=True, slots=True)
class Score:
    """Hold the mean and the spread of the cosines between a caption and the four quarter turns of its image."""

    cosine: float
    spread: float


def score_captions(scorer: Scorer, pictures: Sequence[np.ndarray], texts: Sequence[str]) -> list[Score]:
    """Score each text against the picture (rows, cols, 3) at its place, in all quarter turns."""
    if not pictures:
        return []
    turned = [np.ascontiguousarray(np.rot90(picture, turn)) for picture in pictures for turn in range(QUARTER_TURNS)]
    vectors = scorer.embed_pictures(turned).reshape(len(pictures), QUARTER_TURNS, -1)
    cosines = np.einsum("ntd,nd->nt", vectors, scorer.embed_texts(texts))
    return [Score(float(row.mean()), float(row.std())) for row in cosines]


def rank_captions(scorer: Scorer, picture: np.ndarray, texts: Sequence[str]) -> list[int]:
    """Rank candidate captions of one picture, best first: by cosine less spread, as RS5M chooses among twenty."""
    scores = score_captions(scorer, [picture] * len(texts), texts)
    return sorted(range(len(texts)), key=lambda index: scores[index].spread - scores[index].cosine)


def find_score_faults(samples: Sequence[Sample], rules: ScoreRules, scorer: Scorer) -> dict[int, tuple[str, str]]:
    """Give the reason and a sentence for each caption sample, by its place, that does not fit its image."""
    captions = {at: text for at, sample in enumerate(samples) for text in _caption(sample)}
    pictures = [load_rgb(samples[at].images[0], enough_px=PIXELS) for at in captions]
    scores = score_captions(scorer, pictures, list(captions.values()))
    faults = {}
    for at, score in zip(captions, scores, strict=True):
        if score.cosine < rules.least_cosine:
            faults[at] = ("low score", f"its cosine with the image is {score.cosine:.3f}, wanted {rules.least_cosine}")
        elif score.spread > rules.most_spread:
            spread = f"spreads by {score.spread:.3f} over the quarter turns of the image"
            faults[at] = ("unsteady score", f"its cosine {spread}, allowed is {rules.most_spread}")
    return faults


@lru_cache(maxsize=1)
def load_clip(folder: Path) -> Scorer:
    """Load the encoder of a model directory as a scorer; this imports torch. Raises CheckpointError."""
    return _Clip(*import_module("vlm.checkpoint").load_checkpoint(folder))


class _Clip:
    """Show pictures to the encoder of a Nadir model, each as one tile."""

    def __init__(self, model: Any, processor: Any) -> None:
        self._model, self._processor, self._embed = model.eval(), processor, import_module("vlm.embed")

    def embed_pictures(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        tiles = [self._processor.tile_array(picture, budget=TokenBudget(1)) for picture in pictures]
        joined = replace(tiles[0], pixels=np.concatenate([tile.pixels for tile in tiles]))
        return self._numbers(self._embed.embed_tiles(self._model, self._processor, joined))

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        return self._numbers(self._embed.embed_texts(self._model, self._processor, texts))

    @staticmethod
    def _numbers(vectors: Any) -> np.ndarray:
        return np.asarray(vectors.float().cpu(), np.float32)


def _caption(sample: Sample) -> Iterator[str]:
    """Yield the words of a caption sample about one image."""
    if sample.task == "caption" and len(sample.images) == 1:
        pieces = split_template(sample.turns[0].answer.template)
        yield "".join(piece for piece in pieces if isinstance(piece, str)).strip()
