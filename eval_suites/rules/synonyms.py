"""LRS-VQA: equal words, or words that share a sense in WordNet 3.0 (path similarity > 0.8 holds for no others).

VisionXLab/LRS-VQA @1b3b6cd4 evaluation_LRSVQA.py compares lower-cased text as it is: " no" and "bridge." are wrong.
RSCoVLM strips blanks and dots first (`stripped`). The source is what stands before the first _ of the question's id
(FAIR, GLH-Bridge, STAR); AA is the mean over categories of one source, quoted as its mean over sources.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from eval_suites.measure import Measure, build_macro_mean, build_mean
from eval_suites.readers.loaded import Entry, Loaded, Options
from eval_suites.rules.judged import Verdict, build_fixed_macro, judge_entries, tabulate
from eval_suites.rules.matches import targets_of
from eval_suites.rules.rule import Number, Rule, Scores
from eval_suites.rules.wordnet import WordNet, load_wordnet
from eval_suites.scored import score_rates


def match_synonym(target: str, said: str, wordnet: WordNet) -> str:
    """Say why two lower-cased texts match: `equal`, `synonym`, or nothing."""
    if target == said:
        return "equal"
    return "synonym" if wordnet.share_sense(target, said) else ""


def score_synonyms(loaded: Loaded, options: Options, *, stripped: bool) -> Scores:
    """Give AA and OA over all and of each source, and accuracy by source and category."""
    wordnet = load_wordnet()

    def decide(text: str, entry: Entry) -> Verdict:
        clean = (lambda word: word.lower().strip().strip(".")) if stripped else str.lower
        why = next((why for one in targets_of(entry) if (why := match_synonym(clean(one), clean(text), wordnet))), "")
        return Verdict(float(bool(why)), clean(text), why or "neither equal nor a synonym")

    rows = judge_entries(loaded, options, decide)
    values, categories = [row.score for row in rows], [entry.category for entry in loaded.entries]
    sources = [_source(entry) for entry in loaded.entries]
    measures = [*_averages(values, sources, categories), *score_rates(rows)]
    both = [f"{source} / {name}" if source else name for source, name in zip(sources, categories, strict=True)]
    tables = {"accuracy by source and category": tabulate(values, both)}
    return Scores(rows, tuple(measures), tables | {"accuracy by category": tabulate(values, categories)})


def _averages(values: Sequence[float], sources: Sequence[str], categories: Sequence[str]) -> list[Measure | Number]:
    known = sorted(set(sources))
    both = list(zip(sources, categories, strict=True))
    found: list[Measure | Number] = [
        _mean_of_sources(values, both),
        build_mean("OA", values),
        build_macro_mean("AA over pooled categories", values, categories),
    ]
    for source in known if len(known) > 1 else ():
        names = sorted({str(pair) for pair in both if pair[0] == source})
        found.append(build_fixed_macro(f"AA {source}", values, [str(pair) for pair in both], names))
        found.append(build_mean(f"OA {source}", values, where=[one == source for one in sources]))
    return found


def _mean_of_sources(values: Sequence[float], both: Sequence[tuple[str, str]]) -> Measure:
    """Build the mean over sources of the mean over categories of each category's mean."""
    import numpy as np

    pairs = sorted(set(both))
    macro = build_fixed_macro("AA", values, [str(pair) for pair in both], [str(pair) for pair in pairs])
    sizes = {source: sum(pair[0] == source for pair in pairs) for source, _ in pairs}
    weights = np.array([1 / sizes[source] for source, _ in pairs]) / len(sizes)

    def combine(sums: np.ndarray) -> np.ndarray:
        top, bottom = sums[..., : len(pairs)], sums[..., len(pairs) :]
        mean: np.ndarray = np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0) @ weights
        return mean

    return Measure("AA", macro.parts, combine)


def _source(entry: Entry) -> str:
    return entry.id.split("_")[0] if "_" in entry.id else ""


RULES: Final = (
    Rule(("lrsvqa",), "wordnet", "VisionXLab/LRS-VQA @1b3b6cd4: equal, or path similarity > 0.8 in WordNet 3.0; "
         "lower-cased only", "AA", partial(score_synonyms, stripped=False),
         aliases=("official", "wordnet > .8", "wordnet>.8, aa", "wordnet > .8, aa", "aa")),
    Rule(("lrsvqa",), "stripped", "VisionXLab/RSCoVLM @c5072823: the same after stripping blanks and dots", "AA",
         partial(score_synonyms, stripped=True), aliases=("rscovlm", "strip")),
)  # fmt: skip
