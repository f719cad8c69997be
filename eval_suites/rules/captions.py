"""Captions: COCO's rule (the default), the same in Python alone, EarthDial's and RS-RAG's means over sentences.

    coco         pycocoevalcap: PTB tokenizer, corpus BLEU, METEOR 1.5, ROUGE-L, CIDEr-D (0..10); Java for the first two
    coco-spice   the same with SPICE beside, which wants Stanford CoreNLP
    coco-python  no Java: lower case, punctuation dropped, nltk's METEOR: near, but another metric under another name
    earthdial    mean of rouge_score's F1 over references, nltk METEOR with all references
    rsrag        means of nltk's sentence BLEU and METEOR and rougeL on blanks; CIDEr-D without a tokenizer; their
                 tables cut off after four decimals instead of rounding

CIDEr's document frequencies come from the references that are scored, so a subset has another scale.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from eval_suites.measure import Measure, Numbers, build_mean
from eval_suites.readers.loaded import Entry, Loaded, Options, text_of
from eval_suites.rules.judged import NO_PREDICTION, read_text
from eval_suites.rules.meteor import align_captions, combine_meteor, prepare_sums
from eval_suites.rules.ngrams import ORDERS, count_ngrams, smooth_bleu
from eval_suites.rules.rule import Rule, Scores
from eval_suites.rules.sentences import common_length, meteor, rouge, tokenize_words
from eval_suites.rules.spice import find_jar_folder, score_spice
from eval_suites.score_caption import combine_bleu, tokenize
from eval_suites.scored import Row, score_rates

BETA = 1.2
# BLEU-3's weights are cut off in RS-RAG's script.
RSRAG_WEIGHTS: Final = ((1, 0, 0, 0), (0.5, 0.5, 0, 0), (0.33, 0.33, 0.33, 0), (0.25, 0.25, 0.25, 0.25))
PYTHON_METEOR: Final = "METEOR (nltk)"
_LINE_ENDS = re.compile("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")
_NOT_WORDS = re.compile(r"[^\w\s]|_")
Tokens = Callable[[str], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Captions:
    """Hold captions and their references as text, the caption of a missing prediction being empty."""

    said: list[str]
    references: list[list[str]]


def read_captions(loaded: Loaded, options: Options) -> Captions:
    """Read captions and references; a target is a list of references or one; empty references are left out."""
    said = [_one_line(read_text(entry, options) or "") for entry in loaded.entries]
    return Captions(said, [references_of(entry) for entry in loaded.entries])


def references_of(entry: Entry) -> list[str]:
    """Give the references of an entry on one line each."""
    given = entry.target if isinstance(entry.target, list | tuple) else [entry.target]
    texts = [_one_line(text_of(text)) for text in given]
    return [text for text in texts if text.strip()] or [""]


def build_rows(loaded: Loaded, said: Sequence[str], values: Numbers, name: str) -> tuple[Row, ...]:
    """Build one row a caption with its own score."""
    return tuple(
        Row(text, " | ".join(dict.fromkeys(references_of(entry))), float(value),
            NO_PREDICTION if entry.prediction is None else f"{name} {value:.4f}", not text.strip())
        for entry, text, value in zip(loaded.entries, said, values, strict=True)
    )  # fmt: skip


def coco_measures(words: Captions, *, sums: np.ndarray | None = None) -> tuple[list[Measure], np.ndarray]:
    """Build CIDEr, BLEU-1 to 4, METEOR (from the jar's sums, where given) and ROUGE-L of tokenised captions; give CIDEr
    of each caption too.
    """
    grams = count_ngrams(words.said, words.references)
    measures = [build_mean("CIDEr", grams.cider)]
    for order in range(1, ORDERS + 1):
        measures.append(Measure(f"BLEU-{order}", grams.bleu, partial(combine_bleu, order=order)))
    if sums is not None:
        measures.append(Measure("METEOR", sums, combine_meteor))
    lengths = [rouge_l(text, others) for text, others in zip(words.said, words.references, strict=True)]
    return [*measures, build_mean("ROUGE-L", lengths)], grams.cider


def rouge_l(said: str, references: Sequence[str]) -> float:
    """Give COCO's ROUGE-L: the best precision and the best recall over the references, beta 1.2."""
    words = said.split(" ")
    parted = [reference.split(" ") for reference in references]
    common = [common_length(words, other) for other in parted]
    precision = max(common) / len(words)
    recall = max(length / len(other) for length, other in zip(common, parted, strict=True))
    if precision == 0 or recall == 0:
        return 0.0
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)


