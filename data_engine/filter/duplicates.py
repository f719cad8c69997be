"""The verdict over each sample: its images cannot be read, are held out, were seen before, or it was said before.

Two samples about one image file are both kept: they say different things. What leaves is a sample about a copy of
another image (the first one stays, with all that is said about it), a sample that repeats another one word for word,
and any sample that shows a held-out image. A sample with several images is a copy when each of its images is a copy of
the one at its place in one earlier sample. Images that one sample shows together, such as two dates of a place, are no
copies of each other, however alike they are: what differs between them is what the sample is about.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from data_engine.filter.fingerprints import Fingerprints
from data_engine.filter.index import Matches, SignatureIndex, find_copies, keep_first
from data_engine.filter.signature import MOVES, SIMILARITY

REASONS: Final = ("", "unreadable image", "held out", "copied image", "repeated sample")
"""What a verdict says; 0 keeps the sample."""
UNREADABLE, HELD_OUT, COPIED, REPEATED = 1, 2, 3, 4


@dataclass(frozen=True, slots=True)
class Verdict:
    """Hold the verdicts over the samples of a shard: `codes` (S,) into REASONS, and a sentence for each code not 0."""

    codes: np.ndarray
    notes: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Overlap:
    """Say that an image of the corpus is one of a held-out store; images go by the sample that first shows them."""

    store: str
    held_out: str
    image: str
    similarity: float
    move: str


def judge(
    corpus: Sequence[Fingerprints],
    held_out: Mapping[str, Sequence[Fingerprints]],
    *,
    similarity: float = SIMILARITY,
) -> tuple[list[Verdict], list[Overlap]]:
    """Give a verdict for each shard of the corpus, and the images that it shares with held-out stores.

    `similarity` is the least cosine of signatures that makes a copy; above 1, only identical files are copies.
    """
    images = _Catalogue.build(corpus)
    overlaps = {
        pair: overlap
        for name, parts in held_out.items()
        for pair, overlap in _find_overlaps(images, name, _Catalogue.build(parts), similarity).items()
    }
    copies = find_copies(images.signatures, similarity=similarity)
    stands = keep_first(len(images.names), copies.select(~_shown_together(images, copies)))
    first = {number: overlap for (number, *_), overlap in reversed(overlaps.items())}
    codes, notes = _judge_samples(images, corpus, stands, first)
    verdicts, start = [], 0
    for part in corpus:
        end = start + len(part.samples)
        verdicts.append(Verdict(codes[start:end], {at - start: notes[at] for at in range(start, end) if at in notes}))
        start = end
    return verdicts, list(overlaps.values())


@dataclass(frozen=True, slots=True, eq=False)
class _Catalogue:
    """Hold the different images of several shards in the order in which they first occur.

    `members` are the images of all samples one after the other, `owners` the samples that they belong to.
    """

    digests: np.ndarray
    signatures: np.ndarray
    faults: np.ndarray
    names: np.ndarray
    members: np.ndarray
    owners: np.ndarray

    @classmethod
    def build(cls, parts: Sequence[Fingerprints]) -> _Catalogue:
        """Join shards; the same bytes in two shards are one image."""
        digests = _as_keys(_stack([part.images for part in parts], (0, 16), np.uint8))
        _, first, inverse = np.unique(digests, return_index=True, return_inverse=True)
        order = np.argsort(first)
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        first = first[order]
        offsets = np.cumsum([0, *(len(part.images) for part in parts)])
        local = [part.members + offset for part, offset in zip(parts, offsets, strict=False)]
        sizes = _stack([np.diff(part.starts) for part in parts], (0,), np.int64)
        return cls(
            digests[first],
            _stack([part.signatures for part in parts], (0, 0), np.int8)[first],
            _stack([part.faults for part in parts], (0,), np.str_)[first],
            _stack([part.names for part in parts], (0,), np.str_)[first],
            rank[inverse[_stack(local, (0,), np.int64)]],
            np.repeat(np.arange(len(sizes)), sizes),
        )

    def samples(self) -> Iterator[tuple[int, int]]:
        """Yield where the images of each sample that has any start and end in `members`."""
        starts = np.flatnonzero(np.diff(self.owners, prepend=-1)).tolist()
        yield from zip(starts, [*starts[1:], len(self.owners)], strict=True)


def _find_overlaps(
    images: _Catalogue, store: str, held: _Catalogue, similarity: float
) -> dict[tuple[int, str, int], Overlap]:
    """Give the pairs of an image of the corpus and a held-out one that are the same, by image, the likest first."""
    matches = SignatureIndex(held.signatures).search(images.signatures, similarity=similarity)
    rows = zip(matches.query.tolist(), matches.found.tolist(), matches.similarity.tolist(), matches.move, strict=True)
    found = {(mine, theirs): (cosine, MOVES[move]) for mine, theirs, cosine, move in rows}
    _, same, as_these = np.intersect1d(images.digests, held.digests, assume_unique=True, return_indices=True)
    found |= dict.fromkeys(zip(same.tolist(), as_these.tolist(), strict=True), (1.0, "the same file"))
    return {
        (mine, store, theirs): Overlap(store, str(held.names[theirs]), str(images.names[mine]), cosine, move)
        for (mine, theirs), (cosine, move) in sorted(found.items(), key=lambda item: (item[0][0], -item[1][0], item[0]))
    }


def _shown_together(images: _Catalogue, copies: Matches) -> np.ndarray:
    """Say which pairs of images one sample shows together."""
    count = len(images.names)
    pairs = [
        images.members[start:end][:, None] * count + images.members[start:end][None, :]
        for start, end in images.samples()
        if end - start > 1
    ]
    together = np.unique(np.concatenate([pair.ravel() for pair in pairs])) if pairs else np.empty(0, np.int64)
    return np.isin(copies.query * count + copies.found, together)


def _judge_samples(
    images: _Catalogue, corpus: Sequence[Fingerprints], stands: np.ndarray, overlaps: Mapping[int, Overlap]
) -> tuple[np.ndarray, dict[int, str]]:
    """Give the codes (S,) and the notes of all samples; of several reasons the first of REASONS counts."""
    keys = _as_keys(_stack([part.samples for part in corpus], (0, 16), np.uint8))
    codes = np.zeros(len(keys), np.uint8)
    notes: dict[int, str] = {}
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    repeated = first[inverse] != np.arange(len(keys))
    codes[repeated] = REPEATED
    notes |= dict.fromkeys(np.flatnonzero(repeated).tolist(), "another sample says the same about the same image")
    for sample, number in _find_copied(images, stands).items():
        codes[sample] = COPIED
        notes[sample] = f"its image is a copy of the image of {images.names[stands[number]]}"
    for code, numbers in ((HELD_OUT, np.array(list(overlaps), np.int64)), (UNREADABLE, np.flatnonzero(images.faults))):
        at = np.flatnonzero(np.isin(images.members, numbers))
        for sample, number in zip(images.owners[at].tolist(), images.members[at].tolist(), strict=True):
            codes[sample] = code
            notes[sample] = str(images.faults[number]) if code == UNREADABLE else _say(overlaps[number])
    return codes, notes


def _find_copied(images: _Catalogue, stands: np.ndarray) -> dict[int, int]:
    """Give the samples whose images are copies of those of one earlier sample, each with one copied image."""
    shown: dict[tuple[int, ...], tuple[int, ...]] = {}
    copied: dict[int, int] = {}
    for start, end in images.samples():
        numbers = images.members[start:end]
        originals = tuple(stands[numbers].tolist())
        if shown.setdefault(originals, tuple(numbers.tolist())) != tuple(numbers.tolist()):
            different = numbers[stands[numbers] != numbers]
            copied[int(images.owners[start])] = int(different[0] if len(different) else numbers[0])
    return copied


def _say(overlap: Overlap) -> str:
    return (
        f"its image is that of {overlap.held_out} in {overlap.store}, {overlap.move} (cosine {overlap.similarity:.3f})"
    )


def _as_keys(digests: np.ndarray) -> np.ndarray:
    """View digests (N, 16) as N values that can be sorted and compared."""
    return np.ascontiguousarray(digests).view("V16").ravel()


def _stack(parts: Sequence[np.ndarray], shape: tuple[int, ...], kind: type) -> np.ndarray:
    return np.concatenate(parts) if parts else np.empty(shape, kind)
