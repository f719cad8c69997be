"""Retrieval by the two towers of a checkpoint: images and captions of a test split are embedded, kept, and scored.

OUT/SUITE/embeddings.npz holds the vectors and whose caption is whose, which `score` reads as well; it is made once for
a checkpoint and its captions. Images are unique by their file name, as in RemoteCLIP's and RS5M's scripts. Beside the
score stands a random ranking's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import comb
from pathlib import Path
from typing import Any

import numpy as np

from eval_suites.models.towers import Towers
from eval_suites.readers.arrays import load_arrays
from eval_suites.readers.loaded import Options
from eval_suites.rules.retrieval import STEPS
from eval_suites.rules.rule import Rule
from eval_suites.suites.folder import Folder
from eval_suites.verbs.score import score_loaded, write_result
from vlm.output import replacing

AT_ONCE = 32
RANDOM = "random ranking"
Track = Callable[[str, int, int, str], None]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Hold the images of a split and the captions of each, and what the split is called."""

    images: tuple[str, ...]
    captions: tuple[tuple[str, ...], ...]
    split: str


def load_pairs(folder: Folder, *, limit: int | None = None) -> Pairs:
    """Read the test split of a file in RSICD's layout, or its validation split; DataError where there is neither."""
    rows = folder.json("dataset_*.json", "dataset*.json", "*.json").get("images", [])
    split = next((name for name in ("test", "val") if any(row.get("split") == name for row in rows)), None)
    if split is None:
        raise folder.refuse("has no images of a split test or val in its json file")
    found: dict[str, tuple[str, ...]] = {}
    for row in rows:
        texts = tuple(str(one.get("raw") or " ".join(one.get("tokens", ()))).strip() for one in row["sentences"])
        if row.get("split") == split and texts:
            found.setdefault(str(row["filename"]), texts)
    names = list(found)[:limit]
    return Pairs(tuple(folder.image(name, "images", "imgs") for name in names), tuple(found[n] for n in names), split)


def run_retrieval(
    name: str, rule: Rule, pairs: Pairs, towers: Towers, out: Path, *, facts: dict[str, Any], track: Track
) -> dict[str, Any]:
    """Embed, score and write; give what result.json holds. Raises RasterError where an image cannot be read."""
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    path = embed_pairs(folder / "embeddings.npz", pairs, towers, track=track, title=name)
    options = Options()
    loaded = rule.reader(path, None, rule.fields, options)
    result, scores = score_loaded(name, rule, loaded, options)
    result |= {
        "title": f"{name} ({pairs.split})",
        "published": rule.protocol,
        "of": result["n"],
        "lower_is_better": False,
        "baselines": {RANDOM: expect_random([len(texts) for texts in pairs.captions])},
        "model": {"name": towers.name, "digest": towers.digest},
        **facts,
    }
    write_result(folder, result, loaded, scores)
    return result


def embed_pairs(path: Path, pairs: Pairs, towers: Towers, *, track: Track, title: str) -> Path:
    """Write the vectors of images and captions, unless the file holds those of this checkpoint and these pairs."""
    texts = [text for captions in pairs.captions for text in captions]
    owners = [place for place, captions in enumerate(pairs.captions) for _ in captions]
    made_of = np.array([towers.digest, *pairs.images, *texts])
    if path.exists() and np.array_equal(load_arrays(path).get("made_of", ()), made_of):
        return path
    parts = []
    for start in range(0, len(pairs.images), AT_ONCE):
        track(title, start, len(pairs.images), "")
        parts.append(towers.embed_images(pairs.images[start : start + AT_ONCE]))
    track(title, len(pairs.images), len(pairs.images), "")
    images, vectors = np.concatenate(parts), towers.embed_texts(texts)
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, images=images, texts=vectors, image_of_caption=np.array(owners), made_of=made_of)
    return path


def expect_random(counts: Sequence[int]) -> dict[str, dict[str, Any]]:
    """Give what a random ranking is expected to score, for images with so many captions each."""
    total, images = sum(counts), len(counts)
    forth = [np.mean([1 - comb(total - n, step) / comb(total, step) for n in counts]) for step in STEPS]
    back = [min(1.0, step / images) for step in STEPS]
    return {"mR": {"value": float(np.mean([*forth, *back])), "standard_error": None, "n": images}}
