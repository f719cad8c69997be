"""Scores of single sentences as nltk and rouge_score give them, and EarthDial, RS-RAG and others average them.

The words are theirs (rouge_score's tokenizer with stems, nltk's word_tokenize, Porter's stemmer), each text's kept once
found; the counting is done in integers, with equal results. WordNet comes from wordnet.py, so that nothing is
downloaded. nltk's word_tokenize would want its trained sentence splitter; the untrained one stands in, which differs
only at abbreviations inside a caption.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from eval_suites.rules.wordnet import load_wordnet


@dataclass(frozen=True, slots=True)
class Overlap:
    """Hold how much of a text is in another: precision, recall and their harmonic mean, all 0..1."""

    precision: float
    recall: float
    f1: float


def rouge(target: str, said: str) -> tuple[Overlap, Overlap]:
    """Give rouge_score's ROUGE-1 and ROUGE-L of a text, stemmed."""
    wanted, words = _rouge_words(target), _rouge_words(said)
    if not wanted or not words:
        return Overlap(0.0, 0.0, 0.0), Overlap(0.0, 0.0, 0.0)
    shared = (Counter(wanted) & Counter(words)).total()
    return _overlap(shared, wanted, words), _overlap(common_length(wanted, words), wanted, words)


def common_length(first: Sequence[str], second: Sequence[str]) -> int:
    """Give the length of the longest common subsequence, a word of `second` at a time in the bits of one integer."""
    places: dict[str, int] = {}
    for number, word in enumerate(first):
        places[word] = places.get(word, 0) | 1 << number
    full = (1 << len(first)) - 1
    row = full
    for word in second:
        matched = row & places.get(word, 0)
        row = (row + matched) | (row - matched)
    return len(first) - (row & full).bit_count()


def meteor(targets: Sequence[Sequence[str]], said: Sequence[str]) -> float:
    """Give nltk's METEOR of tokens: the best over the targets; 0 for no tokens."""
    from nltk.translate.meteor_score import meteor_score

    return float(meteor_score(targets, said, stemmer=_stemmer(), wordnet=load_wordnet()))  # type: ignore[arg-type]


def _overlap(shared: int, wanted: Sequence[str], words: Sequence[str]) -> Overlap:
    precision, recall = shared / len(words), shared / len(wanted)
    return Overlap(precision, recall, 2 * precision * recall / (precision + recall) if shared else 0.0)


@lru_cache(maxsize=200_000)
def tokenize_words(text: str) -> tuple[str, ...]:
    """Give the words of a text as nltk's word_tokenize parts them, punctuation as words of its own."""
    words = _word_tokenizer()
    return tuple(word for sentence in _sentence_splitter().tokenize(text) for word in words.tokenize(sentence))


class _CachedStemmer:
    """Hold Porter's stemmer and the stems of the words it has seen."""

    def __init__(self) -> None:
        from nltk.stem.porter import PorterStemmer

        self.stem = lru_cache(maxsize=200_000)(PorterStemmer().stem)


@lru_cache(maxsize=100_000)
def _rouge_words(text: str) -> tuple[str, ...]:
    return tuple(_rouge_tokenizer().tokenize(text))


@cache
def _rouge_tokenizer() -> Any:
    from rouge_score.tokenizers import DefaultTokenizer

    return DefaultTokenizer(use_stemmer=True)


@cache
def _stemmer() -> _CachedStemmer:
    return _CachedStemmer()


@cache
def _sentence_splitter() -> Any:
    from nltk.tokenize.punkt import PunktSentenceTokenizer

    return PunktSentenceTokenizer()


@cache
def _word_tokenizer() -> Any:
    from nltk.tokenize import NLTKWordTokenizer

    return NLTKWordTokenizer()
