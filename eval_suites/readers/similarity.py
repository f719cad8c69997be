"""Similarities for retrieval: a matrix of images by captions, or the embeddings of both, and whose caption is whose.

Read: a npy matrix (left on disk), an npz with `similarity`, or with `images` and `texts` (embeddings), or a folder that
holds such a file. Which image a caption belongs to is said by an array `image_of_caption` in the npz, by a text file of
one image name per caption (`*filename*.txt`, beside the matrix or as references), or it is caption j -> image j // 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from eval_suites.readers.arrays import ALONE, load_arrays
from eval_suites.readers.keys import plain
from eval_suites.readers.loaded import Entry, Field, Loaded, Options
from eval_suites.rules.ranks import Block, block_of_embeddings, block_of_matrix
from vlm.errors import DataError

PER_IMAGE = 5
MATRIX = ("similarity", "similarities", "sim", "sims", "scores", "logits", "matrix", "d")
IMAGES = ("images", "image", "image_embeddings", "image_features", "img", "imgs", "image_emb", "images_emb")
TEXTS = ("texts", "text", "captions", "caption", "text_embeddings", "text_features", "text_emb", "texts_emb", "txt")
OWNERS = ("image_of_caption", "image_index", "texts_image_index", "caption_image", "owner", "owners", "index")


def read_similarity(predictions: Path, references: Path | None, fields: tuple[Field, ...], options: Options) -> Loaded:
    """Read one entry an image, whose target are its captions; extras hold both directions and the owners.

    DataError says what a file holds instead.
    """
    del fields
    file = _find_file(predictions)
    arrays = _arrays(file)
    rows, columns, by_image, by_caption = _blocks(arrays, file)
    owners, names = _owners(arrays, _find_names(file, references, options), columns)
    if rows < len(names):
        raise DataError(
            f"{file} has {rows} rows and {columns} columns, the captions belong to {len(names)} images: expected an "
            "image a row and a caption a column"
        )
    names += [f"image {number}" for number in range(len(names), rows)]
    captions = group_captions(owners, rows)
    entries = tuple(Entry(name, name, number, captions[number].tolist()) for number, name in enumerate(names))
    extras = {"by_image": by_image, "by_caption": by_caption, "owners": owners, "captions": captions}
    return Loaded(entries, {"prediction": file.name, "paired by": "position"}, extras=extras)


def group_captions(owners: np.ndarray, images: int) -> list[np.ndarray]:
    """Give the captions of each image."""
    order = np.argsort(owners, kind="stable")
    ends = np.searchsorted(owners[order], np.arange(images + 1))
    return [order[start:stop] for start, stop in pairwise(ends.tolist())]


def _find_file(path: Path) -> Path:
    if path.is_file():
        return path
    found = sorted(file for file in path.glob("*") if file.suffix in (".npy", ".npz")) if path.is_dir() else []
    if len(found) != 1:
        raise DataError(
            f"{path} holds {len(found)} npy or npz files: name the one with the similarities or the embeddings"
        )
    return found[0]


def _arrays(file: Path) -> dict[str, np.ndarray]:
    return {MATRIX[0] if name == ALONE else plain(name): values for name, values in load_arrays(file).items()}


def _blocks(arrays: dict[str, np.ndarray], file: Path) -> tuple[int, int, Block, Block | np.ndarray]:
    """Give images, captions, and the similarities in blocks of images, and in blocks of captions or as a matrix."""
    matrix = _pick(arrays, MATRIX)
    if matrix is not None and matrix.ndim == 2:
        return *matrix.shape, block_of_matrix(matrix), matrix
    images, texts = _pick(arrays, IMAGES), _pick(arrays, TEXTS)
    if images is None or texts is None or images.ndim != 2 or texts.ndim != 2 or images.shape[1] != texts.shape[1]:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise DataError(
            f"{file} holds {shapes}: expected `similarity` (images x captions), or `images` and `texts` of one width"
        )
    return len(images), len(texts), block_of_embeddings(images, texts), block_of_embeddings(texts, images)


def _pick(arrays: dict[str, np.ndarray], names: Sequence[str]) -> np.ndarray | None:
    return next((arrays[plain(name)] for name in names if plain(name) in arrays), None)


def _find_names(file: Path, references: Path | None, options: Options) -> list[str]:
    """Give one image name a caption, from the references, an extra file `images`, or a list beside the matrix."""
    listed = references or options.files.get("images")
    if listed is None:
        listed = next(iter(sorted(file.parent.glob("*filename*.txt"))), None)
    if listed is None:
        return []
    if not listed.is_file():
        raise DataError(f"{listed} is no file: expected one image name a line, a line a caption")
    return listed.read_text(encoding="utf-8").split("\n")


def _owners(arrays: dict[str, np.ndarray], names: list[str], columns: int) -> tuple[np.ndarray, list[str]]:
    """Give the image of each caption, and the names of the images in the order in which they come up."""
    given = _pick(arrays, OWNERS)
    if given is not None:
        owners = np.asarray(given, int)
    else:
        listed = [name.strip() for name in names[: names.index("") if "" in names else None]]
        if len(listed) == columns:
            known = {name: place for place, name in enumerate(dict.fromkeys(listed))}
            return np.array([known[name] for name in listed]), list(known)
        if listed and len(listed) * PER_IMAGE != columns:
            raise DataError(f"{len(listed)} image names for {columns} captions: expected one a caption")
        owners = np.arange(columns) // PER_IMAGE
    if len(owners) != columns:
        raise DataError(f"{len(owners)} captions have an image, the similarities are about {columns}")
    return owners, [f"image {number}" for number in range(int(owners.max(initial=-1)) + 1)]
