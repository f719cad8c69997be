"""N-grams of captions in arrays: BLEU's counts and CIDEr-D for all captions at once, equal to pycocoevalcap's.

Every n-gram gets a number, order by order, from the number of its first n - 1 words and its last word; counting is then
sorting, and matching captions with references is one search in sorted keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

import numpy as np

ORDERS: Final = 4
SIGMA: Final = 6.0
TEN: Final = 10.0
EPSILON: Final = 0.1


@dataclass(frozen=True, slots=True)
class NGrams:
    """Hold per caption BLEU's sums (N, 10: matches and n-grams by order, length, closest reference length) and CIDEr-D
    (N, 0..10).
    """

    bleu: np.ndarray
    cider: np.ndarray


@dataclass(frozen=True, slots=True)
class _Sentences:
    """Hold the words of captions (the first `captions` sentences) and references as numbers, and each one's image."""

    words: np.ndarray
    sentence: np.ndarray
    lengths: np.ndarray
    image: np.ndarray
    captions: int


def count_ngrams(found: Sequence[str], references: Sequence[Sequence[str]]) -> NGrams:
    """Count the n-grams of tokenised captions and of each one's references; words are parted by blanks."""
    sentences = _number_words([text.split() for text in found], [[text.split() for text in one] for one in references])
    n, counts = len(found), len(sentences.lengths)
    matches, similarity = np.zeros((n, ORDERS)), np.zeros(counts)
    grams, place = sentences.words, np.arange(len(sentences.words))
    ends = np.cumsum(sentences.lengths)[sentences.sentence]
    for order in range(ORDERS):
        if order:
            kept = place + order < ends[place]
            place = place[kept]
            grams = grams[kept] * (int(sentences.words.max(initial=0)) + 1) + sentences.words[place + order]
        _, grams = np.unique(grams, return_inverse=True)
        matched, alike = _compare(grams, sentences.sentence[place], sentences)
        matches[:, order] = matched
        similarity += alike
    return NGrams(_bleu_sums(matches, sentences), _cider(similarity, sentences))


def smooth_bleu(sums: np.ndarray, weights: Sequence[float]) -> np.ndarray:
    """Give nltk's sentence BLEU with smoothing 1 of each caption from its BLEU sums (N, 10): no match counts as 0.1."""
    matches, ngrams = sums[:, :ORDERS], np.maximum(1, sums[:, ORDERS : 2 * ORDERS])
    precision = np.where(matches > 0, matches, EPSILON) / ngrams
    length, closest = sums[:, -2], sums[:, -1]
    brevity = np.where(length > closest, 1.0, np.exp(1 - closest / np.maximum(length, 1)))
    value: np.ndarray = np.where(matches[:, 0] > 0, brevity * np.exp(np.log(precision) @ np.asarray(weights)), 0.0)
    return value


def _number_words(found: list[list[str]], references: list[list[list[str]]]) -> _Sentences:
    texts = [*found, *chain.from_iterable(references)]
    lengths = np.array([len(text) for text in texts])
    numbers: dict[str, int] = {}
    words = np.fromiter((numbers.setdefault(w, len(numbers)) for w in chain.from_iterable(texts)), np.int64)
    owners = np.repeat(np.arange(len(references)), [len(one) for one in references])
    image = np.concatenate((np.arange(len(found)), owners))
    return _Sentences(words, np.repeat(np.arange(len(texts)), lengths), lengths, image, len(found))


def _compare(grams: np.ndarray, sentence: np.ndarray, sentences: _Sentences) -> tuple[np.ndarray, np.ndarray]:
    """Give clipped matches per caption, and the cosine with its caption per sentence (0 for the captions)."""
    n, size = sentences.captions, int(grams.max(initial=-1)) + 1
    if size == 0:
        return np.zeros(n), np.zeros(len(sentences.lengths))
    keys, counts = np.unique(sentence * size + grams, return_counts=True)
    where, gram = keys // size, keys % size
    owner = sentences.image[where]
    is_caption = where < n
    held = owner[~is_caption] * size + gram[~is_caption]
    at_image, inverse = np.unique(held, return_inverse=True)
    most = np.zeros(len(at_image))
    np.maximum.at(most, inverse, counts[~is_caption])
    mine = keys[is_caption]
    allowed = _look_up(at_image, most, mine)
    matched = np.bincount(where[is_caption], np.minimum(allowed, counts[is_caption]), minlength=n)
    rarity = np.log(n) - np.log(np.maximum(1.0, np.bincount(at_image % size, minlength=size)))
    weights = counts * rarity[gram]
    norms = np.sqrt(np.bincount(where, weights**2, minlength=len(sentences.lengths)))
    his, other = weights[~is_caption], _look_up(mine, weights[is_caption], held)
    shared = np.bincount(where[~is_caption], np.minimum(his, other) * his, minlength=len(norms)).astype(float)
    scale = norms * norms[sentences.image]
    return matched, np.divide(shared, scale, out=np.zeros_like(shared), where=scale > 0)


def _look_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Give the value of each wanted key among sorted keys; 0 for one that is not there."""
    if not len(keys):
        return np.zeros(len(wanted))
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    found: np.ndarray = np.where(keys[place] == wanted, values[place], 0.0)
    return found


def _bleu_sums(matches: np.ndarray, sentences: _Sentences) -> np.ndarray:
    n = sentences.captions
    length = sentences.lengths[:n]
    guesses = np.maximum(0, length[:, None] - np.arange(ORDERS))
    owner, others = sentences.image[n:], sentences.lengths[n:]
    # The closest reference length, the shorter of two that are equally far.
    order = np.lexsort((others, np.abs(others - length[owner]), owner))
    first = np.unique(owner[order], return_index=True)
    closest = np.zeros(n)
    closest[first[0]] = others[order][first[1]]
    return np.concatenate((matches, guesses, length[:, None], closest[:, None]), axis=1)


def _cider(similarity: np.ndarray, sentences: _Sentences) -> np.ndarray:
    """Give CIDEr-D from summed cosines; its length is the number of bigrams, as in the original code."""
    n, bigrams = sentences.captions, np.maximum(0, sentences.lengths - 1)
    owner = sentences.image[n:]
    penalty = np.exp(-((bigrams[owner] - bigrams[n:]) ** 2.0) / (2 * SIGMA**2))
    total = np.bincount(owner, similarity[n:] / ORDERS * penalty, minlength=n)
    value: np.ndarray = TEN * total / np.maximum(1, np.bincount(owner, minlength=n))
    return value