def score_coco(loaded: Loaded, options: Options, *, spice: bool = False) -> Scores:
    """Score with the PTB tokenizer and METEOR 1.5, and with SPICE where asked; InputError where Java is missing."""
    if spice:
        find_jar_folder()
    captions = read_captions(loaded, options)
    pairs = zip(captions.said, captions.references, strict=True)
    parted = tokenize({str(number): [text, *others] for number, (text, others) in enumerate(pairs)})
    words = Captions([texts[0] for texts in parted.values()], [texts[1:] for texts in parted.values()])
    sums = prepare_sums(align_captions(words.said, words.references))
    measures, ciders = coco_measures(words, sums=sums)
    measures += [build_mean("SPICE", score_spice(words.said, words.references))] if spice else []
    rows = build_rows(loaded, words.said, ciders, "CIDEr")
    return Scores(rows, (*measures, *score_rates(rows)))


def score_coco_python(loaded: Loaded, options: Options) -> Scores:
    """Score without Java: lower-case words without punctuation, nltk's METEOR."""
    captions = read_captions(loaded, options)
    words = Captions(
        [_clean(text) for text in captions.said], [[_clean(t) for t in one] for one in captions.references]
    )
    measures, ciders = coco_measures(words)
    meteors = [meteor([other.split() for other in others], text.split())
               for text, others in zip(words.said, words.references, strict=True)]  # fmt: skip
    rows = build_rows(loaded, words.said, ciders, "CIDEr")
    return Scores(rows, (*measures, build_mean(PYTHON_METEOR, meteors), *score_rates(rows)))


def score_earthdial(loaded: Loaded, options: Options, *, tokens: Tokens, joined: bool) -> Scores:
    """Score by means over sentences: rouge_score over each one's references, METEOR with all of them.

    `joined` lets ROUGE see the tokens joined by blanks, as EarthDial's script for whole images does.
    """
    captions = read_captions(loaded, options)
    found = [_earthdial(text, others, tokens, joined=joined)
             for text, others in zip(captions.said, captions.references, strict=True)]  # fmt: skip
    columns = list(zip(*found, strict=True))
    measures = [build_mean(name, values) for name, values in zip(EARTHDIAL, columns, strict=True)]
    rows = build_rows(loaded, captions.said, columns[EARTHDIAL.index("METEOR")], "METEOR")
    return Scores(rows, (*measures, *score_rates(rows)))


def score_rsrag(loaded: Loaded, options: Options) -> Scores:
    """Score by RS-RAG's means over sentences; words are parted by blanks."""
    captions = read_captions(loaded, options)
    grams = count_ngrams(captions.said, captions.references)
    pairs = list(zip(captions.said, captions.references, strict=True))
    lengths = [max(rouge(other, text)[1].f1 for other in others) for text, others in pairs]
    meteors = [meteor([other.split() for other in others], text.split()) for text, others in pairs]
    bleus = [build_mean(f"BLEU-{order}", smooth_bleu(grams.bleu, weights))
             for order, weights in enumerate(RSRAG_WEIGHTS, start=1)]  # fmt: skip
    measures = [build_mean("ROUGE-L", lengths), build_mean("METEOR", meteors), *bleus, build_mean("CIDEr", grams.cider)]
    rows = build_rows(loaded, captions.said, meteors, "METEOR")
    return Scores(rows, (*measures, *score_rates(rows)))


