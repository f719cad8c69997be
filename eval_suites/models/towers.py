"""The two towers of a checkpoint as the one who answers: the class whose description lies nearest to the image.

Nothing is generated: an image and the descriptions of all classes are embedded, and the nearest class is named. Without
the image a grey one is shown, which names one class for all.
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from transformers.utils import logging

from eval_suites.cases import Case
from eval_suites.models.checkpoint import name_checkpoint
from eval_suites.rules.zeroshot import EUROSAT_WORDS, SKYSCRIPT_TEMPLATES, average_descriptions, build_prompts
from eval_suites.rules.zeroshot import rs5m_templates as list_rs5m_templates
from vlm.checkpoint import load_checkpoint
from vlm.embed import embed_texts, embed_tiles
from vlm.model_dir import BUILT_IN
from vlm.overlay import load_pictures
from vlm.tiling import TokenBudget

PICTURE_PX: Final = 1024
TEXTS_AT_ONCE: Final = 256


class Towers:
    """Embed images, each as one tile, and texts with a checkpoint, the built-in one by default."""

    def __init__(self, folder: Path | None = None, *, name: str | None = None, device: str = "cpu") -> None:
        logging.disable_progress_bar()
        model, self._processor = load_checkpoint(folder or BUILT_IN)
        self._model = model.eval().to(device)
        self.name, self.digest = name_checkpoint(folder, name)

    def embed_images(self, paths: Sequence[str]) -> np.ndarray:
        """Give unit vectors (n, d) of image files; raises RasterError where one cannot be read."""
        return self.embed_pictures([load_pictures([path], size_px=PICTURE_PX)[0].rgb for path in map(Path, paths)])

    def embed_pictures(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        """Give unit vectors (n, d) of pictures (rows, columns, 3)."""
        tiles = [self._processor.tile_array(picture, budget=TokenBudget(1)) for picture in pictures]
        joined = replace(tiles[0], pixels=np.concatenate([tile.pixels for tile in tiles]))
        return np.asarray(embed_tiles(self._model, self._processor, joined).float().cpu(), np.float32)

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Give unit vectors (n, d) of texts."""
        parts = [texts[start : start + TEXTS_AT_ONCE] for start in range(0, len(texts), TEXTS_AT_ONCE)]
        found = [embed_texts(self._model, self._processor, part).float().cpu().numpy() for part in parts]
        return np.concatenate(found).astype(np.float32)


class TowerAnswerer:
    """Name the class of each case's image among its classes, by the descriptions of a protocol (skyscript, rs5m)."""

    batch = 32
    sees = True
    dialect = "nadir"

    def __init__(self, towers: Towers, *, protocol: str) -> None:
        self._towers, self._protocol = towers, protocol
        self._classes: dict[tuple[str, ...], np.ndarray] = {}
        self.name = towers.name
        self.digest = hashlib.sha256(f"{towers.digest} {protocol}".encode()).hexdigest()[:16]
        self.facts: dict[str, object] = {"towers": towers.digest, "descriptions": protocol}

    def begin(self, folder: Path) -> None:
        """Do nothing: nothing is kept beside the samples."""

    def ask(self, cases: Sequence[Case], *, max_new_tokens: int, blind: bool) -> list[str]:
        """Give the name of the nearest class of each case."""
        del max_new_tokens
        if not cases:
            return []
        if blind:
            images = np.repeat(self._towers.embed_pictures([np.full((64, 64, 3), 128, np.uint8)]), len(cases), axis=0)
        else:
            images = self._towers.embed_images([case.images[0] for case in cases])
        return [
            case.values["classes"][int(np.argmax(self._describe(case.values["classes"]) @ image))]
            for case, image in zip(cases, images, strict=True)
        ]

    def close(self) -> None:
        """Do nothing: a checkpoint has nothing under way."""

    def _describe(self, classes: tuple[str, ...]) -> np.ndarray:
        """Give one unit vector a class (classes, d), the mean of its descriptions as the protocol takes it."""
        if classes not in self._classes:
            plain = self._protocol == "skyscript"
            templates, words = (SKYSCRIPT_TEMPLATES, {}) if plain else (list_rs5m_templates(), EUROSAT_WORDS)
            prompts = build_prompts(classes, templates, words=words)
            vectors = self._towers.embed_texts([text for texts in prompts for text in texts])
            shaped = vectors.reshape(len(classes), len(templates), -1)
            self._classes[classes] = average_descriptions(shaped, each_normalised=plain)
        return self._classes[classes]
