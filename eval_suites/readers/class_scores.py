"""Scores of classes: an npz of embeddings or of scores with labels, or rows with the class in words.

The npz holds `labels` (class numbers), and either `logits` (images x classes), or `images` (images x width) and `texts`
(classes x width, or classes x descriptions x width); `classes` may name them.
"""

from __future__ import annotations

from pathlib import Path

from eval_suites.readers.arrays import load_arrays
from eval_suites.readers.keys import plain
from eval_suites.readers.loaded import Entry, Field, Loaded, Options
from eval_suites.readers.pair import read_pairs
from vlm.errors import DataError

LABELS = ("labels", "label", "targets", "target", "gt", "y")
SCORES = ("logits", "scores", "probabilities", "probs", "similarity")
IMAGES = ("images", "image_features", "image_embeddings", "image")
TEXTS = ("texts", "text_features", "text_embeddings", "classifier", "text")


def read_class_scores(
    predictions: Path, references: Path | None, fields: tuple[Field, ...], options: Options
) -> Loaded:
    """Read one entry an image: its scores or its embedding, and the number of its class; rows are read as pairs."""
    if predictions.suffix != ".npz":
        return read_pairs(predictions, references, fields, options)
    arrays = {plain(name): values for name, values in load_arrays(predictions).items()}
    labels, scores, images, texts = (
        next((arrays[plain(name)] for name in names if plain(name) in arrays), None)
        for names in (LABELS, SCORES, IMAGES, TEXTS)
    )
    given = scores if scores is not None else images
    if labels is None or given is None or (scores is None and texts is None) or len(labels) != len(given):
        held = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise DataError(f"{predictions} holds {held}: expected labels with logits, or labels with images and texts")
    entries = tuple(
        Entry(f"image {number}", f"image {number}", row, int(label))
        for number, (row, label) in enumerate(zip(given, labels, strict=True))
    )
    extras = {} if scores is not None else {"texts": texts}
    return Loaded(entries, {"prediction": "arrays", "target": "labels", "paired by": "position"}, extras=extras)
