"""A shuffled order that needs no memory: where each of `size` things goes is computed, not looked up.

A Feistel network over the next power of four is a permutation of it whatever its rounds do; walking on until the result
lies below `size` keeps it one (cycle walking: Black and Rogaway, CT-RSA 2002). Any process computes any part of the
order, and the order is the same everywhere.
"""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np

from vlm.errors import DataError

_ROUNDS: Final = 6
_MOST: Final = 1 << 62


def permute(indices: np.ndarray, *, size: int, seed: str) -> np.ndarray:
    """Give the places int64 of `indices` (each from 0 to `size` - 1) in the order that `seed` shuffles.

    Raises DataError when an index is none of the `size`.
    """
    values = np.asarray(indices, np.int64).ravel()
    if len(values) and (values.min() < 0 or not values.max() < size <= _MOST):
        raise DataError(f"indices from {values.min()} to {values.max()} have no place among {size}: expected 0 to size")
    half = max(1, (max(size - 1, 1).bit_length() + 1) // 2)
    keys = [_key(seed, number) for number in range(_ROUNDS)]
    places = values.astype(np.uint64)
    left = np.arange(len(places))
    while len(left):
        places[left] = _scramble(places[left], half, keys)
        left = left[places[left] >= size]
    return places.astype(np.int64)


def _scramble(values: np.ndarray, half: int, keys: list[np.uint64]) -> np.ndarray:
    """Permute the numbers of 2 * `half` bits."""
    shift, mask = np.uint64(half), np.uint64((1 << half) - 1)
    high, low = values >> shift, values & mask
    for key in keys:
        high, low = low, high ^ (_mix(low ^ key) & mask)
    return (high << shift) | low


def _mix(values: np.ndarray) -> np.ndarray:
    """Scatter the bits of 64-bit numbers (the finaliser of SplitMix64: Steele et al., OOPSLA 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _key(seed: str, number: int) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.blake2b(f"{seed}/{number}".encode(), digest_size=8).digest(), "little"))
