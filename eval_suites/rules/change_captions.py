"""Change captions: LEVIR-CC, SECOND-CC, Dubai-CC, on ids or words, all pairs and changed and unchanged ones apart.

RSICC @d1505e51, Chg2Cap @7b8cda93, Change-Agent @1b0b6013, SecondCC @bac59aad: captions become the numbers of the
dataset's word map (rare words one number), joined by blanks, without PTB tokenizer, so that METEOR finds no stems and
synonyms; `words` keeps the words. S*m is the mean of BLEU-4, METEOR, ROUGE-L and CIDEr-D. A pair is unchanged by its
`changeflag`, else where its second reference (the first, if it is alone) says so. CIDEr of the unchanged pairs is near
0 by its document frequencies, so the subsets are never averaged. Dubai-CC maps every word, and needs no file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Final

import numpy as np

from eval_suites.measure import Measure, build_mean
from eval_suites.readers.loaded import Entry, Field, Loaded, Options
from eval_suites.readers.pair import read_pairs
from eval_suites.readers.rows import load_json
from eval_suites.rules.captions import (
    Captions,
    build_rows,
    coco_measures,
    read_captions,
    references_of,
    score_coco_python,
    score_earthdial,
)
from eval_suites.rules.meteor import align_captions, prepare_sums
from eval_suites.rules.rule import Rule, Scores
from eval_suites.rules.sentences import tokenize_words
from eval_suites.scored import score_rates
from vlm.errors import DataError

UNCHANGED: Final = frozenset(
    {
        "the scene is the same as before",
        "there is no difference",
        "the two scenes seem identical",
        "no change has occurred",
        "almost nothing has changed",
        "no change is occurred",
        "almost nothing is changed",
        "nothing has changed",
        "nothing has changed in this area",
        "everything remains the same",
        "the area appears the same",
    }
)
UNKNOWN: Final = "<unk>"
SPECIAL: Final = frozenset({"<start>", "<end>", "<pad>"})
PARTS: Final = ("BLEU-4", "METEOR", "ROUGE-L", "CIDEr")
CHANGED_BY_WORDS: Final = ("S*m", "METEOR", "CIDEr")
FLAG = Field("changeflag", ("changeflag", "change_flag"))


def read_change_captions(
    predictions: Path, references: Path | None, fields: tuple[Field, ...], options: Options
) -> Loaded:
    """Read captions, and the word map from --file wordmap=..., or from beside the predictions or references."""
    loaded = read_pairs(predictions, references, fields, options)
    places = [path if path.is_dir() else path.parent for path in (predictions, references) if path is not None]
    found = [path for place in places for path in sorted(place.glob("WORDMAP*.json*"))]
    path = options.files.get("wordmap") or (found[0] if found else None)
    if path is None:
        return loaded
    return Loaded(loaded.entries, {**loaded.keys, "word map": path.name}, loaded.unpaired, {"wordmap": load_json(path)})


def score_change_captions(loaded: Loaded, options: Options, *, ids: bool, whole: bool = False) -> Scores:
    """Score all pairs and both subsets, and how well captions tell changed from unchanged.

    `ids`: on numbers of words, with what changes on words beside; `whole`: every word has a number, without a map.
    """
    captions = _plain(read_captions(loaded, options))
    words = _number(captions, None if whole else _wordmap(loaded, options)) if ids else captions
    both = [words, captions] if ids else [words]
    aligned = align_captions([text for one in both for text in one.said], [o for one in both for o in one.references])
    sums = prepare_sums(aligned[: len(captions.said)])
    measures, ciders = _with_mean(words, sums)
    if ids:
        other, _ = _with_mean(captions, prepare_sums(aligned[len(captions.said) :]))
        measures += [
            replace(one, name=f"{one.name} (words)") for one in other if one.name in ("S*m", "METEOR", "CIDEr")
        ]
    changed = [_changed(entry) for entry in loaded.entries]
    tables = {}
    for title, wanted in (("change", True), ("no change", False)):
        chosen = [index for index, one in enumerate(changed) if one == wanted]
        if chosen and len(chosen) < len(changed):
            some = Captions([words.said[k] for k in chosen], [words.references[k] for k in chosen])
            subset, _ = _with_mean(some, sums[chosen])
            tables[f"{title} pairs"] = {one.name: _spread(one, chosen, len(changed)) for one in subset}
    said = [entry.prediction is not None and text not in UNCHANGED
            for entry, text in zip(loaded.entries, captions.said, strict=True)]  # fmt: skip
    missing = [entry.prediction is None for entry in loaded.entries]
    measures += binary_measures("change", said, changed, missing)
    rows = build_rows(loaded, captions.said, ciders, "CIDEr")
    return Scores(rows, (*measures, *score_rates(rows)), tables)


def binary_measures(name: str, said: Sequence[bool], true: Sequence[bool], missing: Sequence[bool]) -> list[Measure]:
    """Build accuracy, precision, recall and F1 of a yes; what is missing is neither yes nor no, and wrong."""
    yes, wanted, gone = np.asarray(said, bool), np.asarray(true, bool), np.asarray(missing, bool)
    yes = yes & ~gone
    hits, false, missed = yes & wanted, yes & ~wanted, ~yes & wanted
    parts = np.stack((hits, false, missed), axis=1).astype(float)
    return [
        build_mean(f"{name} accuracy", ((yes == wanted) & ~gone).astype(float)),
        Measure(f"{name} precision", parts, combine_precision),
        Measure(f"{name} recall", parts, combine_recall),
        Measure(
            f"{name} F1", parts, lambda sums: divide(2 * sums[..., 0], 2 * sums[..., 0] + sums[..., 1] + sums[..., 2])
        ),
    ]


def combine_precision(sums: np.ndarray) -> np.ndarray:
    """Give precision from hits, false alarms and misses (..., 3)."""
    return divide(sums[..., 0], sums[..., 0] + sums[..., 1])


def combine_recall(sums: np.ndarray) -> np.ndarray:
    """Give recall from hits, false alarms and misses (..., 3)."""
    return divide(sums[..., 0], sums[..., 0] + sums[..., 2])


def combine_f1(sums: np.ndarray) -> np.ndarray:
    """Give F1 from hits, false alarms and misses (..., 3)."""
    return divide(2 * sums[..., 0], 2 * sums[..., 0] + sums[..., 1] + sums[..., 2])


def divide(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Divide, 0 where there is nothing to divide by."""
    value: np.ndarray = np.divide(top, bottom, out=np.zeros_like(np.asarray(top, float)), where=np.asarray(bottom) > 0)
    return value


