"""Scores of single sentences by nltk and rouge_score, as EarthDial, RS-RAG and others average them.

WordNet's words come from wordnet.py, so that nothing is downloaded. nltk's word_tokenize would want its trained
sentence splitter; the untrained one stands in, which differs only at abbreviations inside a caption.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

from eval_suites.rules.wordnet import load_wordnet

BLEU_WEIGHTS = ((1, 0, 0, 0), (0.5, 0.5, 0, 0), (0.33, 0.33, 0.33, 0), (0.25, 0.25, 0.25, 0.25))


def rouge(target: str, said: str) -> dict[str, Any]:
    """Give google rouge_score's rouge1 and rougeL (precision, recall, fmeasure), stemmed."""
    found: dict[str, Any] = _rouge_scorer().score(target, said)
    return found


def meteor(targets: Sequence[Sequence[str]], said: Sequence[str]) -> float:
    """Give nltk's METEOR of tokens: the best over the targets; 0 for no tokens."""
    from nltk.translate.meteor_score import meteor_score

    return float(meteor_score(targets, said, stemmer=_stemmer(), wordnet=load_wordnet()))  # type: ignore[arg-type]


def sentence_bleus(targets: Sequence[Sequence[str]], said: Sequence[str]) -> list[float]:
    """Give nltk's sentence BLEU-1 to 4 with smoothing 1 and RS-RAG's weights (BLEU-3's are 0.33)."""
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

    smooth = SmoothingFunction().method1
    return [float(sentence_bleu(targets, said, weights=one, smoothing_function=smooth)) for one in BLEU_WEIGHTS]


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


class _CachedTokenizer:
    """Hold rouge_score's own tokenizer with stems, and the words of the texts it has seen."""

    def __init__(self) -> None:
        from rouge_score.tokenizers import DefaultTokenizer

        self.tokenize = lru_cache(maxsize=100_000)(DefaultTokenizer(use_stemmer=True).tokenize)


@cache
def _stemmer() -> _CachedStemmer:
    return _CachedStemmer()


@cache
def _rouge_scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rouge1", "rougeL"], tokenizer=_CachedTokenizer())


@cache
def _sentence_splitter() -> Any:
    from nltk.tokenize.punkt import PunktSentenceTokenizer

    return PunktSentenceTokenizer()


@cache
def _word_tokenizer() -> Any:
    from nltk.tokenize import NLTKWordTokenizer

    return NLTKWordTokenizer()
