"""Captions by the official rule: pycocoevalcap's PTB tokenizer (needs Java), CIDEr-D and corpus BLEU-1 to 4.

All references of an image count (closest length for BLEU's brevity penalty). CIDEr's document frequencies come from
the references of the cases that are scored, so a subset has another scale; a bootstrap keeps the frequencies of the
whole set. CIDEr is printed as 0..10, BLEU as 0..1.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from eval_suites.cases import Case
from eval_suites.measure import Measure, build_mean
from eval_suites.scored import Row, Scored, Training, score_rates
from vlm.errors import InputError

TINY, SMALL = 1e-15, 1e-9
ORDERS = 4
Texts = Mapping[str, list[str]]


def score_captions(
    cases: Sequence[Case], outputs: Sequence[str | None], *, training: Training, dialect: str = "nadir"
) -> Scored:
    """Give CIDEr and BLEU-1 to 4; a row's score is its own CIDEr. Raises InputError where Java is missing."""
    del training, dialect
    references = {case.id: list(case.answers) for case in cases}
    found = {case.id: [output or ""] for case, output in zip(cases, outputs, strict=True)}
    wanted_words, found_words = tokenize(references), tokenize(found)
    ciders = score_cider(wanted_words, found_words)
    rows = tuple(
        Row(
            found_words[case.id][0],
            " | ".join(dict.fromkeys(case.answers)),
            value,
            f"CIDEr {value:.3f}",
            not (output or "").strip(),
        )
        for case, output, value in zip(cases, outputs, ciders, strict=True)
    )
    measures = (build_mean("CIDEr", ciders), *bleu_measures(wanted_words, found_words))
    return Scored(rows, (*measures, *score_rates(rows)))


def tokenize(texts: Texts) -> dict[str, list[str]]:
    """Tokenise sentences with the PTB tokenizer of Stanford CoreNLP: lower case, punctuation removed."""
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    if shutil.which("java") is None:
        raise InputError(
            "captions are scored with the PTB tokenizer, which needs Java, and there is no `java` on the PATH: install "
            "a Java runtime (Debian: apt-get install default-jre-headless) or leave the caption suites out"
        )
    words = PTBTokenizer().tokenize({key: [{"caption": text} for text in found] for key, found in texts.items()})
    return {key: words.get(key, [""] * len(found)) for key, found in texts.items()}


def score_cider(references: Texts, found: Texts) -> list[float]:
    """Give the CIDEr-D of each tokenised caption, 0..10."""
    from pycocoevalcap.cider.cider import Cider

    _, values = Cider().compute_score(dict(references), dict(found))
    return [float(value) for value in values]


def bleu_measures(references: Texts, found: Texts) -> tuple[Measure, ...]:
    """Build corpus BLEU-1 to 4 of tokenised captions from each caption's n-gram counts and closest reference length."""
    from pycocoevalcap.bleu.bleu_scorer import cook_refs, cook_test

    counted = [
        cook_test(sentences[0], cook_refs(references[key], n=ORDERS), eff="closest", n=ORDERS)
        for key, sentences in found.items()
    ]
    rows = [[*one["correct"], *one["guess"], one["testlen"], one["reflen"]] for one in counted]
    parts = np.asarray(rows, float)
    return tuple(Measure(f"BLEU-{order}", parts, partial(combine_bleu, order=order)) for order in range(1, ORDERS + 1))


def combine_bleu(sums: np.ndarray, *, order: int) -> np.ndarray:
    """Give corpus BLEU of one order from summed n-gram matches, n-grams, length and reference length (..., 10)."""
    matches, ngrams = sums[..., :order], sums[..., ORDERS : ORDERS + order]
    precision = np.prod((matches + TINY) / (ngrams + SMALL), axis=-1) ** (1 / order)
    length = (sums[..., -2] + TINY) / (sums[..., -1] + SMALL)
    value: np.ndarray = precision * np.exp(np.minimum(0, 1 - 1 / length))
    return value