def _with_mean(words: Captions, sums: np.ndarray) -> tuple[list[Measure], np.ndarray]:
    """Build COCO's measures and S*m in front of them."""
    measures, ciders = coco_measures(words, sums=sums)
    parts = [next(one for one in measures if one.name == name) for name in PARTS]
    ends = np.cumsum([one.parts.shape[1] for one in parts])

    def combine(totals: np.ndarray) -> np.ndarray:
        each = [one.combine(totals[..., end - one.parts.shape[1] : end]) for one, end in zip(parts, ends, strict=True)]
        mean: np.ndarray = np.mean(each, axis=0)
        return mean

    return [Measure("S*m", np.concatenate([one.parts for one in parts], axis=1), combine), *measures], ciders


def _spread(measure: Measure, chosen: Sequence[int], n: int) -> Measure:
    """Give a measure of some rows as one of all, in which the others count nothing."""
    parts = np.zeros((n, measure.parts.shape[1]))
    parts[list(chosen)] = measure.parts
    return Measure(measure.name, parts, measure.combine)


def _plain(captions: Captions) -> Captions:
    return Captions([plain(text) for text in captions.said], [[plain(t) for t in one] for one in captions.references])


def plain(text: str) -> str:
    """Write a caption as the datasets' tokens are: lower case, no stops, one blank between words."""
    return " ".join(text.lower().replace(".", " ").replace(",", " ").split())


def _wordmap(loaded: Loaded, options: Options) -> Mapping[str, Any]:
    known = loaded.extras.get("wordmap")
    if known is None and "wordmap" in options.files:
        known = load_json(options.files["wordmap"])
    if not isinstance(known, Mapping):
        raise DataError(
            "captions are compared on the numbers of the dataset's word map, and there is none: give --file "
            "wordmap=WORDMAP_LEVIR_CC_5_cap_per_img_5_min_word_freq.json, or take --protocol words"
        )
    return known


def _number(captions: Captions, known: Mapping[str, Any] | None) -> Captions:
    """Write words as their numbers; without a map every word gets one."""
    if known is None:
        texts = chain(captions.said, *captions.references)
        every = dict.fromkeys(word for text in texts for word in text.split())
        known = {word: number for number, word in enumerate(every, start=1)}
    dropped = {known[word] for word in SPECIAL if word in known}
    unknown = known.get(UNKNOWN, len(known) + 1)

    def write(text: str) -> str:
        numbers = (known.get(word, unknown) for word in text.split())
        return " ".join(str(number) for number in numbers if number not in dropped)

    return Captions([write(text) for text in captions.said], [[write(t) for t in one] for one in captions.references])


def _changed(entry: Entry) -> bool:
    flag = entry.values.get("changeflag")
    if flag is not None:
        return str(flag).strip().lower() not in ("0", "false")
    references = references_of(entry)
    return plain(references[min(1, len(references) - 1)]) not in UNCHANGED


_SOURCE = "Chen-Yang-Liu RSICC @d1505e51 / Change-Agent @1b0b6013, Chg2Cap @7b8cda93: {}, no PTB tokenizer; S*m"
_SUITES: Final = ("levircc", "secondcc", "dubai")
_FIELDS: Final = (FLAG,)

RULES: Final = (
    Rule(("levircc", "secondcc"), "ids", _SOURCE.format("word-map numbers"), "S*m",
         partial(score_change_captions, ids=True), _FIELDS, read_change_captions,
         aliases=("official", "ids, s*m", "ids, s*m + words", "s*m", "wordmap"), best=3.25),
    Rule(("dubai",), "ids", _SOURCE.format("a number for every word"), "S*m",
         partial(score_change_captions, ids=True, whole=True), _FIELDS, read_change_captions,
         aliases=("official", "s*m", "ids, s*m + words"), best=3.25),
    Rule(_SUITES, "words", _SOURCE.format("words as they are"), "S*m", partial(score_change_captions, ids=False),
         _FIELDS, read_change_captions, aliases=("ids+words", "words, s*m"), best=3.25),
    Rule(_SUITES, "earthdial", "hiyamdebary/EarthDial @92c12607 rs_change_detection/eval_caption.py: rouge_score F1 "
         "(stemmed), nltk METEOR, means over pairs", "ROUGE-L",
         partial(score_earthdial, tokens=tokenize_words, joined=True)),
    Rule(_SUITES, "coco-python", "BLEU, ROUGE-L and CIDEr-D on words parted in Python, nltk METEOR: another metric",
         "CIDEr", score_coco_python, aliases=("python", "no-java"), best=10.0),
)  # fmt: skip
