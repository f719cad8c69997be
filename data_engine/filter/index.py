"""Which pictures are the same, without comparing every two: multi-index hashing of signatures.

The hash of a signature has 63 bits in four bands. Two hashes that differ in at most NEAREST = 7 bits agree up to one
bit in at least one band (pigeonhole; Norouzi et al., CVPR 2012), so a band and its 16 neighbours find them all; what
is found is compared bit by bit and then by the cosine of the signatures. A query looks in all eight moves, so the
index holds each picture once: 152 bytes, and 24 for the bands. Measured on one core: 0.04 ms a query among 100,000
pictures, 0.06 ms among 400,000.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from data_engine.filter.signature import SIMILARITY, compare, hash_signatures, is_flat, move_signatures

NEAREST: Final = 7
"""Bits in which the hashes of two copies may differ."""
_BANDS: Final = 4
_BAND_BITS: Final = 16
_QUERIES: Final = 256
_CANDIDATES: Final = 4_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """Hold pairs: the query's number, the picture's, the cosine, and the move of the query that gives the picture."""

    query: np.ndarray
    found: np.ndarray
    similarity: np.ndarray
    move: np.ndarray

    def __len__(self) -> int:
        return len(self.query)

    def select(self, which: np.ndarray) -> Matches:
        """Keep the pairs that a mask or a list of numbers names."""
        return Matches(self.query[which], self.found[which], self.similarity[which], self.move[which])


class SignatureIndex:
    """Hold signatures int8 (N, LENGTH) so that the copies of a picture are found among them; flat ones are left out."""

    def __init__(self, signatures: np.ndarray) -> None:
        self.signatures = signatures
        self._members = np.flatnonzero(~is_flat(signatures))
        self._hashes = hash_signatures(signatures[self._members])
        keys = _bands(self._hashes)
        self._order = [np.argsort(band, kind="stable").astype(np.int32) for band in keys]
        self._starts = [np.concatenate([[0], np.cumsum(np.bincount(band, minlength=1 << _BAND_BITS))]) for band in keys]

    def search(self, queries: np.ndarray, *, similarity: float = SIMILARITY) -> Matches:
        """Find the pictures that are copies of the queries (M, LENGTH), each once, in its best move."""
        parts = [
            self._search(queries[start : start + _QUERIES], start, similarity)
            for start in range(0, len(queries), _QUERIES)
        ]
        return _join(parts)

    def _search(self, queries: np.ndarray, first: int, similarity: float) -> Matches:
        moved = move_signatures(queries)
        moved[:, is_flat(queries)] = 0
        hashes = hash_signatures(moved.reshape(-1, moved.shape[-1]))
        rows, members = self._near(hashes)
        move, query = np.divmod(rows, len(queries))
        found = self._members[members]
        cosine = compare(moved[move, query], self.signatures[found])
        alike = cosine >= similarity
        pairs = Matches(query[alike] + first, found[alike], cosine[alike], move[alike].astype(np.int8))
        return _best_moves(pairs)

    def _near(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give the pairs (row of `hashes`, member) whose hashes differ in at most NEAREST bits, each once."""
        parts = []
        for rows, members in self._candidates(hashes):
            near = np.bitwise_count(hashes[rows] ^ self._hashes[members]) <= NEAREST
            parts.append(rows[near].astype(np.int64) * len(self._hashes) + members[near])
        pairs = np.unique(np.concatenate(parts)) if parts else np.empty(0, np.int64)
        return np.divmod(pairs, max(1, len(self._hashes)))

    def _candidates(self, hashes: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (rows, members) that share a band up to one bit, at most about _CANDIDATES at a time."""
        probes = np.concatenate([[0], 1 << np.arange(_BAND_BITS)])
        for band, order, starts in zip(_bands(hashes), self._order, self._starts, strict=True):
            keys = (band[:, None] ^ probes[None]).ravel()
            rows = np.repeat(np.arange(len(hashes)), len(probes))
            counts = starts[keys + 1] - starts[keys]
            used = np.flatnonzero(counts)
            for part in _split(used, counts):
                yield np.repeat(rows[part], counts[part]), order[_ranges(starts[keys[part]], counts[part])]


def find_copies(signatures: np.ndarray, *, similarity: float = SIMILARITY) -> Matches:
    """Find all pairs of copies among signatures (N, LENGTH): `query` is the later one, `found` the earlier one."""
    matches = SignatureIndex(signatures).search(signatures, similarity=similarity)
    return matches.select(matches.found < matches.query)


def keep_first(count: int, matches: Matches) -> np.ndarray:
    """Give for each of `count` pictures the number of the one that stands for it: itself, or an earlier copy.

    A picture is stood for by the first kept picture that it is a copy of, so likeness does not creep along a chain.
    """
    stands = np.arange(count)
    order = np.lexsort((matches.found, matches.query))
    for later, earlier in zip(matches.query[order].tolist(), matches.found[order].tolist(), strict=True):
        if stands[later] == later and stands[earlier] == earlier:
            stands[later] = earlier
    return stands


def _bands(hashes: np.ndarray) -> list[np.ndarray]:
    mask = np.uint64((1 << _BAND_BITS) - 1)
    return [((hashes >> np.uint64(band * _BAND_BITS)) & mask).astype(np.int64) for band in range(_BANDS)]


def _ranges(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Give start, start + 1, ... for each count, one after the other."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - counts), counts)


def _split(used: np.ndarray, counts: np.ndarray) -> list[np.ndarray]:
    """Cut a list of lookups so that each part has about _CANDIDATES results."""
    total = np.cumsum(counts[used])
    cuts = np.searchsorted(total, np.arange(_CANDIDATES, total[-1] if len(total) else 0, _CANDIDATES))
    return [part for part in np.split(used, np.unique(cuts)) if len(part)]


def _best_moves(pairs: Matches) -> Matches:
    """Keep each pair once, in the move in which it is most alike."""
    order = np.lexsort((pairs.move, -pairs.similarity, pairs.found, pairs.query))
    query, found = pairs.query[order], pairs.found[order]
    first = np.ones(len(order), bool)
    first[1:] = (query[1:] != query[:-1]) | (found[1:] != found[:-1])
    return pairs.select(order[first])


def _join(parts: list[Matches]) -> Matches:
    if not parts:
        empty = np.empty(0, np.int64)
        return Matches(empty, empty, np.empty(0, np.float32), np.empty(0, np.int8))
    return Matches(*(np.concatenate([getattr(part, name) for part in parts]) for name in Matches.__slots__))