def _earthdial(said: str, references: Sequence[str], tokens: Tokens, *, joined: bool) -> list[float]:
    words, others = tokens(said), [tokens(reference) for reference in references]
    shown = " ".join(words) if joined else said
    found = [rouge(" ".join(other) if joined else reference, shown)
             for reference, other in zip(references, others, strict=True)]  # fmt: skip
    first, last = (
        np.mean([[one[place].f1, one[place].precision, one[place].recall] for one in found], axis=0) for place in (0, 1)
    )
    return [float(last[0]), float(first[0]), meteor(others, words), *map(float, (*first[1:], *last[1:]))]


def _one_line(text: str) -> str:
    return _LINE_ENDS.sub(" ", text)


def _clean(text: str) -> str:
    return " ".join(_NOT_WORDS.sub(" ", text.lower()).split())


EARTHDIAL: Final = (
    "ROUGE-L", "ROUGE-1", "METEOR", "ROUGE-1 precision", "ROUGE-1 recall", "ROUGE-L precision", "ROUGE-L recall",
)  # fmt: skip
IMAGES: Final = ("caption-rsicd", "caption-ucm", "caption-sydney", "caption-nwpu", "caption-rsitmd", "caption",
                 "vrsbench-cap")  # fmt: skip
_EARTHDIAL_SOURCE = (
    "hiyamdebary/EarthDial @92c12607 {}/eval.py: rouge_score F1 (stemmed), nltk METEOR, means over captions"
)
_RSRAG_SOURCE = (
    "CongcongWen1208/RS-RAG @8a93ba26 evaluation_caption_vqa.py: nltk sentence BLEU (smoothing 1), METEOR, rougeL, "
    "CIDEr-D without tokenizer; the authors cut numbers off after 4 decimals"
)
_COCO_SOURCE = "pycocoevalcap 1.2: PTB tokenizer, BLEU-1..4, METEOR 1.5, ROUGE-L, CIDEr-D"
_PYTHON_SOURCE = (
    "BLEU, ROUGE-L and CIDEr-D of pycocoevalcap on words parted in Python, nltk METEOR: not comparable with coco"
)
MOST_CIDER: Final = 10.0

RULES: Final = (
    Rule(IMAGES, "coco", _COCO_SOURCE, "CIDEr", score_coco,
         aliases=("coco+ptb", "ptb", "official", "pycocoevalcap", "official; vqa rule-only + judge hook"),
         best=MOST_CIDER),
    Rule(IMAGES, "coco-spice", f"{_COCO_SOURCE}, SPICE 1.0 (Stanford CoreNLP 3.6.0)", "CIDEr",
         partial(score_coco, spice=True), aliases=("spice", "coco+spice"), best=MOST_CIDER),
    Rule(IMAGES, "earthdial", _EARTHDIAL_SOURCE.format("rs_image_caption"), "ROUGE-L",
         partial(score_earthdial, tokens=tokenize_words, joined=True), aliases=("earthdial caption",)),
    Rule(IMAGES, "rsrag", _RSRAG_SOURCE, "ROUGE-L", score_rsrag, aliases=("rs-rag",)),
    Rule(IMAGES, "coco-python", _PYTHON_SOURCE, "CIDEr", score_coco_python,
         aliases=("python", "no-java"), best=MOST_CIDER),
    Rule(("geochat-region",), "earthdial", _EARTHDIAL_SOURCE.format("rs_region_captioning"), "ROUGE-L",
         partial(score_earthdial, tokens=str.split, joined=False), aliases=("official", "rouge+meteor")),
    Rule(("rsrag-vqa",), "rsrag", _RSRAG_SOURCE, "ROUGE-L", score_rsrag, aliases=("rs-rag", "official")),
)  # fmt: skip
